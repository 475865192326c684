"""Maps: the clips of a space of features in two dimensions."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 0


@dataclass(frozen=True)
class Method:
    """A way from features (N, F) to coordinates (N, 2), a function of them and its settings."""

    name: str
    settings: dict[str, Any]  # all that decides the coordinates; JSON
    place: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def best_method() -> Method:
    """UMAP where it is installed, else PCA."""
    return umap_method() if importlib.util.find_spec("umap") else PCA


def umap_method() -> Method:
    """UMAP (McInnes, Healy and Melville, 2018) with its authors' defaults and a fixed seed."""
    options = {"n_neighbors": 15, "min_dist": 0.1, "metric": "euclidean", "random_state": SEED}

    def place(features: NDArray[np.float32]) -> NDArray[np.float32]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TensorFlow is missing, that numba has changed
            from umap import UMAP

            fewer = min(15, len(features) - 1)
            # One thread: more would forget the seed.
            made = UMAP(**{**options, "n_neighbors": fewer}, n_jobs=1).fit_transform(features)
        return np.asarray(made, np.float32)

    return Method("UMAP", {**options, "umap-learn": version("umap-learn")}, place)


def principal_components(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two (Hotelling, 1933). Of either sign, the largest weight of each is positive."""
    centred = features - features.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    first = axes[:2]
    largest = np.take_along_axis(first, np.abs(first).argmax(1)[:, None], axis=1)
    placed: NDArray[np.float32] = centred @ (first * np.sign(largest)).T
    return placed


PCA = Method("PCA", {}, principal_components)
