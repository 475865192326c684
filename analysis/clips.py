"""What the probes said of every test clip, read from the database beside the accuracies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Engine, inspect, text

from analysis.predictions import unpack

_CLIPS = text(
    "SELECT labels, note, twin FROM clips WHERE latents = :latents AND part = 'test'"
    " ORDER BY position"
)
_LABELS = text("SELECT DISTINCT labels FROM clips WHERE latents = :latents")
_PREDICTIONS = text(
    "SELECT DISTINCT runs.key, task, subspace, classes FROM predictions"
    " JOIN runs ON runs.id = predictions.run_id JOIN cells ON cells.run_id = runs.id"
    " JOIN sweeps ON sweeps.id = cells.sweep_id"
    " WHERE sweeps.name = :sweep AND part = 'test'"
)


@dataclass(frozen=True)
class TestClips:
    """The test clips of a sweep's latents, and which were classified rightly."""

    __test__ = False  # no test, whatever pytest makes of the name

    notes: NDArray[Any]  # [clip]: which note it is, an instrument and a pitch
    twin: NDArray[np.bool_]  # [clip]: the probes were trained on the note at another velocity
    remarks: tuple[str, ...] = ()  # a line for whatever of the classes the clips tell little of
    # run key → {score: whether each clip is classified rightly}
    correct: dict[str, dict[str, NDArray[np.bool_]]] = field(default_factory=dict)


def load_clips(engine: Engine, sweep: str, frame: pd.DataFrame) -> TestClips | None:
    """None where the sweep's clips are not known, or its runs stand on several latents.

    Takes the rows of `results`. Predictions that do not fit the clips are left out.
    """
    latents = set(frame["latents"].dropna()) if "latents" in frame else set()
    if len(latents) != 1 or not inspect(engine).has_table("predictions"):
        return None
    with engine.connect() as connection:
        of_latents = {"latents": latents.pop()}
        clips = connection.execute(_CLIPS, of_latents).all()
        known = connection.execute(_LABELS, of_latents).scalars().all()
        said = connection.execute(_PREDICTIONS, {"sweep": sweep}).all()
    if not clips:
        return None
    labels = pd.DataFrame([json.loads(row.labels) for row in clips])
    notes, twin = (np.array([getattr(row, name) for row in clips]) for name in ("note", "twin"))
    every = pd.DataFrame([json.loads(row) for row in known])
    found = TestClips(notes, twin.astype(bool), _remarks(labels, every, notes))
    for key, task, subspace, packed in said:
        if task in labels and (right := _right(packed, labels[task].to_numpy())) is not None:
            found.correct.setdefault(key, {})[f"{task}_{subspace}"] = right
    return found


def _right(packed: bytes, labels: NDArray[Any]) -> NDArray[np.bool_] | None:
    try:
        right: NDArray[np.bool_] = unpack(packed, labels) == labels
    except ValueError:
        return None
    return right


def _remarks(labels: pd.DataFrame, every: pd.DataFrame, notes: NDArray[Any]) -> tuple[str, ...]:
    """Of each task, how many classes have no test clip, and how many a single test note."""
    remarks = []
    for task in labels:
        counts = pd.Series(notes).groupby(labels[task].to_numpy()).nunique()
        absent, alone = every[task].nunique() - len(counts), int((counts == 1).sum())
        if absent:
            remarks.append(f"{absent} of {every[task].nunique()} {task} classes have no test clip.")
        if alone:
            remarks.append(f"{alone} of {len(counts)} {task} classes in test have a single note.")
    return tuple(remarks)
