"""What all figures share: sizes, colours, markers, legends and the line of provenance."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath

from analysis.configurations import OBJECTIVES, PRINCIPLES, RECONSTRUCTION_ONLY, ordered

Column = tuple[str, Sequence[Line2D]]  # of a legend: its title and its keys

SINGLE, DOUBLE = 3.4, 7.0  # inches: one and two columns of a paper

# Blue, red and purple as in the paper; their lightness differs too (about 66, 48 and 20 in CIE
# L*), so that they stay apart in greyscale and under every common colour blindness.
COLOURS = {"SIM": "#56a5e8", "SEP": "#d1342f", "SIM+SEP": "#451269"}
INK, GREY = "#1a1a1a", "#666666"
_RAMPS = {
    "SIM": ("#d3e7f9", "#56a5e8", "#0d3e6e"),
    "SEP": ("#f9d3cd", "#d9483f", "#6b0d11"),
    "SIM+SEP": ("#e0d4ec", "#8a5cb0", "#34094f"),
    "grey": ("#e2e2e2", "#8c8c8c", "#262626"),
}
_MARKERS = dict(zip(PRINCIPLES, "os^", strict=True))
_MORE_MARKERS = "Dvp<>h"  # for principles that a user registers

_FOOT_SIZE = 7.0
_FOOT_LINE = 0.125  # inches
_GAP = 0.035  # inches, around the foot


@dataclass(frozen=True)
class Areas:
    """How large a mark is for a value of `column`: areas grow in proportion to the value."""

    column: str
    values: tuple[float, float]  # of the smallest and of the largest mark
    points2: tuple[float, float]  # their areas

    def of(self, values: pd.Series[float]) -> pd.Series[float]:
        """Areas in points²."""
        (low, high), (smallest, largest) = self.values, self.points2
        return smallest + (values - low) / (high - low) * (largest - smallest)

    def keys(self, labels: dict[str, float]) -> list[Line2D]:
        """A legend's keys: a grey mark for each labelled value."""
        areas = self.of(pd.Series(labels, dtype=float))
        return [key(str(label), "o", GREY, area) for label, area in areas.items()]


class Drawn(Figure):
    """A figure that a notebook shows by itself, in the style that it was drawn in."""

    def _repr_png_(self) -> bytes:
        with paper(), io.BytesIO() as buffer:
            self.savefig(buffer, format="png")
            return buffer.getvalue()


def paper() -> AbstractContextManager[None]:
    """The style of every figure, for drawing and for saving."""
    return matplotlib.style.context(Path(__file__).with_name("sweeper.mplstyle"))


def markers(principles: Iterable[str]) -> dict[str, str]:
    """A marker for each principle; those of the paper always have the same."""
    others = cycle(_MORE_MARKERS)
    names = ordered(list(principles), PRINCIPLES)
    return {name: _MARKERS.get(name) or next(others) for name in names}


def tints(name: str, count: int) -> list[str]:
    """`count` shades of an objective's colour or of grey, light to dark."""
    ramp = LinearSegmentedColormap.from_list(name, _RAMPS[name])
    return [to_hex(ramp(share)) for share in np.linspace(0, 1, count)]


def is_dark(colour: str) -> bool:
    """Whether white reads better on it than ink."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.55


def canvas(width: float, height: float, foot: str) -> Figure:
    """A figure with `foot`, wrapped, below its body; `height` is the body's, in inches."""
    lines = _wrapped(foot, width - 2 * _GAP)
    below = _FOOT_LINE * len(lines) + _GAP
    whole = height + below
    figure = Drawn(figsize=(width, whole))
    figure.set_layout_engine("constrained", rect=(0, below / whole, 1, height / whole))
    figure.text(
        _GAP / width, _GAP / whole, "\n".join(lines), size=_FOOT_SIZE, color=GREY, va="bottom",
        linespacing=1.2,
    )  # fmt: skip
    return figure


def _wrapped(text: str, width: float) -> list[str]:
    """Lines of the foot, as many words each as its font fits into `width` inches."""
    font, ruler = FontProperties(size=_FOOT_SIZE), TextToPath()
    lines = [""]
    for word in re.sub(r"(\d) (?=seed)", "\\1\N{NO-BREAK SPACE}", text).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        fits = ruler.get_text_width_height_descent(longer, font, ismath=False)[0] <= 72 * width
        lines[-1:] = [longer] if fits or not lines[-1] else [lines[-1], word]
    return lines


