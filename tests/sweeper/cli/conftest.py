"""The command line in this process."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.cli.app import run as run_app

Sweeper = Callable[..., tuple[int, str, str]]
Refused = Callable[..., None]


@pytest.fixture
def sweeper(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sweeper:
    """Runs the command line in this process: (exit code, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sweeper", *arguments])
        code = run_app()
        captured = capsys.readouterr()
        return code or 0, captured.out, captured.err

    return run


def went_through(*_: object) -> None:
    pytest.fail("nothing stopped this command")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a few files to stumble over, and an empty cache."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    for module in ("commands.data", "commands.compare", "sweep"):  # who imports, first
        monkeypatch.setattr(f"sweeper.{module}.prepare_all", went_through)
    monkeypatch.setattr("sweeper.ledger.connect.BUSY_SECONDS", 0.1)
    here = tmp_path / "here"
    here.mkdir()
    (here / "bad.sf2").write_text("no SoundFont")
    (here / "grid-loop.toml").symlink_to("grid-loop.toml")
    monkeypatch.chdir(here)
    return here


def contents(root: Path) -> dict[str, str]:
    """Every path below, and a digest of what it holds."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file() and os.access(path, os.R_OK)
        else ""
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def refused(sweeper: Sweeper, place: Path, tmp_path: Path) -> Refused:
    """Asserts that a command is refused in one line that says so, and leaves no trace."""

    def check(says: str, *arguments: str, code: int = 1) -> None:
        before = contents(tmp_path)
        left, _, err = sweeper(*arguments)
        assert (left, err.count("\n")) == (code, 1), err[-3_000:]
        assert err.startswith("sweeper") and "Traceback" not in err
        assert says in err
        assert contents(tmp_path) == before

    return check
