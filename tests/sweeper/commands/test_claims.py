"""`sweeper report --claims`: the verdicts in the terminal and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.claims import CLAIMS
from analysis.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED
from tests.page.planted import plant
from tests.sweeper.cli.conftest import Sweeper, sweeper
from tests.sweeper.ledger.conftest import new_database, server

__all__ = ["new_database", "server", "sweeper"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    plant("results.db", "three", seeds=3, epochs=1)
    return tmp_path


def test_claims_are_printed_within_80_columns_and_nothing_is_written(
    sweeper: Sweeper, place: Path
) -> None:
    code, out, err = sweeper("report", "--claims")
    assert (code, err) == (0, "") and not Path("report").exists()
    assert max(map(len, out.splitlines()[3:])) <= 80  # below the lines of provenance
    assert "supported" in out and "undecided" in out and "(seeds only)" in out
    assert "Of seeds only: no predictions on test clips" in out.replace("\n", " ")


def test_as_json_each_claim_has_its_verdict_numbers_and_cells(
    sweeper: Sweeper, place: Path
) -> None:
    (made,) = json.loads(sweeper("report", "--claims", "--json")[1])
    assert made["sweep"] == "three" and "3 seeds" in made["basis"]
    assert [claim["key"] for claim in made["claims"]] == [claim.key for claim in CLAIMS]
    assert {claim["verdict"] for claim in made["claims"]} <= {SUPPORTED, CONTRADICTED, UNDECIDED}
    assert all(claim["rests_on"] and not claim["holm"] for claim in made["claims"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("report --claims --figure 3", "--claims prints a table; leave out --html, --figure"),
        ("report --json", "--json is of --claims"),
        ("report --claims three three", "name one"),
        ("report --claims none", "no sweep 'none' in this database"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    line: str, message: str, sweeper: Sweeper, place: Path
) -> None:
    code, out, err = sweeper(*line.split())
    assert (code, out) == (1, "") and message in err and err.count("\n") <= 2
