"""`--notify`: a user's command at the end of a launch, however that ended."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sweeper.commands import notify
from sweeper.commands.notify import notified
from sweeper.errors import ClusterDiedError, SweeperError
from sweeper.ledger.write import Ledger
from sweeper.signals import StoppedError
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored, train

WORDS = "$SWEEPER_SWEEP $SWEEPER_OUTCOME $SWEEPER_EXIT_CODE $SWEEPER_FINISHED/$SWEEPER_TOTAL"


def console_of() -> Console:
    return Console(file=io.StringIO(), width=200)


def told_of(db: str, told: Path, work: Callable[[], int]) -> str:
    """What the command heard, by way of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLD", str(told))
        notified(f'echo "{WORDS} $SWEEPER_DB" > "$TOLD"', db, None, console_of(), work)
    return told.read_text().strip()


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


def test_the_command_hears_of_every_outcome(
    db: str, ledger: Ledger, smoke: list[tuple[Cell, RunConfig]], tmp_path: Path
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    train(ledger, "p", [scored(smoke[0][1].key)])
    told = tmp_path / "told"
    for code, outcome in {0: "finished", 2: "failed", 143: "interrupted"}.items():
        heard = told_of(db, told, lambda code=code: code)
        assert heard == f"a {outcome} {code} 1/4 {db}"
    for error, words in {
        ClusterDiedError("Ray died"): "ray-died 4",
        StoppedError(2): "interrupted 130",
        SweeperError("bad input"): "error 1",
    }.items():
        with pytest.raises(type(error)):
            told_of(db, told, raising(error))
        assert told.read_text().strip() == f"a {words} 1/4 {db}"


def test_no_password_and_no_database_are_no_trouble(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:hidden@127.0.0.1:1/x"
    told = notify.environment(url, "b", 1)
    assert told["SWEEPER_DB"] == url.replace("hidden", "***")
    assert (told["SWEEPER_SWEEP"], told["SWEEPER_TOTAL"]) == ("b", "")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("exit 7", "the command ended with exit code 7"),
        ("sleep 60 & sleep 60", "the command was ended after 0.2 s"),
        ("/no/such/program 2> /dev/null", "exit code 127"),
    ],
)
def test_a_command_that_fails_or_hangs_is_one_line_and_no_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, says: str
) -> None:
    monkeypatch.setattr(notify, "PATIENCE", 0.2)
    console, began = console_of(), time.monotonic()
    assert notified(command, str(tmp_path / "x.db"), "a", console, lambda: 2) == 2
    assert time.monotonic() - began < 5
    (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert says in line


def test_an_empty_command_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="--notify is empty"):
        notified(" ", "x.db", None, console_of(), raising(AssertionError()))
