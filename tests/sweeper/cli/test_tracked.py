"""A database that git keeps is written to only when it is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sweeper.console.summary import command
from sweeper.ledger.trouble import recovery
from tests.sweeper.cli.conftest import Refused, Sweeper

WRITERS = (
    "launch --grid smoke --preset smoke --executor inline",
    "resume",
    "search",
    "recover",
    "retrain cell",
    "forget sweep",
    "verify --repair",
    "encoders compare --preset smoke",
)


@pytest.fixture
def _kept(place: Path) -> None:
    Path("results.db").touch()
    for words in (["init", "-q"], ["add", "results.db"]):
        subprocess.run(["git", *words], check=True)


@pytest.mark.usefixtures("_kept")
def test_a_database_that_git_keeps_is_written_to_by_its_name_alone(
    refused: Refused, sweeper: Sweeper
) -> None:
    for line in WRITERS:
        refused("name a database of your own with --db FILE", *line.split())
    refused("is not a database of sweeper", "resume", "--db", "results.db")
    refused("is not a database of sweeper", "status")
    refused("is not a database of sweeper", "launch", "--grid", "smoke", "--dry-run")
    assert command("resume", "a b", "results.db") == "sweeper resume 'a b' --db results.db"
    assert recovery("results.db") == "sweeper recover --db results.db"


@pytest.mark.usefixtures("place")
def test_elsewhere_the_default_needs_no_name() -> None:
    Path("results.db").touch()
    assert command("resume", "a", "results.db") == "sweeper resume a"
