"""A results database with planted sweeps: written by the ledger, its numbers those of a formula."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from sweeper.ledger.connect import writer
from sweeper.ledger.write import Ledger, Provenance, RunResult
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid, run_config
from sweeper.study.presets import PRESETS
from sweeper.study.request import Request
from tests.analysis.synthetic import ACCURACIES, Row, baseline_row, multiview_row

State_ = Callable[[Cell], State]
PACK = 50


def plant(
    db: str,
    name: str = "planted",
    *,
    grid: str = "full",
    seeds: int = 1,
    epochs: int = 8,
    data: str = "logmel",
    state: State_ = lambda cell: State.FINISHED,
    cause: str = "exploded",
    shift: float = 0.0,
) -> None:
    """Adds the sweep; `shift` moves every margin, `state` says how a cell's run ended."""
    preset = PRESETS["smoke"]
    preset = dataclasses.replace(preset, data=dataclasses.replace(preset.data, encoder=data))
    cells = [(cell, run_config(cell, preset)) for cell in load_grid(grid).cells(seeds)]
    options = dataclasses.asdict(Request(grid, "smoke", seeds, encoder=data))
    with writer(db) as engine, Ledger.of(engine, name) as ledger:
        ledger.register(options, cells)
        runs = {run.key: (cell, run) for cell, run in cells if state(cell) != State.PENDING}
        keys = list(runs)
        for first in range(0, len(keys), PACK):
            batch = keys[first : first + PACK]
            ledger.start_attempts(f"{name}-{first}", batch, Provenance(device="cpu"))
            outcomes = [_result(*runs[key], state, cause, epochs, shift) for key in batch]
            ledger.record(f"{name}-{first}", outcomes, seconds=3.0)


def _result(
    cell: Cell, run: RunConfig, state: State_, cause: str, epochs: int, shift: float
) -> RunResult:
    ended = state(cell)
    losses = [] if cell.kind == "encoder" else _losses(cell, epochs)
    if ended != State.FINISHED:
        return RunResult(run.key, ended, None, losses[:2], cause, f"Traceback\n{cause}\n")
    return RunResult(run.key, ended, scores(cell, shift), losses)


def scores(cell: Cell, shift: float = 0.0) -> Mapping[str, Any]:
    """What a cell's run scored."""
    row: Row
    if cell.principle and cell.objective and cell.lam is not None:
        row = multiview_row(cell.principle, cell.objective, cell.lam, cell.seed)
    else:
        row = baseline_row(cell.kind, cell.seed)
    accuracies = {f"{s}{a}": row.get(f"{s}{a}") for s in ("", "valid_") for a in ACCURACIES}
    for subspace in ("pitch_private", "instrument_shared"):
        if accuracies[subspace] is not None:
            accuracies[subspace] += shift
    sizes = {"best_epoch": 8, "valid_size": 614, "test_size": 614}
    return {"mse": row.get("mse"), "gamma": row.get("gamma"), **accuracies, **sizes}


def _losses(cell: Cell, epochs: int) -> list[dict[str, float | None]]:
    weight = 1.0 if cell.lam is None else 1 - cell.lam
    rec = None if weight == 1 else 0.1
    return [
        {
            "train_total": 1.0 / epoch + 0.01 * cell.seed,
            "valid_total": 1.1 / epoch + 0.01 * cell.seed,
            "valid_rec": None if rec is None else rec / epoch + 0.001 * cell.seed,
            "valid_dis": weight / epoch if weight else None,
        }
        for epoch in range(1, epochs + 1)
    ]
