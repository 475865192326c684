"""Sweeps with test clips whose truth is known: accuracies planted, seeds and notes crossed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.results import ACCURACIES
from analysis.trainings import Array, Trainings
from tests.analysis.synthetic import STRENGTH, frame, full_rows

# In probit units, so that at five seeds the notes make about 70 % of a difference's variance, as on
# the real sweeps.
SEED_SD, NOTE_SD, POINT_NOTE_SD, SEED_NOTE_SD = 0.08, 1.5, 1.0, 0.5
CLIPS = 2  # of a note
_TOTAL = (1 + SEED_SD**2 + NOTE_SD**2 + POINT_NOTE_SD**2 + SEED_NOTE_SD**2) ** 0.5
# Reconstruction only: pitch from z_p, z_s and both, then instrument.
REFERENCE = np.array([0.69, 0.69, 0.72, 0.85, 0.85, 0.87])
# What an objective takes from the four subspace accuracies at λ = 0: little from the other one.
LOSSES = {
    "SIM": (0.01, 0.25, 0.01, 0.06),
    "SEP": (0.0, 0.06, 0.30, 0.0),
    "SIM+SEP": (0.01, 0.20, 0.28, 0.06),
}
BASELINES = {"cl-pitch": (0.63, 0.41), "cl-instrument": (0.19, 0.78), "encoder": (0.70, 0.85)}


@cache
def _empty(seeds: int) -> Trainings:
    return Trainings.of(frame(full_rows(seeds)))


class Truth(Protocol):
    def __call__(self, seeds: int, random: np.random.Generator) -> tuple[Array, Array]: ...


def as_the_paper_says(seeds: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Accuracies [point, score] and MSE [seed, point] of a sweep in which the paper is right."""
    points = _empty(seeds).points
    accuracy = np.tile(REFERENCE, (len(points), 1))
    mse = np.full((seeds, len(points)), 0.014)
    for i, row in points.iterrows():
        if row["kind"] != "multiview":
            accuracy[i, 2], accuracy[i, 5] = BASELINES[row["kind"]]
        elif row["lam"] < 1:
            weight = STRENGTH[row["principle"]] * (1 - row["lam"]) ** 0.7
            accuracy[i, [0, 1, 3, 4]] -= weight * np.array(LOSSES[row["objective"]])
            accuracy[i, [2, 5]] -= 0.03 * weight**2
            mse[:, i] += 0.06 * weight**2
    return accuracy, mse


def nothing(seeds: int, random: np.random.Generator) -> tuple[Array, Array]:
    """The null: no loss and no baseline changes anything, and the MSE tells nothing."""
    count = len(_empty(seeds).points)
    return np.tile(REFERENCE, (count, 1)), random.uniform(0.01, 0.03, (seeds, count))


def planted(
    seeds: int, random: np.random.Generator, notes: int = 150, truth: Truth = as_the_paper_says
) -> Trainings:
    """A sweep drawn from a truth: each clip is classified rightly when its probit is above zero."""
    accuracy, mse = truth(seeds, random)
    empty = _empty(seeds)
    lam = empty.points["lam"].to_numpy()
    mse = np.where((lam > 0) & (empty.points["kind"] == "multiview"), mse, np.nan)
    test, test_notes = classified(accuracy, seeds, notes, random)
    valid, _ = classified(accuracy, seeds, notes // 3, random)
    baseline = (empty.points["kind"] != "multiview").to_numpy()
    subspaces = np.array(["overall" not in name for name in ACCURACIES])
    for values in (test, valid):
        values[:, np.outer(baseline, subspaces)] = np.nan
    return replace(
        empty, accuracy=test.mean(-1, dtype=float), valid=valid.mean(-1, dtype=float), mse=mse,
        correct=test, notes=test_notes,
    )  # fmt: skip


def classified(
    accuracy: Array, seeds: int, notes: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """[seed, point, score, clip]: whether each clip is classified rightly; and each clip's note."""
    points, scores = accuracy.shape
    shape = (seeds, points, scores, notes)
    probit = _TOTAL * ndtri(accuracy)[None, :, :, None].astype(np.float32)
    for sd, sizes in (
        (SEED_SD, (seeds, points, scores, 1)),
        (NOTE_SD, (1, 1, scores, notes)),
        (POINT_NOTE_SD, (1, points, scores, notes)),
        (SEED_NOTE_SD, shape),
    ):
        probit = probit + sd * random.standard_normal(sizes, dtype=np.float32)
    clip = np.repeat(probit, CLIPS, axis=-1)
    right = random.standard_normal(clip.shape, dtype=np.float32) < clip
    return right.astype(np.float32), np.repeat(np.arange(notes), CLIPS)
