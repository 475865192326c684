"""Tables as text."""

from __future__ import annotations

import pandas as pd


def markdown_table(table: pd.DataFrame, rule: str = "---") -> str:
    """A frame of strings as Markdown; `rule` aligns every column but the first."""
    columns = list(table.columns)
    lines = [columns, ["---", *[rule] * (len(columns) - 1)], *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
