"""The figure and the table that compare frozen encoders (paper, section 2.1)."""

from __future__ import annotations

import json
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from analysis.comparison import Comparison
from analysis.figures import style
from analysis.markdown import markdown_table, mean_and_spread, number

CAPTION = "Frozen encoders compared: the downstream clips by pitch, and below by instrument family."
ACROSS = 4  # maps side by side; more encoders take another pair of rows
_LABELS = {"pitch": "pitch", "instrument": "family"}  # what the maps are coloured by

# Twelve hues whose neighbours in the list differ in lightness too. With three marks, a colour's
# grey and its mark still name the family. NSynth has eleven.
_FAMILIES = (
    "#1b3a6b", "#e8a33d", "#2a8f82", "#f0b6c1", "#7b2d8b", "#8fd14f", "#a23b2a", "#6fb7e9",
    "#4d4d4d", "#e0559a", "#b5a46c", "#0b6e2e",
)  # fmt: skip
_MARKS = "o^s"
_PITCHES = ListedColormap(colormaps["viridis"](range(245)), "pitches")  # less its palest
_OCTAVES = {f"C{octave}": 12 * (octave + 1) for octave in range(-1, 10)}  # MIDI
_KEYS = 0.62  # inches, for the keys at the right
_TITLES = 0.26  # inches a row

Families = dict[str, tuple[str, str]]  # name -> colour and mark


def note(comparison: Comparison) -> str:
    """How the maps were made, and what the titles' numbers are."""
    drawn = comparison.table.dropna(subset="method")
    made = "; ".join(_made(str(name), rows) for name, rows in drawn.groupby("method", sort=False))
    count = json.loads(drawn["settings"].iloc[0])["neighbours"]
    return (
        f"{made}. sep: how often a clip's {count} nearest in the raw latents share its label, 0 by "
        "chance, 1 always. acc: test accuracy of linear probes. First: by the smaller sep."
    )


def _made(method: str, rows: pd.DataFrame) -> str:
    """`UMAP (15 neighbours, min_dist 0.1, seed 0): logmel, audiomae`."""
    settings = json.loads(rows["settings"].iloc[0])
    how = ""
    if "n_neighbors" in settings:
        how = " ({n_neighbors} neighbours, min_dist {min_dist:g}, seed {random_state})"
    return f"{method}{how.format(**settings)}: {', '.join(rows['encoder'])}"


def draw(comparison: Comparison) -> Figure:
    """A column for each encoder: its map by pitch above, by instrument family below."""
    table, points = comparison.table, comparison.points
    blocks = -(-len(table) // ACROSS)
    across = -(-len(table) // blocks)
    width = style.SINGLE if across < 3 else style.DOUBLE
    side = (width - _KEYS) / max(across, 1.4) - 0.06
    scale = Normalize(float(points["pitch"].min()), float(points["pitch"].max()))
    families = _families(points)
    with style.paper():
        foot = f"{note(comparison)} {comparison.line}"
        figure = style.canvas(width, blocks * (2 * side + 3 * _TITLES), foot)
        grid = _grid(figure, blocks, across, side)
        for place, (_, row) in enumerate(table.iterrows()):
            block, column = divmod(place, across)
            clips = points[points["encoder"] == row["encoder"]]
            by_pitch, by_family = grid[2 * block][column], grid[2 * block + 1][column]
            _map(by_pitch, row, "pitch")
            _map(by_family, row, "instrument")
            _by_pitch(by_pitch, clips, scale)
            _by_family(by_family, clips, families)
        _colour_bar(figure, grid[0][-1], scale)
        _family_key(grid[1][-1], families)
    return figure


def _grid(figure: Figure, blocks: int, across: int, side: float) -> list[list[Axes]]:
    """Rows of empty axes; the last of each row is narrow, for the keys."""
    ratios = [1.0] * across + [_KEYS / side]
    grid = figure.subplots(2 * blocks, across + 1, squeeze=False, width_ratios=ratios)
    for axes in grid.flat:
        axes.set_axis_off()
    return [list(row) for row in grid]


def _families(points: pd.DataFrame) -> Families:
    looks = zip(cycle(_FAMILIES), cycle(_MARKS), strict=True)
    return dict(zip(sorted(points["family"].unique()), looks, strict=False))


def _map(axes: Axes, row: pd.Series, task: str) -> None:
    """The frame of a map, and its title."""
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(1)
    axes.spines[["top", "right"]].set_visible(True)
    first = [f"{row['encoder']} ({_size(row)})"] if task == "pitch" else []
    axes.set_title("\n".join([*first, _scores(row, task)]), fontsize=7)
    if pd.isna(row["method"]):
        axes.text(0.5, 0.5, "no map yet", transform=axes.transAxes, ha="center", color=style.GREY)
    elif task == "instrument":
        axes.set_xlabel(row["method"])


def _size(row: pd.Series) -> str:
    return "–" if pd.isna(row["tokens"]) else f"{row['tokens']:.0f} × {row['width']:.0f}"


def _scores(row: pd.Series, task: str) -> str:
    separation = number(row[f"separation_{task}"])
    return f"{_LABELS[task]} sep {separation}, acc {number(row[task])}"


def _by_pitch(axes: Axes, clips: pd.DataFrame, scale: Normalize) -> None:
    look = _points(clips)
    axes.scatter(clips["x"], clips["y"], c=clips["pitch"], cmap=_PITCHES, norm=scale, **look)


def _by_family(axes: Axes, clips: pd.DataFrame, families: Families) -> None:
    for name, (colour, mark) in families.items():
        rows = clips[clips["family"] == name]
        axes.scatter(rows["x"], rows["y"], c=colour, marker=mark, **_points(clips))


def _points(clips: pd.DataFrame) -> dict[str, Any]:
    """Smaller where there are more; drawn as pixels, or a PDF would hold thousands of paths."""
    area = min(5.0, max(1.0, 4_000 / max(len(clips), 1)))
    return {"s": area, "linewidths": 0, "rasterized": True}


def _colour_bar(figure: Figure, place: Axes, scale: Normalize) -> None:
    inside = place.inset_axes((0.08, 0.0, 0.16, 1.0))
    bar = figure.colorbar(ScalarMappable(scale, _PITCHES), cax=inside)
    ticks = {name: at for name, at in _OCTAVES.items() if scale.vmin <= at <= scale.vmax}  # type: ignore[operator]
    bar.set_ticks(list(ticks.values()), labels=list(ticks))
    bar.outline.set_visible(False)


def _family_key(place: Axes, families: Families) -> None:
    keys = [style.key(name, mark, colour, 16) for name, (colour, mark) in families.items()]
    place.legend(handles=keys, loc="center left", handletextpad=0.1, labelspacing=0.2)


def text_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table as strings, for a console or Markdown."""
    sizes = [_size(row) for _, row in table.iterrows()]
    text = pd.DataFrame({"encoder": table["encoder"], "T × D": sizes})
    for task, label in _LABELS.items():
        text[f"{label} acc"] = table[task].combine(table[f"{task}_sd"], mean_and_spread)
    for task, label in _LABELS.items():
        text[f"{label} sep"] = table[f"separation_{task}"].map(number)
    return text


def markdown(comparison: Comparison) -> str:
    table = markdown_table(text_table(comparison.table), rule="---:")
    return f"{CAPTION} {note(comparison)}\n\n{table}\n\n{comparison.line}\n"
