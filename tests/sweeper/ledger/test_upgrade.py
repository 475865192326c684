"""Databases of every released schema open, and upgrade in place with a backup beside them."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sweeper.ledger import check, connect, read, upgrade
from sweeper.ledger.connect import open_reader, open_writer, writer
from sweeper.ledger.schema import SCHEMA_VERSION, Base
from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.sweep import plan_of

RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql"))

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade():
    op.add_column("scores", sa.Column("later", sa.Float()))
"""


def restored(release: Path, file: str) -> None:
    """The database that a released version has written, from its dump."""
    connection = sqlite3.connect(file)
    connection.executescript(release.read_text())
    connection.close()


def test_every_released_schema_is_stored() -> None:
    assert RELEASED[-1].stem == SCHEMA_VERSION


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.stem)
def test_a_released_database_opens_with_all_that_it_holds(file: str, release: Path) -> None:
    restored(release, file)
    open_writer(file).dispose()
    engine = open_reader(file)
    with engine.connect() as connection:
        version = connection.scalar(text("SELECT version_num FROM schema_version"))
        for table in Base.metadata.sorted_tables:
            connection.execute(table.select()).fetchall()
    table = read.results(engine, "a")
    assert version == SCHEMA_VERSION
    assert table["state"].to_list() == ["finished", "failed", "diverged", "pending"]
    assert table["pitch_overall"].to_list()[0] == 0.5
    engine.dispose()


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.stem)
def test_a_released_database_is_read_as_it_is(file: str, release: Path) -> None:
    restored(release, file)
    before = Path(file).read_bytes()
    engine = open_reader(file)
    assert read.results(engine, "a")["state"].to_list()[0] == "finished"
    assert read.find_sweep(engine, None).name == "a"
    engine.dispose()
    assert Path(file).read_bytes() == before
    assert not list(Path(file).parent.glob("*.backup-*"))


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.stem)
def test_a_released_database_is_resumed_and_what_it_finished_stays_finished(
    file: str, release: Path, tmp_path: Path
) -> None:
    """All its runs are known by the keys that their configs have today."""
    restored(release, file)
    for _ in range(2):  # the second time there is nothing to rename
        with writer(file) as engine, Ledger.of(engine, "a") as ledger:
            plan = plan_of(ledger)
            assert {run.key for run in plan.runs} >= set(plan.states)
            states = [plan.state_of(run) for _, run in read.cells_of(engine, ledger.sweep_id)]
    assert states == ["finished", "failed", "diverged", "pending"]
    assert plan.missing() == [run for run in plan.runs if run.kind == "encoder"]


def test_a_run_that_was_trained_under_both_keys_becomes_one(file: str) -> None:
    """As it happened to whoever resumed an old database with a newer version."""
    restored(RELEASED[0], file)
    connection = sqlite3.connect(file)
    runs = connection.execute("SELECT id, config FROM runs ORDER BY id").fetchall()
    for number, (_, config) in enumerate(runs[:2], start=90):
        run = RunConfig.from_json(config)
        row = (number, run.key, run.to_json())
        connection.execute("INSERT INTO runs (id, key, config) VALUES (?, ?, ?)", row)
    connection.execute("UPDATE attempts SET run_id = 91 WHERE run_id = 2")
    connection.commit()
    connection.close()
    with writer(file) as engine:
        table = read.results(engine, "a")
    assert table["state"].to_list() == ["finished", "failed", "diverged", "pending"]
    left = sqlite3.connect(file)
    assert left.execute("SELECT COUNT(*) FROM runs WHERE id >= 90").fetchall() == [(1,)]
    assert left.execute("PRAGMA foreign_key_check").fetchall() == []
    left.close()


def columns(file: str) -> dict[str, list[tuple[object, ...]]]:
    """Every table's columns with types, nullability and places in the primary key."""
    connection = sqlite3.connect(file)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = {
        name: [(r[1], r[2], r[3], r[5]) for r in connection.execute(f"PRAGMA table_info({name})")]
        for (name,) in names
    }
    connection.close()
    return found


def test_an_upgraded_schema_is_a_new_one(file: str, tmp_path: Path) -> None:
    restored(RELEASED[0], file)
    open_writer(file).dispose()
    open_writer(str(tmp_path / "new.db")).dispose()
    assert columns(file) == columns(str(tmp_path / "new.db"))


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose schema is one migration ahead of the stored databases."""
    ahead = tmp_path / "migrations"
    shutil.copytree(upgrade.MIGRATIONS, ahead)
    (ahead / "versions" / "0005_later.py").write_text(NEXT)
    monkeypatch.setattr(upgrade, "MIGRATIONS", ahead)
    for module in (check, connect):
        monkeypatch.setattr(module, "SCHEMA_VERSION", "0005")


@pytest.mark.usefixtures("next_release")
def test_an_older_database_is_upgraded_in_place_with_a_backup(file: str) -> None:
    restored(RELEASED[0], file)
    open_writer(file).dispose()
    engine = open_reader(file)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(later) FROM scores")) == 0
        assert connection.scalar(text("SELECT version_num FROM schema_version")) == "0005"
    assert read.results(engine, "a")["state"].to_list()[0] == "finished"
    engine.dispose()
    backup = sqlite3.connect(f"{file}.backup-0001")
    assert backup.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    assert backup.execute("SELECT COUNT(*) FROM scores").fetchall() == [(1,)]
    backup.close()


@pytest.mark.parametrize("backups", [0, 1])
def test_two_drivers_that_upgrade_at_once_both_go_on(
    file: str, monkeypatch: pytest.MonkeyPatch, backups: int
) -> None:
    """The other is through when this one, which has seen the old schema, begins."""
    restored(RELEASED[0], file)
    for _ in range(backups):  # of an upgrade that was killed
        Path(f"{file}.backup-0001").write_text("half")
    back_up = upgrade.back_up

    def other_comes_first(engine: Engine, version: str) -> None:
        monkeypatch.setattr(upgrade, "back_up", back_up)
        open_writer(file).dispose()
        back_up(engine, version)

    monkeypatch.setattr(upgrade, "back_up", other_comes_first)
    with writer(file) as engine:
        assert read.results(engine, "a")["state"].to_list()[0] == "finished"
    assert len(list(Path(file).parent.glob("*.backup-0001*"))) == 2 + backups


@pytest.mark.usefixtures("next_release")
def test_a_migration_that_fails_leaves_the_database_as_it_was(file: str) -> None:
    restored(RELEASED[0], file)
    broken = upgrade.MIGRATIONS / "versions" / "0005_later.py"
    broken.write_text(NEXT + "    raise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError, match="half way"):
        open_writer(file)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    assert connection.execute("SELECT COUNT(*) FROM results").fetchall() == [(4,)]
    columns = [row[1] for row in connection.execute("PRAGMA table_info(scores)")]
    assert "later" not in columns
    connection.close()