def key(label: str, marker: str = "", colour: str = "none", area: float = 22.0) -> Line2D:
    """A legend's handle: one mark of `area` points²; without a marker, a title or a gap."""
    edge, width = (INK, 0.5) if colour == "white" else ("white", 0.4)
    return Line2D(
        [], [], linestyle="", marker=marker, markersize=area**0.5, color=colour, label=label,
        markeredgecolor=edge, markeredgewidth=width,
    )  # fmt: skip


def legend_row(figure: Figure, keys: Sequence[Artist]) -> None:
    """A legend above the axes in one row, without titles."""
    figure.legend(handles=[*keys], loc="outside upper center", ncols=len(keys), columnspacing=1.1)


def legend(figure: Figure, columns: Sequence[Column]) -> None:
    """A legend above the axes: one titled column a variable."""
    rows = max(len(keys) for _, keys in columns)
    handles: list[Artist] = []
    for title, keys in columns:
        handles += [key(title), *keys, *(key("") for _ in range(rows - len(keys)))]
    legend = figure.legend(handles=handles, loc="outside upper center", ncols=len(columns))
    for text in legend.get_texts()[:: rows + 1]:
        text.set_fontweight("bold")


def names_of(points: pd.DataFrame) -> list[Column]:
    """The legend's columns of the objectives and the principles that are there."""
    objectives = [key(o, "o", COLOURS[o]) for o in ordered(points["objective"], OBJECTIVES)]
    star = key(RECONSTRUCTION_ONLY, "*", INK, area=60)
    principles = [key(name, marker, GREY) for name, marker in markers(points["principle"]).items()]
    return [("Objective", [*objectives, star]), ("Principle", principles)]


def scatter(axes: Axes, points: pd.DataFrame, x: str, y: str, areas: Areas) -> None:
    """One mark a configuration: colour by objective, marker by principle, and its area."""
    import seaborn as sns  # here: half of the time that a report spends on imports

    if points.empty:  # seaborn warns of a palette without points
        return
    sns.scatterplot(
        points, x=x, y=y, ax=axes, legend=False, linewidth=0.4, zorder=2,
        hue="objective", palette=COLOURS, style="principle", markers=markers(points["principle"]),
        size=areas.column, sizes=areas.points2, size_norm=areas.values,
    )  # fmt: skip


def star(axes: Axes, x: pd.Series, y: pd.Series, area: float | pd.Series) -> None:
    """Marks reconstruction only."""
    axes.scatter(x, y, area, INK, marker="*", edgecolors="white", linewidths=0.4, zorder=4)


def ring(axes: Axes, x: pd.Series, y: pd.Series, area: float | pd.Series) -> None:
    """Marks the selected configuration."""
    axes.scatter(x, y, area, "none", marker="o", edgecolors=INK, linewidths=0.7, zorder=4)


def error_bars(axes: Axes, points: pd.DataFrame, x: str, y: str, colour: str = "0.72") -> None:
    """Thin bars of the intervals along those of x and y that have one, behind the points.

    None for points of one seed: its interval tells nothing of other trainings.
    """
    several = points[points["seeds"] > 1]
    look: dict[str, Any] = {"fmt": "none", "ecolor": colour, "zorder": 1.5}
    for name in (x, y):
        if f"{name}_low" in several:
            known = several.dropna(subset=[name, f"{name}_low"])
            ends = [known[name] - known[f"{name}_low"], known[f"{name}_high"] - known[name]]
            along: dict[str, Any] = {"xerr" if name == x else "yerr": ends}
            axes.errorbar(known[x], known[y], **along, **look)


def end_ticks(axis: Axis, points: pd.DataFrame, column: str) -> None:
    """No tick where `clip_outliers` has put points: what stands there has another value."""
    clipped = points[f"{column}_clipped"]
    low = points.loc[clipped < 0, column].max() if (clipped < 0).any() else -math.inf
    high = points.loc[clipped > 0, column].min() if (clipped > 0).any() else math.inf
    left, right = sorted(axis.get_view_interval())
    ticks = axis.get_ticklocs()
    axis.set_ticks([tick for tick in ticks if max(left, low) <= tick <= min(right, high)])


def arrows(axes: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    """An arrow outwards from each point that `clip_outliers` moved to the edge."""
    towards = points[[f"{x}_clipped", f"{y}_clipped"]].to_numpy()
    for place, direction in zip(points[[x, y]].to_numpy(), towards, strict=True):
        if direction.any():
            axes.annotate(
                "", tuple(place), tuple(11 * direction), textcoords="offset points", zorder=3,
                arrowprops={"arrowstyle": "<|-", "color": INK, "lw": 0.6, "mutation_scale": 5,
                            "shrinkA": 0, "shrinkB": 4},
            )  # fmt: skip
