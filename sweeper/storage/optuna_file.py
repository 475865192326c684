"""A search as an Optuna study in a file of its own beside the database, for optuna-dashboard.

The ledger is what a search remembers; this is a copy, made again wherever it is not like that.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.study.axes import Point
from sweeper.study.propose import trial_of
from sweeper.study.space import Space

if TYPE_CHECKING:
    import optuna

Trials = Mapping[str, tuple[Point, list[float] | None]]  # configuration → where, its goals
_LONGEST = 512  # characters of a study's name


def mirror(file: Path, sweep: str, space: Space, goals: Sequence[str], trials: Trials) -> str:
    """Writes what the file's study of this sweep and space lacks; returns the file's URL."""
    import optuna

    url = f"sqlite:///{file}"
    name = f"{sweep}: {space}"[:_LONGEST]
    storage = optuna.storages.RDBStorage(url)
    try:
        stored = {s.study_name for s in optuna.get_all_study_summaries(storage, False)}
        if name in stored and not _is_like(
            optuna.load_study(study_name=name, storage=storage), trials
        ):
            optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=["maximize"] * len(goals),
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(goals))
        there = {trial.user_attrs["cell"] for trial in study.get_trials(deepcopy=False)}
        lacking = {cell: trial for cell, trial in trials.items() if cell not in there}
        study.add_trials(
            [trial_of(space, point, goals, cell=cell) for cell, (point, goals) in lacking.items()]
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return url


def _is_like(study: optuna.Study, trials: Trials) -> bool:
    """Whether all that the study holds is so: a cell may have been trained anew."""
    told = ((t.user_attrs.get("cell", ""), t.values) for t in study.get_trials(deepcopy=False))
    return all(cell in trials and trials[cell][1] == values for cell, values in told)
