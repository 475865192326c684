"""Rows that fit the terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweeper.console.words import printable

WIDEST = 10_000  # columns of a line


@dataclass(frozen=True)
class Fitting:
    """Of several ways to show the same the first that the terminal has room for, or the last.

    A pipe or a log has room for all, unless COLUMNS says how wide it is.
    """

    ways: Sequence[RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_fixed = console.is_terminal or "COLUMNS" in os.environ
        for way in self.ways:
            natural = options.update(width=WIDEST)
            width = Measurement.get(console, natural, way).maximum
            if width <= options.max_width or not is_fixed:
                yield from console.render(way, options.update(width=max(width, 1)))
                return
        yield self.ways[-1]


def wrapped(text: str, style: str) -> Fitting:
    """A line, broken between words where the terminal is narrower."""
    whole = Text(text, style, no_wrap=True)
    return Fitting([whole, Text(text, style, no_wrap=False, overflow="fold")])


def listing(heads: Sequence[str], rows: Iterable[Sequence[object]], alone: str = "") -> Fitting:
    """A table, or where there is no room for it a paragraph a row, after the first cell.

    What stands under the head `alone` is not broken there: it can be copied.
    """
    told = [[printable(cell) for cell in row] for row in rows]
    table = Table(box=None, header_style="dim")
    for head in heads:
        table.add_column(head, no_wrap=True)
    for row in told:
        table.add_row(*map(Text, row))
    return Fitting([table, Group(*(_paragraph(heads, row, alone) for row in told))])


def _paragraph(heads: Sequence[str], row: Sequence[str], alone: str) -> Group:
    named = list(zip(heads, row, strict=True))[1:]
    words = " · ".join(f"{head} {cell}" for head, cell in named if cell and head != alone)
    lines: list[RenderableType] = [Text(row[0], style="bold")]
    lines.append(Padding(Text(words, no_wrap=False, overflow="fold"), (0, 0, 0, 2)))
    lines += [Text(f"  {cell}") for head, cell in named if head == alone]
    return Group(*lines)
