"""Grids: the cells of a sweep, as pure functions of a name or a TOML file."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.factors import Factors, WrongFactors
from analysis.places import name_of_place
from models.names import unknown
from models.spec import BASELINES, CL, OBJECTIVES
from sweeper import plugins
from sweeper.errors import SweeperError
from sweeper.study.axes import NAMED, OPTIONS, Axes, Point, axes_of, flat, kept, placed, plays_part
from sweeper.study.code import options_of, own_options, principle_code
from sweeper.study.config import RunConfig
from sweeper.study.grid_file import GridFile, Misplaced, twice
from sweeper.study.presets import Preset
from sweeper.study.ranges import Ranges, range_of

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
    trial: int | None = None  # of `sweeper search`, that asked for it; the grid's have none

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
        """Its place on every axis that it has one on; of a search, its trial too."""
        named = {axis: getattr(self, axis) for axis in (*NAMED, "encoder", "trial")}
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
    search: Ranges = field(default_factory=dict)  # of `sweeper search`: [search]
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    file: GridFile | None = field(default=None, repr=False, compare=False)
    factors: Factors = field(default_factory=Factors)

    def error(self, wrong: Misplaced) -> SweeperError:
        """What to raise: it names the line of the file, where there is one."""
        return self.file.error(wrong) if self.file else SweeperError(f"grid '{self.name}': {wrong}")

    @contextmanager
    def telling(self, name: str, *keys: str) -> Iterator[None]:
        """What goes wrong here with a name that one of the file's keys has, is told of that key."""
        try:
            yield
        except SweeperError as error:
            wrong = Misplaced(str(error), *keys, values=(name,))
            if self.file is None or name not in str(error) or not self.file.has(wrong):
                raise
            raise self.error(wrong) from None

    def cells(self, seeds: int, baseline_seeds: int = 0) -> list[Cell]:
        """Every cell for seeds 0 … `seeds` − 1, with a place on every axis.

        Of baselines, seeds 0 … `baseline_seeds` − 1 where these are more.
        """
        cells = [cell for seed in range(seeds) for cell in self._of_seed(seed)]
        more = (cell for seed in range(seeds, baseline_seeds) for cell in self._of_seed(seed))
        return cells + [cell for cell in more if cell.kind != "multiview"]

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
_FURTHER = ("axes", "zip", "where", "plugins", "search", "study")
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
    file = GridFile(name, text)
    document = file.document()
    try:
        if not stored:
            _load_plugins(document.get("plugins", []), Path(name).parent)
        return _checked(_from_document(file, document))
    except Misplaced as wrong:
        raise file.error(wrong) from None


def grid_text(name: str) -> str | None:
    """What a grid file holds; None for a grid that has a name of ours."""
    if name in GRIDS:
        return None
    try:
        held = Path(name).read_bytes()
        return held.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = held[: error.start].count(b"\n") + 1
        raise SweeperError(f"{name}:{line}: this is not TOML: {error}") from None
    except OSError as error:
        told = unknown("grid", name, GRIDS)
        raise SweeperError(f"{told}, or name a TOML file ({error.strerror})") from None


def _load_plugins(files: Any, directory: Path) -> None:
    """Runs the plugins that a grid file names."""
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise Misplaced("plugins must be a list of Python files or modules", "plugins")
    for file in files:
        try:
            plugins.load(plugins.read([file], directory))
        except SweeperError as error:
            raise Misplaced(str(error), "plugins", values=(file,)) from None


def _from_document(file: GridFile, document: dict[str, Any]) -> Grid:
    document = _with_synonyms(document)
    known = (*_AXES, *_FURTHER, *_SECTIONS)
    if strange := [key for key in document if key not in known]:
        raise Misplaced(unknown("key", strange[0], known), strange[0])
    for axis in _AXES:
        if not isinstance(document.get(axis, []), list):
            raise Misplaced(f"{axis} must be a list", *_keys_of(axis))
    for section in _SECTIONS:
        if not isinstance(document.get(section, {}), dict):
            raise Misplaced(f"[{section}] must be one table of fields", section)
    axes: dict[str, Any] = {axis: tuple(document[axis]) for axis in _AXES if axis in document}
    overrides = {section: document[section] for section in _SECTIONS if section in document}
    further, factors = axes_of(document), _factors(document.get("study", {}))
    for name in further.values:
        section, _, field = name.partition(".")
        if field in overrides.get(section, {}):
            raise Misplaced(f"{name} is an axis, and [{section}] has it too", name)
    named: dict[str, Any] = {"search": _search(document.get("search", {})), "factors": factors}
    stem = Path(file.name).stem
    return Grid(stem, **axes, axes=further, overrides=overrides, file=file, **named)


def _factors(document: Any) -> Factors:
    try:
        return Factors.of(document)
    except WrongFactors as wrong:
        raise Misplaced(str(wrong), wrong.key, values=wrong.values) from None


def _search(table: Any) -> Ranges:
    if not isinstance(table, dict):
        raise Misplaced("[search] must be one table of ranges", "search")
    found = {}
    for axis, given in flat(table):
        with _at(f"search.{axis}", given):
            found[axis] = range_of(axis, given)
    return found


def _with_synonyms(document: Mapping[str, Any]) -> dict[str, Any]:
    """`axes.lam` is `lambdas`, and so on."""
    further = document.get("axes", {})
    if not isinstance(further, dict):
        raise Misplaced("[axes] must be one table of lists", "axes")
    document, rest = dict(document), dict(further)
    for name, plural in _SYNONYMS.items():
        if name in rest:
            if plural in document:
                raise Misplaced(f"the grid has both {plural} and {name} in [axes]", f"axes.{name}")
            document[plural] = rest.pop(name)
    return {**document, "axes": rest}


