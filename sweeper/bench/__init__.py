"""`sweeper bench`: the claims of speed, measured here and now, side by side."""
