"""Grids as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from sweeper.commands.grid import MEANINGS, as_file, check, options
from sweeper.errors import SweeperError
from sweeper.study.axes import fields
from sweeper.study.grid import GRIDS, load_grid
from sweeper.study.request import requested


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_that_is_shown_is_the_same_grid_when_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text(as_file(name))
    assert load_grid(str(file)) == GRIDS[name]


def test_every_option_that_may_be_an_axis_is_told_with_its_value() -> None:
    lines = dict(line.split(" = ", 1) for line in options("quick").splitlines())
    assert list(lines) == fields() == list(MEANINGS)
    assert lines["training.epochs"] == "8" and lines["loss.gamma"].startswith('"geometric-ratio"')
    assert "  # pairs of clips a step" in lines["training.batch_pairs"]


def test_a_file_is_checked_without_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(as_file("full") + "[axes]\ntraining.lr = [1e-3, 1e-4]\n")
    console = Console(width=100)
    with console.capture() as capture:
        check(requested(str(file), "quick"), console)
    # Two learning rates of all but the frozen encoder.
    assert "113 cells, 97 runs" in capture.get()
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(SweeperError, match="did you mean"):
        check(requested("fulll", "quick"), console)
