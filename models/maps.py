"""Spaces of features: their clips drawn in two dimensions, and how far their labels lie apart."""

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
NEIGHBOURS = 5  # few beside the 20 to 40 clips that a pitch has
ROWS = 512  # clips whose distances are held at once

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Method:
    """A way from features (N, F) to coordinates (N, 2), a function of them and its settings."""

    name: str
    settings: dict[str, Any]  # all that decides the coordinates; JSON
    place: Callable[[Floats], Floats]


def best_method() -> Method:
    """UMAP where it is installed, else PCA."""
    return umap_method() if importlib.util.find_spec("umap") else PCA


def umap_method() -> Method:
    """UMAP (McInnes, Healy and Melville, 2018) with its authors' defaults and a fixed seed."""
    options = {"n_neighbors": 15, "min_dist": 0.1, "metric": "euclidean", "random_state": SEED}

    def place(features: Floats) -> Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TensorFlow is missing, that numba has changed
            from umap import UMAP

            fewer = min(15, len(features) - 1)
            # One thread: more would forget the seed.
            made = UMAP(**{**options, "n_neighbors": fewer}, n_jobs=1).fit_transform(features)
        return np.asarray(made, np.float32)

    return Method("UMAP", {**options, "umap-learn": version("umap-learn")}, place)


def principal_components(features: Floats) -> Floats:
    """The first two (Hotelling, 1933). Of either sign, the largest weight of each is positive."""
    centred = features - features.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    first = axes[:2]
    largest = np.take_along_axis(first, np.abs(first).argmax(1)[:, None], axis=1)
    placed: Floats = centred @ (first * np.sign(largest)).T
    return placed


PCA = Method("PCA", {}, principal_components)


def standardised(features: NDArray[Any]) -> Floats:
    """Features (N, F) -> the same, each of mean 0 and deviation 1; those that never change are 0.

    What the probes see, and so what distances and maps are made of.
    """
    centred = features.astype(np.float32) - features.mean(0, dtype=np.float64)
    scale = centred.std(0)
    return np.where(scale > 1e-6, centred / np.maximum(scale, 1e-6), 0).astype(np.float32)


def separation(
    features: Floats, labels: dict[str, Ints], notes: Ints, k: int = NEIGHBOURS
) -> dict[str, float]:
    """For each label: do the nearest clips share it more often than by chance? 1 always, 0 not.

    The agreement a is the mean share of a clip's `k` nearest others (Euclidean) that have its
    label: the neighbourhood hit of Paulovich et al. (2008, IEEE TVCG 14:564). It is corrected for
    chance as in Cohen's kappa (1960): (a − c) / (1 − c), where c is the share of all others that
    have it. So 0 is what shuffled labels score, and labels of 10 and of 88 values compare.

    Not the silhouette (Rousseeuw, 1987): it asks for one round cluster a label, and where two
    labels cross, each cuts the other's clusters to pieces. Log-mel's is negative on both.

    Two clips of one note, which differ in velocity alone, are nearly the same sound: they are no
    neighbours of each other. Where a label has fewer than `k` others, only so many are asked.

    Args:
        features: (N, F), see `standardised`.
        labels: by name, (N,) each.
        notes: (N,) equal for clips of one instrument at one pitch.

    Returns:
        By name; NaN where no two clips can agree, or none can disagree.
    """
    squares = np.einsum("nf,nf->n", features, features)
    tallies: dict[str, list[NDArray[np.float64]]] = {name: [] for name in labels}
    for start in range(0, len(features), ROWS):
        rows = slice(start, start + ROWS)
        distance = squares - 2 * features[rows] @ features.T  # less a constant of the row
        others = notes[rows, None] != notes
        nearest = _nearest(np.where(others, distance, np.inf), k)
        for name, label in labels.items():
            tallies[name].append(_tally(label, rows, others, nearest))
    return {name: _kappa(np.concatenate(tally)) for name, tally in tallies.items()}


def _nearest(distance: Floats, k: int) -> Ints:
    """(rows, N) -> (rows, k): positions, nearest first."""
    k = min(k, distance.shape[1])
    nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(distance, nearest, axis=1), axis=1, kind="stable")
    return np.take_along_axis(nearest, order, axis=1)


def _tally(
    label: Ints, rows: slice, others: NDArray[np.bool_], nearest: Ints
) -> NDArray[np.float64]:
    """(rows, 2): agreement and chance of each clip; those without a fellow are left out."""
    fellows = ((label[rows, None] == label) & others).sum(1)
    asked = np.minimum(fellows, nearest.shape[1])
    hits = (label[nearest] == label[rows, None]) & (np.arange(nearest.shape[1]) < asked[:, None])
    scored = asked > 0
    agreement = hits.sum(1)[scored] / asked[scored]
    return np.stack([agreement, (fellows / others.sum(1).clip(1))[scored]], axis=1)


def _kappa(tally: NDArray[np.float64]) -> float:
    if not len(tally):
        return float("nan")
    agreement, chance = tally.mean(0)
    return float((agreement - chance) / (1 - chance)) if chance < 1 else float("nan")
