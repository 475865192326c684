"""The grid in a terminal, of a sweep with further axes."""

from __future__ import annotations

import json

import pandas as pd
from rich.console import Console

from sweeper.console.matrix import matrix
from sweeper.states import State


def test_a_row_stands_for_each_place_on_the_axes_and_has_the_cells_that_are_on_none() -> None:
    points = [(0.4, {"loss.temperature": 0.1}), (0.4, {"loss.temperature": 1.0}), (1.0, {})]
    cells = pd.DataFrame({
        "kind": "multiview", "principle": "InfoNCE", "objective": "SIM",
        "lam": [lam for lam, _ in points], "point": [json.dumps(point) for _, point in points],
        "state": [State.FINISHED, State.PENDING, State.FAILED],
    })  # fmt: skip
    console = Console(width=60)
    with console.capture() as capture:
        console.print(matrix(cells))
    assert [line.split() for line in capture.get().splitlines()] == [
        ["λ", "0.4", "1"],
        ["InfoNCE", "SIM", "temperature=0.1", "●", "✕"],
        ["InfoNCE", "SIM", "temperature=1", "·", "✕"],
        ["●", "done", "·", "waiting", "✕", "failed", "or", "diverged"],
    ]
