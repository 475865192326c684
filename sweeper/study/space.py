"""The space of a search: its points are cells of the sweep, on the grid's axes and beyond."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.names import unknown
from models.spec import OBJECTIVES, LossSpec
from sweeper.study.axes import NAMED, OPTIONS, Point
from sweeper.study.config import RunConfig
from sweeper.study.grid import GRIDS, Cell, Grid
from sweeper.study.ranges import VICREG, Choices, Range, Ranges, range_of, values_of

_LAM = "0:0.95:0.05"
_VICREG: tuple[float, ...] = LossSpec().vicreg or ()


@dataclass(frozen=True)
class Space:
    """The axes of a search; its points are cells. `vicreg` are weights that are not searched."""

    ranges: Ranges
    vicreg: tuple[float, ...] = _VICREG

    @classmethod
    def of(cls, grid: Grid, over: Ranges) -> Space:
        """Of a sweep's grid: its principles, objectives and axes, λ between 0 and 1; but `over`.

        ValueError for a name that is none.
        """
        from models.objectives import PRINCIPLES  # late: it brings torch

        zipped = {name for group in grid.axes.zipped for name in group}
        named: dict[str, Range | Choices] = {
            "principle": grid.principles or GRIDS["full"].principles,
            "objective": grid.objectives,
            "lam": range_of("lam", _LAM),
        }
        further = {axis: v for axis, v in grid.axes.values.items() if axis not in zipped}
        ranges = {**named, **further, **grid.search, **over}
        for axis, known in (("principle", PRINCIPLES), ("objective", OBJECTIVES)):
            if strange := [name for name in values_of(ranges[axis]) if name not in known]:
                raise ValueError(unknown(axis, str(strange[0]), known))
        weights = grid.overrides.get("loss", {}).get("vicreg", _VICREG)
        return cls(ranges, tuple(weights))

    def __str__(self) -> str:
        """As it would be asked for."""
        shown = {
            axis: str(of) if isinstance(of, Range) else ",".join(map(str, of))
            for axis, of in self.ranges.items()
        }
        return " ".join(f"{axis}={of}" for axis, of in shown.items())

    @property
    def further(self) -> list[str]:
        """The axes beside the paper's three."""
        return [axis for axis in self.ranges if axis not in NAMED]

    def cell(self, point: Point, seed: int) -> Cell:
        """The cell at a point, whose axes have values as `rounded`."""
        values = {axis: self.rounded(axis, value) for axis, value in point.items()}
        principle, objective, lam = (values.pop(axis) for axis in NAMED)
        if weights := {axis: values.pop(axis) for axis in VICREG if axis in values}:
            whole = zip(VICREG, self.vicreg, strict=True)
            values["loss.vicreg"] = tuple(weights.get(axis, weight) for axis, weight in whole)
        if isinstance(gamma := values.get("loss.gamma"), float):
            values["loss.gamma"] = f"fixed:{gamma:g}"
        axes = tuple(values.items())
        return Cell("multiview", seed, principle, objective, lam, axes=axes)

    def rounded(self, axis: str, value: Any) -> Any:
        of = self.ranges[axis]
        return of.rounded(value) if isinstance(of, Range) else value

    def point_of(self, run: RunConfig) -> Point | None:
        """Where a run stands, on the axes that play a part in it; None outside of the space."""
        if run.kind != "multiview" or run.lam is None or run.principle is None:
            return None
        point = {axis: value_in(run, axis) for axis in self.ranges}
        point = {axis: value for axis, value in point.items() if value is not None}
        inside = all(value in self.ranges[axis] for axis, value in point.items())
        return point if inside else None

    def corners(self) -> Iterator[tuple[str, Any]]:
        """Each axis with each end of its range, or each of its values: to be checked."""
        for axis, of in self.ranges.items():
            yield from ((axis, value) for value in values_of(of))


def value_in(run: RunConfig, axis: str) -> Any:
    """What a resolved run has on an axis; None where that plays no part in it."""
    if axis in NAMED:
        return getattr(run, axis)
    section, _, name = axis.partition(".")
    if (of_run := getattr(run, section)) is None:
        return None
    if axis in VICREG:
        return of_run.vicreg and of_run.vicreg[VICREG.index(axis)]
    if axis.startswith(OPTIONS):
        return dict(of_run.options or ()).get(axis.removeprefix(OPTIONS))
    value = getattr(of_run, name)
    if axis == "loss.gamma" and of_run.fixed_gamma is not None:
        return of_run.fixed_gamma
    return value