def _keys_of(axis: str) -> tuple[str, ...]:
    """Where a file may have one of the paper's axes."""
    return (axis, *(f"axes.{name}" for name, plural in _SYNONYMS.items() if plural == axis))


def _checked(grid: Grid) -> Grid:
    from models.objectives import PRINCIPLES  # late: it brings torch

    for name in grid.principles:
        try:
            plugins.find("principles", str(name), PRINCIPLES)
        except SweeperError as error:
            raise Misplaced(str(error), *_keys_of("principles"), values=(name,)) from None
    _require("principles", grid.principles, tuple(PRINCIPLES))
    _require("objectives", grid.objectives, tuple(OBJECTIVES))
    contrastive = (f"{CL}{task}" for task in grid.factors.tasks)
    _require("baselines", grid.baselines, (BASELINES[0], *contrastive))
    for lam in grid.lambdas:
        if not isinstance(lam, int | float) or isinstance(lam, bool) or not 0 <= lam <= 1:
            wrong = f"λ = {lam!r} is outside [0, 1]"
            raise Misplaced(wrong, *_keys_of("lambdas"), values=(lam,))
    labels = [cell.label for cell in grid.cells(1)]
    if not labels:
        empty = [axis for axis in _AXES if not getattr(grid, axis)]
        keys = ["where", *(key for axis in empty for key in _keys_of(axis))]
        everywhere = dataclasses.replace(grid.axes, where=None)
        if dataclasses.replace(grid, axes=everywhere).cells(1):
            raise Misplaced(f'where = "{grid.axes.where}" keeps no cell', "where")
        raise Misplaced("the grid has no cells; give principles or baselines", *keys)
    if again := [label for label, count in Counter(labels).items() if count > 1]:
        wrong = f"the grid names a point twice: '{again[0]}'"
        raise Misplaced(wrong, *_repeating(grid))
    return dataclasses.replace(grid, lambdas=tuple(float(lam) for lam in grid.lambdas))


def _repeating(grid: Grid) -> Iterator[str]:
    """The keys whose lists have a value twice."""
    for axis in _AXES:
        yield from _keys_of(axis) if twice(getattr(grid, axis)) else ()
    yield from (f"axes.{name}" for name, values in grid.axes.values.items() if twice(values))


def _require(axis: str, names: tuple[str, ...], choices: tuple[str, ...]) -> None:
    if strange := [name for name in names if name not in choices]:
        wrong = unknown(axis.removesuffix("s"), str(strange[0]), choices)
        raise Misplaced(wrong, *_keys_of(axis), values=(strange[0],))


def override(preset: Preset, grid: Grid) -> Preset:
    """The preset with single fields replaced, as the grid's sections ask.

    Raises SweeperError for a field that is unknown or has no such value.
    """
    try:
        for key, value in _settings(grid.overrides):
            with _at(key, value):
                _check_setting(key, value, preset)
        for axis, values in grid.axes.values.items():
            for value in values:
                with _at(f"axes.{axis}", value):
                    placed(preset, {axis: value})
    except Misplaced as wrong:
        raise grid.error(wrong) from None
    return dataclasses.replace(
        preset,
        factors=grid.factors,
        **{name: _replaced(getattr(preset, name), of) for name, of in grid.overrides.items()},
    )


def _settings(overrides: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Each field that a grid sets, `training.lr` or `loss.options.weight`, and its value."""
    for section, fields in overrides.items():
        for name, value in fields.items():
            if isinstance(value, Mapping) and name == "options":
                yield from ((f"{OPTIONS}{option}", v) for option, v in value.items())
            else:
                yield f"{section}.{name}", value


@contextmanager
def _at(key: str, value: Any) -> Iterator[None]:
    try:
        yield
    except Misplaced:
        raise
    except ValueError as error:
        values = tuple(value) if isinstance(value, tuple | list) else (value,)
        raise Misplaced(str(error), key, values=values) from None


def _check_setting(key: str, value: Any, preset: Preset) -> None:
    """ValueError for a field that is unknown or has no such value."""
    section, _, name = key.partition(".")
    option = key.removeprefix(OPTIONS)
    if option != key:
        if option not in own_options():
            raise Misplaced(unknown("option in [loss.options]", option, own_options()), key)
        placed(preset, {key: value})
        return
    current = getattr(preset, section)
    names = {field.name for field in dataclasses.fields(current)} - {"fingerprint"}
    if name not in names:
        raise Misplaced(f"[{section}]: {unknown('field', name, sorted(names))}", key)
    _replaced(current, {name: value}).check()


def _replaced(section: Any, fields: Mapping[str, Any]) -> Any:
    return dataclasses.replace(section, **{name: _frozen(v) for name, v in fields.items()})


def _frozen(value: Any) -> Any:
    """Lists and tables as the specs have them."""
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(value) if isinstance(value, list) else value


def run_config(cell: Cell, preset: Preset) -> RunConfig:
    """What is trained for a cell, resolved: cells that train the same have equal configs.

    `preset` has the cell's place on the grid's further axes.
    """
    principle = "InfoNCE" if cell.kind.startswith(CL) else cell.principle
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
        share=preset.factors.share,
        differ=preset.factors.differ,
        tasks=preset.factors.tasks,
    ).resolved()
