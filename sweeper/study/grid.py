"""Grids: the cells of a sweep, as pure functions of a name or a TOML file."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.names import unknown
from models.spec import BASELINES, OBJECTIVES
from sweeper.errors import SweeperError
from sweeper.study.code import principle_code
from sweeper.study.config import RunConfig
from sweeper.study.presets import Preset

LAMBDAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    kind: str
    seed: int
    principle: str | None = None
    objective: str | None = None
    lam: float | None = None
    encoder: str | None = None  # told only in a sweep that compares several

    @property
    def label(self) -> str:
        """The cell's name, unique in its sweep: `Cosine SEP λ=0.6 seed 0`, `encoder seed 0`."""
        if self.encoder:
            return f"{self.kind} {self.encoder} seed {self.seed}"
        if self.kind != "multiview":
            return f"{self.kind} seed {self.seed}"
        return f"{self.principle} {self.objective} λ={self.lam:g} seed {self.seed}"

    @property
    def point(self) -> dict[str, str | float]:
        """Its place on every axis that it has one on."""
        axes = ("principle", "objective", "lam", "encoder")
        return {axis: value for axis in axes if (value := getattr(self, axis)) is not None}


@dataclass(frozen=True)
class Grid:
    """Principles × objectives × λ, beside baselines; sections of the preset to override."""

    name: str
    principles: tuple[str, ...] = ()
    objectives: tuple[str, ...] = tuple(OBJECTIVES)
    lambdas: tuple[float, ...] = LAMBDAS
    baselines: tuple[str, ...] = ()
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def cells(self, seeds: int) -> list[Cell]:
        """Every cell for seeds 0 … `seeds` − 1."""
        return [cell for seed in range(seeds) for cell in self._of_seed(seed)]

    def _of_seed(self, seed: int) -> Iterator[Cell]:
        for point in itertools.product(self.principles, self.objectives, self.lambdas):
            yield Cell("multiview", seed, *point)
        for kind in self.baselines:
            yield Cell(kind, seed)


_PAPER = ("InfoNCE", "Cosine", "VICReg")
GRIDS = {
    "full": Grid("full", _PAPER, baselines=BASELINES),
    "ablation": Grid("ablation", _PAPER),
    "baselines": Grid("baselines", baselines=BASELINES),
    "smoke": Grid("smoke", ("Cosine",), ("SEP",), (0.0, 0.6, 1.0), baselines=("encoder",)),
}
_SECTIONS = ("data", "model", "loss", "training", "probe")
_AXES = ("principles", "objectives", "lambdas", "baselines")


def load_grid(name: str) -> Grid:
    """A grid by its name, or from a TOML file whose keys are the axes and sections of a Grid."""
    if name in GRIDS:
        return GRIDS[name]
    path = Path(name)
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SweeperError(f"grid file {name} is not TOML: {error}") from None
    except OSError as error:
        told = unknown("grid", name, GRIDS)
        raise SweeperError(f"{told}, or name a TOML file ({error.strerror})") from None
    return _checked(_from_document(path.stem, document), source=name)


def _from_document(stem: str, document: dict[str, Any]) -> Grid:
    if strange := sorted(set(document) - {*_AXES, *_SECTIONS}):
        raise SweeperError(f"grid '{stem}': {unknown('key', strange[0], (*_AXES, *_SECTIONS))}")
    for axis in _AXES:
        if not isinstance(document.get(axis, []), list):
            raise SweeperError(f"grid '{stem}': {axis} must be a list")
    for section in _SECTIONS:
        if not isinstance(document.get(section, {}), dict):
            raise SweeperError(f"grid '{stem}': [{section}] must be one table of fields")
    axes: dict[str, Any] = {axis: tuple(document[axis]) for axis in _AXES if axis in document}
    return Grid(stem, **axes, overrides={k: document[k] for k in _SECTIONS if k in document})


def _checked(grid: Grid, source: str) -> Grid:
    from models.objectives import PRINCIPLES  # late: it brings torch

    _require(source, "principle", grid.principles, tuple(PRINCIPLES))
    _require(source, "objective", grid.objectives, tuple(OBJECTIVES))
    _require(source, "baseline", grid.baselines, BASELINES)
    for lam in grid.lambdas:
        if not isinstance(lam, int | float) or isinstance(lam, bool) or not 0 <= lam <= 1:
            raise SweeperError(f"grid file {source}: λ = {lam!r} is outside [0, 1]")
    labels = [cell.label for cell in grid.cells(1)]
    if not labels:
        raise SweeperError(f"grid file {source} has no cells; give principles or baselines")
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise SweeperError(f"grid file {source} names a point twice: '{twice[0]}'")
    return dataclasses.replace(grid, lambdas=tuple(float(lam) for lam in grid.lambdas))


def _require(source: str, axis: str, names: tuple[str, ...], choices: tuple[str, ...]) -> None:
    if strange := [str(name) for name in names if name not in choices]:
        raise SweeperError(f"grid file {source}: {unknown(axis, strange[0], choices)}")


def override(preset: Preset, grid: Grid) -> Preset:
    """The preset with single fields replaced, as the grid's sections ask.

    Raises SweeperError for a field that is unknown or has no such value.
    """
    try:
        study = dataclasses.replace(
            preset,
            **{name: _replaced(name, preset, fields) for name, fields in grid.overrides.items()},
        )
        for section in (study.data, study.model, study.loss, study.training, study.probe):
            section.check()
    except ValueError as error:
        raise SweeperError(f"grid '{grid.name}': {error}") from None
    return study


def _replaced(section: str, preset: Preset, fields: dict[str, Any]) -> Any:
    current = getattr(preset, section)
    names = {field.name for field in dataclasses.fields(current)} - {"fingerprint"}
    if strange := sorted(set(fields) - names):
        raise ValueError(f"[{section}]: {unknown('field', strange[0], sorted(names))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return dataclasses.replace(current, **values)


def run_config(cell: Cell, preset: Preset) -> RunConfig:
    """What is trained for a cell, resolved: cells that train the same have equal configs."""
    principle = "InfoNCE" if cell.kind.startswith("cl-") else cell.principle
    return RunConfig(
        kind=cell.kind,
        seed=cell.seed,
        principle=cell.principle,
        objective=cell.objective,
        lam=cell.lam,
        data=preset.data,
        model=preset.model,
        loss=preset.loss,
        training=preset.training,
        probe=preset.probe,
        principle_code=principle and principle_code(principle),
    ).resolved()
