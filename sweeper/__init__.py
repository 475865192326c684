"""Ablation sweeps with a results database."""

__version__ = "0.1.0"
