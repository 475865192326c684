"""Sweeps as documents, and the page that shows them: how they stand, while they train too."""
