"""What a study asks: which factor the views of a pair share, and which subspace should hold each.

The default is the paper's question. A sweep's is in the `[study]` of the grid file that it was
launched with, and so in its stored options.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

PRIVATE, SHARED = "private", "shared"
SUBSPACES = (PRIVATE, SHARED, "overall")
OTHER = {PRIVATE: SHARED, SHARED: PRIVATE}
PARTS = ("", "valid_")  # test and validation, before the name of an accuracy
FIRST = ("pitch", "instrument")  # tasks in this order, then others by name
SYMBOLS = {PRIVATE: "z_p", SHARED: "z_s"}
# As a task's name stands in those of its measures (`pitch_private`, `delta_pitch`).
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TAKEN = ("mean", "valid", "smaller", "worse")
_KEYS = ("share", "differ", "tasks")


class WrongFactors(ValueError):
    """Something wrong at a key of a grid file, and at a value of it."""

    def __init__(self, message: str, key: str, *values: Any) -> None:
        super().__init__(message)
        self.key, self.values = key, values


@dataclass(frozen=True)
class Factors:
    """A study's factors. `wanted` has each task that is probed, and the subspace to hold it."""

    share: str = "instrument"
    differ: str = "pitch"
    wanted: tuple[tuple[str, str], ...] = (("pitch", PRIVATE), ("instrument", SHARED))

    @classmethod
    def of(cls, document: Any) -> Factors:
        """From the table [study] of a grid file. Raises WrongFactors."""
        if not isinstance(document, Mapping):
            raise WrongFactors("[study] must be one table", "study")
        for key in document:
            _require(key, _KEYS, "key in [study]", f"study.{key}")
        share = _name(document.get("share", cls.share), "study.share")
        default = "instrument" if share == "pitch" else "pitch"
        differ = _name(document.get("differ", default), "study.differ")
        if differ == share:
            wrong = f"[study]: views cannot both share and differ in {share}"
            raise WrongFactors(wrong, "study.differ", share)
        tasks = document.get("tasks") or {
            task: SHARED if task == share else PRIVATE for task in (*FIRST, share)
        }
        return cls(share, differ, _wanted(tasks))

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Factors:
        """From the stored options of a sweep; the paper's where they say nothing."""
        try:
            return cls.of(tomllib.loads(options.get("grid_file") or "").get("study", {}))
        except (ValueError, TypeError):  # a grid that could never be launched
            return PAPER

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task for task, _ in self.wanted)

    @cached_property
    def held_by(self) -> dict[str, str]:
        """Task → private or shared, whichever should hold it."""
        return dict(self.wanted)

    @property
    def accuracies(self) -> tuple[str, ...]:
        """`pitch_private`, …"""
        return tuple(f"{task}_{subspace}" for task in self.tasks for subspace in SUBSPACES)

    @property
    def margins(self) -> tuple[str, ...]:
        """`delta_pitch`, …"""
        return tuple(f"delta_{task}" for task in self.tasks)

    @property
    def measures(self) -> tuple[str, ...]:
        """Every column of numbers that a cell has of the study's tasks, and its MSE."""
        accuracies = tuple(f"{part}{name}" for part in PARTS for name in self.accuracies)
        return ("mse", *accuracies, *self.margins)

    def sides(self, task: str) -> tuple[str, str]:
        """The accuracies of a margin: from the subspace that should hold a task, from the other."""
        subspace = self.held_by[task]
        return f"{task}_{subspace}", f"{task}_{OTHER[subspace]}"


PAPER = Factors()


def tasks_of(table: Any) -> list[str]:
    """The tasks whose margins a frame has a column of, in its order."""
    return [column[6:] for column in table if re.fullmatch(r"delta_[A-Za-z0-9]+", column)]


def in_order(tasks: Any) -> list[str]:
    """Pitch and instrument first, then by name: the order of a file plays no part."""
    known = [task for task in FIRST if task in tasks]
    return [*known, *sorted(set(tasks) - set(FIRST))]


def _wanted(tasks: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(tasks, Mapping) or len(tasks) < 2:
        wrong = '[study.tasks]: two tasks at least are expected, pitch = "private" for one'
        raise WrongFactors(wrong, "study.tasks")
    for task, subspace in tasks.items():
        _name(task, f"study.tasks.{task}")
        _require(subspace, (PRIVATE, SHARED), f"subspace of {task}", f"study.tasks.{task}")
    return tuple((task, tasks[task]) for task in in_order(tasks))


def _name(name: Any, key: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        wrong = f"{key}: {name!r} is no name of a factor; letters and digits are expected"
        raise WrongFactors(wrong, key, name)
    return name


def _require(name: Any, known: tuple[str, ...], what: str, key: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        meant = f", did you mean '{near[0]}'?" if near else ";"
        wrong = f"unknown {what} '{name}'{meant} choose one of {', '.join(known)}"
        raise WrongFactors(wrong, key, name)
