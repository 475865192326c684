"""Grids: the cells of a sweep, as pure functions of a name or a TOML file."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.places import name_of_place
from models.names import unknown
from models.spec import BASELINES, OBJECTIVES
from sweeper import plugins
from sweeper.errors import SweeperError
from sweeper.study.axes import NAMED, Axes, Point, axes_of, kept, placed, plays_part
from sweeper.study.code import options_of, own_options, principle_code
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
    axes: tuple[tuple[str, Any], ...] = ()  # its place on the grid's further axes: see axes.py

    def __post_init__(self) -> None:
        frozen = ((name, tuple(v) if isinstance(v, list) else v) for name, v in self.axes)
        object.__setattr__(self, "axes", tuple(frozen))  # as JSON has them, they are lists

    @property
    def label(self) -> str:
        """The cell's name, unique in its sweep: `Cosine SEP λ=0.6 seed 0`, `encoder seed 0`.

        Further axes stand before the seed: `InfoNCE SIM λ=0.6 temperature=0.1 seed 0`.
        """
        parts = [self.kind, *([self.encoder] if self.encoder else [])]
        if self.kind == "multiview":
            parts = [str(self.principle), str(self.objective), f"λ={self.lam:g}"]
        further = [name_of_place(dict(self.axes))] if self.axes else []
        return " ".join([*parts, *further, f"seed {self.seed}"])

    @property
    def point(self) -> Point:
        """Its place on every axis that it has one on."""
        named = {axis: getattr(self, axis) for axis in (*NAMED, "encoder")}
        return {axis: v for axis, v in (named | dict(self.axes)).items() if v is not None}

    def along(self, run: RunConfig) -> Cell:
        """The cell without the axes that play no part in the run that fills it."""
        axes = tuple((name, value) for name, value in self.axes if plays_part(run, name))
        return dataclasses.replace(self, axes=axes)


@dataclass(frozen=True)
class Grid:
    """Principles × objectives × λ, beside baselines; sections of the preset to override."""

    name: str
    principles: tuple[str, ...] = ()
    objectives: tuple[str, ...] = tuple(OBJECTIVES)
    lambdas: tuple[float, ...] = LAMBDAS
    baselines: tuple[str, ...] = ()
    axes: Axes = field(default_factory=Axes)
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def cells(self, seeds: int, baseline_seeds: int = 0) -> list[Cell]:
        """Every cell for seeds 0 … `seeds` − 1, with a place on every axis.

        Of baselines, seeds 0 … `baseline_seeds` − 1 where these are more.
        """
        cells = [cell for seed in range(seeds) for cell in self._of_seed(seed)]
        more = (cell for seed in range(seeds, baseline_seeds) for cell in self._of_seed(seed))
        return cells + [cell for cell in more if cell.kind in BASELINES]

    def filled(
        self, seeds: int, config_of: Callable[[Cell], RunConfig], baseline_seeds: int = 0
    ) -> list[tuple[Cell, RunConfig]]:
        """Every cell and its run; a cell has a place on those axes alone that its run knows."""
        found: dict[str, tuple[Cell, RunConfig]] = {}
        for cell in self.cells(seeds, baseline_seeds):
            run = config_of(cell)
            cell = cell.along(run)
            found.setdefault(cell.label, (cell, run))
        return list(found.values())

    def _of_seed(self, seed: int) -> Iterator[Cell]:
        named = list(itertools.product(self.principles, self.objectives, self.lambdas))
        for point in self.axes.points():
            axes = tuple(point.items())
            cells = [Cell("multiview", seed, *place, axes=axes) for place in named]
            chosen = kept([cell.point for cell in cells], self.axes.where)
            yield from itertools.compress(cells, chosen)
            if any(chosen) or not cells:
                yield from (Cell(kind, seed, axes=axes) for kind in self.baselines)


_PAPER = ("InfoNCE", "Cosine", "VICReg")
GRIDS = {
    "full": Grid("full", _PAPER, baselines=BASELINES),
    "ablation": Grid("ablation", _PAPER),
    "baselines": Grid("baselines", baselines=BASELINES),
    "smoke": Grid("smoke", ("Cosine",), ("SEP",), (0.0, 0.6, 1.0), baselines=("encoder",)),
}
_SECTIONS = ("data", "model", "loss", "training", "probe")
_AXES = ("principles", "objectives", "lambdas", "baselines")
_FURTHER = ("axes", "zip", "where", "plugins")
# The paper's axes by their names in [axes].
_SYNONYMS = dict(zip(NAMED, _AXES, strict=False))


def load_grid(name: str, text: str | None = None) -> Grid:
    """A grid by its name, or from a TOML file whose keys are the axes and sections of a Grid.

    The file's plugins are run. `text` is what it held when it was launched: neither it nor its
    plugins are then read again.
    """
    stored = text is not None
    if text is None and (text := grid_text(name)) is None:
        return GRIDS[name]
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SweeperError(f"grid file {name} is not TOML: {error}") from None
    if not stored:
        _load_plugins(document.get("plugins", []), Path(name))
    return _checked(_from_document(Path(name).stem, document), source=name)


def grid_text(name: str) -> str | None:
    """What a grid file holds; None for a grid that has a name of ours."""
    if name in GRIDS:
        return None
    try:
        return Path(name).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SweeperError(f"grid file {name} is not TOML: {error}") from None
    except OSError as error:
        told = unknown("grid", name, GRIDS)
        raise SweeperError(f"{told}, or name a TOML file ({error.strerror})") from None


def _load_plugins(files: Any, grid: Path) -> None:
    """Runs the plugins that a grid file names."""
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise SweeperError(f"grid file {grid}: plugins must be a list of Python files or modules")
    plugins.load(plugins.read(files, grid.parent))


def _from_document(stem: str, document: dict[str, Any]) -> Grid:
    document = _with_synonyms(stem, document)
    known = (*_AXES, *_FURTHER, *_SECTIONS)
    if strange := sorted(set(document) - set(known)):
        raise SweeperError(f"grid '{stem}': {unknown('key', strange[0], known)}")
    for axis in _AXES:
        if not isinstance(document.get(axis, []), list):
            raise SweeperError(f"grid '{stem}': {axis} must be a list")
    for section in _SECTIONS:
        if not isinstance(document.get(section, {}), dict):
            raise SweeperError(f"grid '{stem}': [{section}] must be one table of fields")
    axes: dict[str, Any] = {axis: tuple(document[axis]) for axis in _AXES if axis in document}
    overrides = {section: document[section] for section in _SECTIONS if section in document}
    try:
        further = axes_of(document)
    except ValueError as error:
        raise SweeperError(f"grid '{stem}': {error}") from None
    for name in further.values:
        section, _, field = name.partition(".")
        if field in overrides.get(section, {}):
            raise SweeperError(f"grid '{stem}': {name} is an axis, and [{section}] has it too")
    return Grid(stem, **axes, axes=further, overrides=overrides)


def _with_synonyms(stem: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """`axes.lam` is `lambdas`, and so on."""
    further = document.get("axes", {})
    if not isinstance(further, dict):
        raise SweeperError(f"grid '{stem}': [axes] must be one table of lists")
    document, rest = dict(document), dict(further)
    for name, plural in _SYNONYMS.items():
        if name in rest:
            if plural in document:
                raise SweeperError(f"grid '{stem}' has both {plural} and {name} in [axes]")
            document[plural] = rest.pop(name)
    return {**document, "axes": rest}


def _checked(grid: Grid, source: str) -> Grid:
    from models.objectives import PRINCIPLES  # late: it brings torch

    _require(source, "principle", grid.principles, tuple(PRINCIPLES))
    _require(source, "objective", grid.objectives, tuple(OBJECTIVES))
    _require(source, "baseline", grid.baselines, BASELINES)
    for lam in grid.lambdas:
        if not isinstance(lam, int | float) or isinstance(lam, bool) or not 0 <= lam <= 1:
            raise SweeperError(f"grid file {source}: λ = {lam!r} is outside [0, 1]")
    try:
        labels = [cell.label for cell in grid.cells(1)]
    except ValueError as error:
        raise SweeperError(f"grid file {source}: {error}") from None
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
        for option in dict(study.loss.options or ()):
            if option not in own_options():
                raise ValueError(unknown("option in [loss.options]", option, own_options()))
        for point in grid.axes.points():
            placed(study, point)
    except ValueError as error:
        raise SweeperError(f"grid '{grid.name}': {error}") from None
    return study


def _replaced(section: str, preset: Preset, fields: dict[str, Any]) -> Any:
    current = getattr(preset, section)
    names = {field.name for field in dataclasses.fields(current)} - {"fingerprint"}
    if strange := sorted(set(fields) - names):
        raise ValueError(f"[{section}]: {unknown('field', strange[0], sorted(names))}")
    values = {k: _frozen(v) for k, v in fields.items()}
    return dataclasses.replace(current, **values)


def _frozen(value: Any) -> Any:
    """Lists and tables as the specs have them."""
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(value) if isinstance(value, list) else value


def run_config(cell: Cell, preset: Preset) -> RunConfig:
    """What is trained for a cell, resolved: cells that train the same have equal configs.

    `preset` has the cell's place on the grid's further axes.
    """
    principle = "InfoNCE" if cell.kind.startswith("cl-") else cell.principle
    given, own = dict(preset.loss.options or ()), options_of(principle)
    options = tuple(sorted({name: given.get(name, own[name]) for name in own}.items()))
    return RunConfig(
        kind=cell.kind,
        seed=cell.seed,
        principle=cell.principle,
        objective=cell.objective,
        lam=cell.lam,
        data=preset.data,
        model=preset.model,
        loss=dataclasses.replace(preset.loss, options=options or None),
        training=preset.training,
        probe=preset.probe,
        principle_code=principle and principle_code(principle),
    ).resolved()
