"""What `report` prints: the files written, then a line for each thing that it omits."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from analysis.report import FIGURES
from sweeper.cli.options import Drawing
from sweeper.commands import report
from tests.analysis.synthetic import database, full_rows, unfinished


def test_the_command_line_names_the_figures_that_there_are() -> None:
    assert [drawing.value for drawing in Drawing] == list(FIGURES)


def test_what_cannot_be_drawn_yet_is_one_line_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row if row.get("lam") == 1 else unfinished(row) for row in full_rows(1)]
    sweep = SimpleNamespace(name="synthetic", options={}, compares_encoders=False)
    monkeypatch.setattr(report, "open_reader", lambda db: database(rows))
    monkeypatch.setattr(report.read, "find_sweep", lambda engine, name: sweep)
    printed = StringIO()
    console = Console(file=printed, soft_wrap=True, highlight=False)
    report.write_report("any.db", None, None, None, tmp_path, ("svg",), False, console)
    *paths, first, _, _, _ = printed.getvalue().splitlines()
    assert sorted(paths) == sorted(map(str, tmp_path.iterdir()))
    assert not any("figure-4" in path for path in paths)
    assert first.startswith("Figure 4 needs a finished λ = 1 run and a λ < 1 run of the same seed;")
