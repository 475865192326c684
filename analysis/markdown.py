"""Numbers and tables as text."""

from __future__ import annotations

import math
import re

import pandas as pd


def number(value: float) -> str:
    """Two decimals with a true minus, zero without a sign, a dash for NaN."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def mean_and_spread(mean: float, spread: float) -> str:
    """`0.71 ± 0.01`; the mean alone where the spread is NaN, a dash where the mean is."""
    return number(mean) + ("" if math.isnan(spread) else f" ± {spread:.2f}")


def seeds_note(seeds: pd.Series[int], interval: str = "± 1 sd") -> str:
    """How many seeds stand behind each mean, and what the interval around it is."""
    fewest, most = int(seeds.min()), int(seeds.max())
    if most == 1:
        return "1 seed: no seed interval."
    counted = f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
    return f"Means of {counted}, {interval}."


def without_html(document: str) -> str:
    """A Markdown document in which a name from the database cannot be HTML."""
    return re.sub("<(?=[A-Za-z/!?])", "&lt;", document)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "&#124;").splitlines())


def markdown_table(table: pd.DataFrame, rule: str = "---") -> str:
    """A frame of strings as Markdown; `rule` aligns every column but the first."""
    columns = list(table.columns)
    rows = [[_cell(text) for text in row] for row in table.to_numpy().tolist()]
    lines = [columns, ["---", *[rule] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
