"""What a shell offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell

COMPLETE = """
import os, sys
import sweeper.cli.app
try:
    sweeper.cli.app.app(prog_name="sweeper")
finally:
    loaded = {"torch", "ray", "pandas"} & set(sys.modules)
    assert not loaded, loaded
"""


def offered(line: str, directory: Path) -> list[str]:
    """What bash would offer at the end of a line, in a process of its own."""
    words = line.split(" ")
    environment = {
        "_SWEEPER_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    command = [sys.executable, "-c", COMPLETE]
    done = subprocess.run(command, env=environment, cwd=directory, text=True, capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("sweeper launch --preset ", ["paper", "quick", "smoke"]),
        ("sweeper launch --grid ", ["full", "ablation", "baselines", "smoke", "mine.toml"]),
        ("sweeper launch --encoder a", ["audiomae", "audioldm", "ast"]),
        ("sweeper encoders compare --encoder log", ["logmel"]),
        ("sweeper data prepare --dataset n", ["notes", "nsynth"]),
        ("sweeper launch --dataset f", ["folder"]),
        ("sweeper status ", []),
        ("sweeper status --db mine.toml ", []),
    ],
)
def test_names_are_offered_and_what_fails_offers_nothing(
    line: str, names: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text("this is no database")
    assert offered(line, tmp_path) == names
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_sweeps_of_the_database_on_the_line_are_offered(
    db: str, ledger: Ledger, smoke: list[tuple[Cell, RunConfig]], tmp_path: Path
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    assert offered(f"sweeper resume --db {db} ", tmp_path) == ["a"]
