"""The pictures, and their one style."""
