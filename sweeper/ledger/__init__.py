"""The results database: the only source of truth. One writer, the driver; readers never write."""
