"""`report --html` and `export --format document` by the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from analysis.document import SCHEMA
from sweeper.ledger.connect import open_reader
from sweeper.page.document import document_of
from sweeper.page.watch import Watch
from tests.page.planted import plant
from tests.sweeper.cli.conftest import Sweeper, sweeper
from tests.sweeper.ledger.conftest import new_database, server

__all__ = ["server", "sweeper"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the sweeps `first` and `last` in `results.db`."""
    monkeypatch.chdir(tmp_path)
    plant("results.db", "first", epochs=1)
    plant("results.db", "last", data="mae", epochs=1)
    return tmp_path


def test_a_page_is_one_file_and_its_path_is_printed(sweeper: Sweeper, place: Path) -> None:
    before = Path("results.db").read_bytes()
    assert sweeper("report", "--html") == (0, "report/report.html\n", "")
    assert [path.name for path in Path("report").iterdir()] == ["report.html"]
    assert "<title>last</title>" in Path("report/report.html").read_text()
    assert Path("results.db").read_bytes() == before


def test_several_sweeps_stand_side_by_side_in_the_order_asked(
    sweeper: Sweeper, place: Path
) -> None:
    assert sweeper("report", "--html", "first", "last", "--out", "both")[0] == 0
    assert "<title>first and last</title>" in Path("both/report.html").read_text()


def test_a_document_is_written_to_a_file_or_printed(sweeper: Sweeper, place: Path) -> None:
    code, out, _ = sweeper("export", "first", "--format", "document")
    made = json.loads(out)
    jsonschema.validate(made, SCHEMA)
    assert code == 0 and [sweep["name"] for sweep in made["sweeps"]] == ["first"]
    assert made["sweeps"][0]["launch"] == (
        "sweeper launch --grid full --preset smoke --seeds 5 --dataset notes --encoder logmel "
        "--name first --db results.db"
    )
    assert sweeper("export", "first", "--format", "document", "--out", "d.json")[0] == 0
    assert Path("d.json").read_text() == out


def test_by_configuration_a_row_has_means_and_the_ends_of_their_intervals(
    sweeper: Sweeper, place: Path
) -> None:
    rows = json.loads(sweeper("export", "--all", "--by", "configuration", "--format", "json")[1])
    assert [row["sweep"] for row in rows] == ["last"] * 49 + ["first"] * 49
    assert {"name", "seeds", "delta_pitch", "delta_pitch_low", "delta_pitch_high"} <= set(rows[0])


def test_a_document_of_all_has_every_sweep(sweeper: Sweeper, place: Path) -> None:
    made = json.loads(sweeper("export", "--all", "--format", "document")[1])
    assert [sweep["name"] for sweep in made["sweeps"]] == ["last", "first"]
    assert [(pair["a"], pair["b"]) for pair in made["pairs"]] == [(0, 1)]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("report --html none", "no sweep 'none' in this database"),
        ("report --html first first", "'first' twice: name each sweep once"),
        ("report --html --figure 3", "--html is one page with everything; leave out --figure"),
        ("report --html --paper", "--html is one page with everything"),
        ("report first last", "several sweeps are drawn side by side with --html alone"),
        ("report --html --out results.db", "cannot write to results.db"),
        ("report --html --db gone.db", "no database at gone.db"),
    ],
)
def test_what_cannot_be_a_page_is_one_line(
    sweeper: Sweeper, place: Path, command: str, says: str
) -> None:
    code, out, err = sweeper(*command.split())
    assert (code, out, err.count("\n")) == (1, "", 1) and says in err
    assert sorted(path.name for path in place.iterdir()) == ["results.db"]


def test_a_comparison_of_encoders_is_no_page(sweeper: Sweeper, place: Path) -> None:
    from sweeper.ledger.connect import writer
    from sweeper.ledger.write import Ledger
    from sweeper.study.grid import Cell, run_config
    from sweeper.study.presets import PRESETS

    cell = Cell("encoder", 0)
    with writer("results.db") as engine, Ledger.of(engine, "encoders") as ledger:
        ledger.register(
            {"grid": "encoders", "encoders": {"x": "mae"}},
            [(cell, run_config(cell, PRESETS["smoke"]))],
        )
    code, _, err = sweeper("report", "--html")
    assert code == 1 and "compares encoders and has no grid" in err
    code, _, err = sweeper("export", "--format", "document")
    assert code == 1 and "compares encoders and has no grid" in err


def test_a_document_from_postgresql_is_the_one_from_sqlite(server: str, place: Path) -> None:
    url = new_database(server)
    plant(url, "first", epochs=1)
    made = []
    for db in ("results.db", url):
        engine = open_reader(db)
        made.append(document_of(engine, ["first"], "x.db"))
        engine.dispose()
    assert made[0] == made[1]
    live = asyncio.run(Watch(url, []).newest(())).document  # as `serve` makes it
    assert live["sweeps"][0]["cells"] == made[0]["sweeps"][0]["cells"]
    assert (live["live"]["trouble"], live["live"]["sweeps"][0]["finished"]) == (None, 57)
