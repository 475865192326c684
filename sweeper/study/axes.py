"""Further axes of a grid: any field of a run's config, `loss.temperature` or `training.lr`, say.

An axis that plays no part in a run (the temperature of VICReg, γ at λ = 1) is no part of its cell.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.places import short
from models.names import unknown
from sweeper.study.code import own_options
from sweeper.study.config import RunConfig
from sweeper.study.grid_file import Misplaced
from sweeper.study.presets import Preset

Point = dict[str, Any]  # axis (`section.field`) → value

SECTIONS = ("data", "model", "loss", "training", "probe")
# Of the paper's grid; a cell has a field for each.
NAMED = ("principle", "objective", "lam")
# Follows from other fields, or needs options of its own beside it.
_NO_AXES = {"data.fingerprint", "data.dataset", "loss.options"}
OPTIONS = "loss.options."  # of principles of the user's own


def fields() -> list[str]:
    """Every field of a run's config that may be an axis."""
    study = Preset()
    names = [
        f"{section}.{field.name}"
        for section in SECTIONS
        for field in dataclasses.fields(getattr(study, section))
    ]
    return [name for name in names if name not in _NO_AXES] + [
        f"{OPTIONS}{option}" for option in own_options()
    ]


@dataclass(frozen=True)
class Axes:
    """Values of each axis; every combination is a point, but those of zipped axes go together."""

    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    zipped: tuple[tuple[str, ...], ...] = ()
    where: str | None = None  # which cells are kept: see `kept`

    def points(self) -> Iterator[Point]:
        """Every point of these axes; the first axis varies slowest."""
        together = {name: group for group in self.zipped for name in group}
        groups = dict.fromkeys(together.get(name, (name,)) for name in self.values)
        steps = [list(zip(*(self.values[n] for n in group), strict=True)) for group in groups]
        for chosen in itertools.product(*steps):
            names = (name for group in groups for name in group)
            yield dict(zip(names, itertools.chain.from_iterable(chosen), strict=True))


def axes_of(document: Mapping[str, Any]) -> Axes:
    """The tables `axes`, `zip` and `where` of a grid file. Misplaced says what is wrong."""
    values = dict(flat(document.get("axes", {})))
    for name, of_axis in values.items():
        if name not in fields():
            raise Misplaced(unknown("axis", name, [*NAMED, *fields()]), f"axes.{name}")
        if not isinstance(of_axis, list) or not of_axis:
            raise Misplaced(
                f"axis {name} = {of_axis!r}: a list of its values is expected", f"axes.{name}"
            )
    found = {name: tuple(_value(name, v) for v in of_axis) for name, of_axis in values.items()}
    return Axes(found, _zipped(document.get("zip", []), found), _where(document.get("where")))


def _value(axis: str, value: Any) -> Any:
    """As the field has it, so that 1 and 1.0 are one run."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_floating(axis) and whole else _frozen(value)


def is_floating(axis: str) -> bool:
    """Whether the field of an axis holds a number that may be broken."""
    section, _, name = axis.partition(".")
    return axis.startswith(OPTIONS) or isinstance(getattr(getattr(Preset(), section), name), float)


def _frozen(value: Any) -> Any:
    return tuple(float(each) for each in value) if isinstance(value, list) else value


def flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """`axes.loss.temperature` and `axes."loss.temperature"` are the same."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{field}", inner) for field, inner in flat(value))
        else:
            yield name, value


def _zipped(groups: Any, values: Mapping[str, tuple[Any, ...]]) -> tuple[tuple[str, ...], ...]:
    shape = 'zip = [["training.epochs", "training.lr"]]: lists of axes are expected'
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise Misplaced(shape, "zip")
    for name in (names := list(itertools.chain.from_iterable(groups))):
        if name not in values:
            raise Misplaced(unknown("axis in zip", str(name), values), "zip", values=(name,))
        if names.count(name) > 1:
            raise Misplaced(f"zip names '{name}' twice", "zip", values=(name,))
    for group in groups:
        if len({len(values[name]) for name in group}) > 1:
            counts = ", ".join(f"{name} has {len(values[name])}" for name in group)
            raise Misplaced(f"zipped axes need equally many values; {counts}", "zip")
    return tuple(tuple(group) for group in groups)


def _where(text: Any) -> str | None:
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise Misplaced(f'where = {text!r}: a condition is expected, such as "lam < 1"', "where")
    return text


def kept(points: list[Point], where: str | None) -> list[bool]:
    """Which points a condition holds for: pandas' query, over axes by their short names.

    `lam <= 0.6 and temperature < 1`; an axis that a point lacks holds for nothing but `!=`.
    Misplaced: it is no condition over these axes.
    """
    if where is None:
        return [True] * len(points)
    import pandas as pd  # late: a command that reads no such file needs no pandas

    if re.search(r"\blambda\b", where):
        raise Misplaced(f'where = "{where}": λ is called lam', "where")
    names = {axis: short(axis, points[0]) for axis in points[0]} if points else {}
    frame = pd.DataFrame(
        [{names[axis]: value for axis, value in point.items()} for point in points]
    )
    try:
        chosen = pd.Series(frame.eval(where, engine="python"), index=frame.index)
        return [bool(each) for each in chosen]
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Misplaced(
            f'where = "{where}": {reason}; the axes are {", ".join(names.values())}', "where"
        ) from None


def placed(preset: Preset, point: Mapping[str, Any]) -> Preset:
    """The preset with the fields of a point. ValueError for a value that a field cannot have."""
    for axis, value in point.items():
        section, _, name = axis.partition(".")
        if axis.startswith(OPTIONS):
            options = {**dict(preset.loss.options or ()), axis.removeprefix(OPTIONS): value}
            name, value = "options", tuple(sorted(options.items()))
        changed = dataclasses.replace(getattr(preset, section), **{name: value})
        changed.check()
        preset = dataclasses.replace(preset, **{section: changed})
    return preset


def plays_part(run: RunConfig, axis: str) -> bool:
    """Whether a field is one of a resolved run's: None stands for what plays no part."""
    section, _, name = axis.partition(".")
    if axis.startswith(OPTIONS):
        return run.loss is not None and axis.removeprefix(OPTIONS) in dict(run.loss.options or ())
    of_run = getattr(run, section)
    return of_run is not None and getattr(of_run, name) is not None
