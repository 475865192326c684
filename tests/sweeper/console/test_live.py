"""The live view: the grid as a matrix, the share of the work, plain lines for logs."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from sweeper.console import live
from sweeper.console.live import SweepState, sweep_view
from sweeper.console.matrix import matrix
from sweeper.console.progress import data_progress
from sweeper.events import (
    Closed,
    Ended,
    Interrupted,
    Lost,
    Progress,
    Provenance,
    Results,
    RunResult,
    Started,
)
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import cost
from sweeper.study.presets import PRESETS

STUDY = PRESETS["quick"]


def cells_and_runs(grid: str = "full", seeds: int = 1) -> tuple[pd.DataFrame, list[RunConfig]]:
    cells = load_grid(grid).cells(seeds)
    runs = [run_config(cell, STUDY) for cell in cells]
    rows = [
        {
            "kind": cell.kind,
            "principle": cell.principle,
            "objective": cell.objective,
            "lam": cell.lam,
            "seed": cell.seed,
            "run_key": run.key,
            "state": "pending",
        }
        for cell, run in zip(cells, runs, strict=True)
    ]
    return pd.DataFrame(rows), list({run.key: run for run in runs}.values())


def shown(renderable: object, terminal: bool = True) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


class Output:
    """In the place of IPython in a kernel: what a cell shows."""

    def __init__(self) -> None:
        self.shown = list[str]()
        shell = type("ZMQInteractiveShell", (), {})()
        shows = SimpleNamespace(HTML=str, display=lambda html, display_id: self.update(html))
        self.module = SimpleNamespace(get_ipython=lambda: shell, display=shows)

    def update(self, html: str) -> Output:
        self.shown.append(html)
        return self


def test_in_a_notebook_one_output_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output()
    monkeypatch.setitem(sys.modules, "IPython", output.module)
    cells, runs = cells_and_runs("smoke")
    console = Console(file=io.StringIO(), force_terminal=False)
    with sweep_view(console, cells, runs) as observe:
        observe(started("p", runs))
        for done in range(9):
            observe(Progress("p", "epoch", done, 9, done / 9, 1.0))
        observe(Results("p", [RunResult(run.key, State.FINISHED) for run in runs], 1.0))
    assert 4 <= len(output.shown) < 12 and all("<pre>" in shown for shown in output.shown)
    assert "training" in output.shown[1] and "100% of the work" in output.shown[-1]
    assert not console.file.getvalue()  # type: ignore[attr-defined]


def started(pack: str, runs: list[RunConfig]) -> Started:
    return Started(pack, [run.key for run in runs], Provenance())


def results(pack: str, runs: list[RunConfig]) -> Results:
    return Results(pack, [RunResult(run.key, State.FINISHED) for run in runs], 1.0)


def test_the_matrix_has_a_mark_for_every_cell() -> None:
    cells, _ = cells_and_runs()
    cells.loc[0, "state"] = "finished"
    cells.loc[54, "state"] = "failed"
    text = shown(matrix(cells))
    grid, _, legend = text.rstrip("\n").rpartition("\n")
    assert grid.count("·") == 55 and grid.count("●") == 1 and grid.count("✕") == 1
    assert legend.strip() == "● done  · waiting  ✕ failed or diverged"
    assert "0.2" in text and "InfoNCE SIM+SEP" in text and "cl-pitch" in text


def test_many_seeds_are_counted_instead_of_drawn() -> None:
    cells, _ = cells_and_runs("smoke", seeds=8)
    cells.loc[:2, "state"] = "finished"
    text = shown(matrix(cells))
    assert "1/8" in text and "done" not in text, "counts need no legend"


def test_the_share_of_the_work_follows_the_packs() -> None:
    cells, runs = cells_and_runs("smoke")
    state = SweepState(cells, runs)
    first, rest = runs[:2], runs[2:]
    state(started("p", first))
    assert state.share == 0
    state(Progress("p", "epoch", 1, 2, 0.5))
    total = sum(map(cost, runs))
    assert state.share == pytest.approx(sum(map(cost, first)) / 2 / total)
    assert "epoch 1/2" in shown(state.render())
    state(results("p", first))
    assert state.share == pytest.approx(sum(map(cost, first)) / total)
    state(started("q", rest))
    state(results("q", rest))
    assert state.share == 1
    assert "4 finished" in state.line


def test_nine_cells_light_up_with_the_one_run_behind_them() -> None:
    cells, runs = cells_and_runs()
    state = SweepState(cells, runs)
    reconstruction_only = [run for run in runs if run.lam == 1]
    state(started("p", reconstruction_only[:1]))
    state(results("p", reconstruction_only))
    assert "9 finished" in state.line


def test_a_lost_pack_is_shown_as_failed() -> None:
    cells, runs = cells_and_runs("smoke")
    state = SweepState(cells, runs)
    state(started("p", runs[:1]))
    state(Closed("p", State.FAILED, "it raised", runs=[runs[0].key]))
    state(Lost("p", State.FAILED, "it raised"))
    assert "1 failed" in state.line


def test_the_share_never_falls_when_a_pack_ends_after_its_results() -> None:
    cells, runs = cells_and_runs("smoke")
    state, shares = SweepState(cells, runs), []
    for event in (
        started("p", runs[:1]),
        Progress("p", "epoch", 2, 2, 0.8),
        results("p", runs[:1]),
        Ended("p"),
    ):
        state(event)
        shares.append(state.share)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(cost(runs[0]) / sum(map(cost, runs)))


def test_a_log_gets_plain_lines_and_no_control_codes() -> None:
    cells, runs = cells_and_runs("smoke")
    console = Console(file=io.StringIO(), width=100)
    with sweep_view(console, cells, runs) as observe:
        observe(started("p", runs))
        observe(results("p", runs))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.splitlines() == ["4 finished · 100% of the work · under a second left"]


def test_the_time_left_is_told_from_the_first_training_on_once_enough_was_seen() -> None:
    cells, runs = cells_and_runs("smoke")
    state, lines = SweepState(cells, runs), []
    for event in (
        started("p", runs),  # whatever loading takes: nobody counts it
        Progress("p", "epoch", 1, 50, 0.02, 0.5),
        Progress("p", "epoch", 5, 50, 0.1, 2.5),
        Progress("p", "epoch", 10, 50, 0.2, 5.0),
    ):
        state(event)
        lines.append(state.line.rpartition(" · ")[2])
    assert lines == ["starting", "measuring the pace", "0:01:30 left", "0:01:20 left"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_stop_is_acknowledged_once_and_no_time_is_told_after_it(terminal: bool) -> None:
    cells, runs = cells_and_runs("smoke")
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
    with sweep_view(console, cells, runs) as observe:
        observe(started("p", runs))
        observe(Interrupted(2))
        observe(Closed("p", State.INTERRUPTED, "stopped", runs=[runs[0].key]))
        observe(Ended("p"))
        if not terminal:
            observe(Interrupted(2))  # the recorder's, when all is put down
    text = console.file.getvalue()  # type: ignore[attr-defined]
    if terminal:
        assert "1 interrupted" in text and "starting" not in text.rpartition("stopping")[2]
    else:
        assert text == "4 running · stopping: packs save themselves\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_data_progress_names_what_is_made(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(live.time, "monotonic", lambda: 5.0)
    with data_progress(console) as progress:
        progress(1, 8, "rendering")
        progress(8, 8, "rendering")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "rendering" in text
    if not terminal:
        assert text == "rendering: 8/8\n"
