"""Ranges: what a search may choose a value of an axis from.

`loss.temperature=0.05:2:log`, `lam=0.1:0.9:0.05`, `loss.gamma=0.5:5` (of the rule fixed:x),
`loss.vicreg.covariance=0.1:10:log`, `principle=InfoNCE,Cosine`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.names import unknown
from sweeper.study.axes import NAMED, fields, is_floating

DIGITS = 3  # of a value that is proposed: labels are short, and finer differences are noise
VICREG = tuple(f"loss.vicreg.{name}" for name in ("invariance", "variance", "covariance"))
_SHAPE = "LOW:HIGH, LOW:HIGH:STEP, LOW:HIGH:log, or values with commas between"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, in steps where there is one."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    whole: bool = False

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        further = ":log" if self.log else f":{self.step:g}" if self.step else ""
        return f"{self.low:g}:{self.high:g}{further}"

    def rounded(self, value: float) -> float:
        """As it is trained and shown."""
        if self.whole:
            return int(value)
        short = float(f"{value:.{DIGITS}g}") if self.step is None else float(f"{value:.10g}")
        return min(max(short, self.low), self.high)


Choices = tuple[Any, ...]
Ranges = Mapping[str, Range | Choices]


def searchable() -> list[str]:
    """Every axis that may be searched over."""
    return [*NAMED, *fields(), *VICREG]


def ranges_of(asked: Iterable[str]) -> Ranges:
    """Of `AXIS=RANGE`, as `--over` has them. ValueError for what is none."""
    found: dict[str, Range | Choices] = {}
    for text in asked:
        axis, equals, given = text.partition("=")
        if not equals:
            raise ValueError(f"{text}: AXIS=RANGE is expected, such as lam=0.1:0.9")
        if axis.strip() in found:
            raise ValueError(f"{axis.strip()} is given twice")
        found[axis.strip()] = range_of(axis.strip(), given.strip())
    return found


def range_of(axis: str, given: Any) -> Range | Choices:
    """A range as text, or a list of values. ValueError for an axis or a range that is none."""
    if axis not in searchable():
        raise ValueError(unknown("axis", axis, searchable()))
    if isinstance(given, list) and given:
        return tuple(tuple(v) if isinstance(v, list) else v for v in given)
    if not isinstance(given, str) or not given or isinstance(given, list):
        raise ValueError(f"{axis} = {given!r}: {_SHAPE}")
    if axis in ("principle", "objective") or ":" not in given:
        return tuple(_value(axis, value.strip()) for value in given.split(","))
    return _range(axis, given)


def _value(axis: str, text: str) -> Any:
    if axis in ("principle", "objective"):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and not _floating(axis) else number


def _floating(axis: str) -> bool:
    return axis in ("lam", "loss.gamma", *VICREG) or is_floating(axis)


def _range(axis: str, given: str) -> Range:
    low, high, *further = given.split(":")
    try:
        ends = float(low), float(high)
        step = None if further in ([], ["log"]) else float(*further)
    except (ValueError, TypeError):
        raise ValueError(f"{axis}={given}: {_SHAPE}") from None
    found = Range(*ends, step, log=further == ["log"], whole=not _floating(axis))
    if not -math.inf < found.low < found.high < math.inf:
        raise ValueError(f"{axis}={given}: the low end must be below the high one")
    if found.log and found.low <= 0:
        raise ValueError(f"{axis}={given}: a logarithmic range begins above 0")
    if step is not None and not 0 < step <= found.high - found.low:
        raise ValueError(f"{axis}={given}: the step is no part of the range")
    if axis == "lam" and not 0 <= found.low < found.high <= 1:
        raise ValueError(f"{axis}={given}: λ is from 0 to 1")
    if found.whole and not all(end.is_integer() for end in (*ends, step or 1.0)):
        raise ValueError(f"{axis}={given}: whole numbers are expected")
    return found


def values_of(of: Range | Choices) -> Choices:
    """The ends of a range, or all of a choice."""
    return (of.low, of.high) if isinstance(of, Range) else of
