"""Standardisation of latents with the training clips' statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_SCALE = 1e-6  # a feature that never changes stays at zero instead of becoming noise


class Standardiser:
    """Zero mean and unit variance for each of the D features, over clips and tokens alike."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(())
        self.squares = np.zeros(())  # sum of squared distances from the mean

    def fit(self, latents: NDArray[np.float32]) -> None:
        """Take in latents (N, T, D); call it once for each stretch of the training clips.

        Merging as in Chan, Golub and LeVeque (1979): sums of squares would cancel.
        """
        rows = latents.reshape(-1, latents.shape[-1]).astype(np.float64)
        count, mean = len(rows), rows.mean(0)
        total = self.count + count
        distance = mean - self.mean
        self.squares = (
            self.squares + ((rows - mean) ** 2).sum(0) + distance**2 * self.count * count / total
        )
        self.mean = self.mean + distance * count / total
        self.count = total

    def __call__(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised latents, of the same shape."""
        scale = np.maximum(np.sqrt(self.squares / self.count), SMALLEST_SCALE)
        return ((latents - self.mean) / scale).astype(np.float32)
