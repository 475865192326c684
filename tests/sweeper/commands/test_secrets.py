"""No secret of a database, a storage or the environment is printed or stored."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow import fs
from sqlalchemy import Engine, create_engine, inspect, text

from sweeper.storage import files
from tests.faults import toy
from tests.sweeper.cli.conftest import Sweeper, sweeper
from tests.sweeper.commands.conftest import LAUNCH, write_grid
from tests.sweeper.ledger.conftest import new_database, server

__all__ = ["server", "sweeper"]

SECRET = "S3CRET/of+anyone"
STORAGE = f"s3://KEY:{SECRET}@bucket/sweeps?region=here"


@pytest.fixture
def db(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database by a URL with a password; s3:// is a directory here, with its query checked."""

    def from_uri(uri: str) -> tuple[fs.FileSystem, str]:
        place, _, query = uri.removeprefix(f"s3://KEY:{SECRET}@").partition("?")
        assert query == "region=here" and "://" not in place
        return fs.LocalFileSystem(), str(tmp_path / place)

    monkeypatch.setattr(files, "fs", SimpleNamespace(**{**vars(fs), "FileSystem": fs.FileSystem}))
    monkeypatch.setattr(files.fs, "FileSystem", SimpleNamespace(from_uri=from_uri))
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr(files, "_WHOLE", {})
    monkeypatch.chdir(tmp_path)
    engines: list[Engine] = []

    def create(*arguments: Any, **options: Any) -> Engine:
        engines.append(create_engine(*arguments, **options))
        return engines[-1]

    monkeypatch.setattr("sweeper.ledger.connect.create_engine", create)
    yield new_database(server).replace("sweeper@", "sweeper:S3CRET@")
    for engine in engines:  # readers leave theirs to the end of the process
        engine.dispose()


def everything(db: str, directory: Path) -> Iterator[str]:
    """All rows of the database, all files below the directory."""
    engine = create_engine(db)
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            yield str(connection.execute(text(f"SELECT * FROM {table}")).all())
    engine.dispose()
    for path in directory.rglob("*"):
        yield str(path)
        if path.is_file():
            yield path.read_bytes().decode("latin-1")


def test_no_secret_is_in_any_output_table_or_file(
    sweeper: Sweeper, db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.make_latents()
    write_grid("toy", lambdas="[0.6]")
    said: list[str] = []

    def says(code: int, line: str, db: str = db) -> None:
        left, out, err = sweeper(*shlex.split(line), "--db", db)
        said.extend((out, err))
        assert left == code, err

    says(0, f"{shlex.join(LAUNCH)} --grid toy.toml --storage {shlex.quote(STORAGE)}")
    assert list((tmp_path / "bucket/sweeps/ledgers").rglob("results/*.json"))
    for line in ("status", "status --json", "list --json", "export", "export --format document"):
        says(0, line)
    says(0, "verify")
    monkeypatch.setattr(files, "_WHOLE", {})  # another process: nobody has told it the key
    says(1, "resume --executor inline")
    assert "set SWEEPER_STORAGE to the whole URI" in said[-1]
    monkeypatch.setenv("SWEEPER_STORAGE", STORAGE)
    says(0, "resume --executor inline")
    says(1, "status nothing")
    says(1, "status", db.replace("/test_", "/none_"))
    says(1, "status", f"mysql://me:{SECRET}@h/x")
    says(1, f"status a {db}")
    says(1, f"launch --grid toy.toml --storage nothing://K:{SECRET}@h/x")
    says(0, "recover")  # it knows the database by its URL, whatever the password
    for text_ in (*said, *everything(db, tmp_path)):
        assert "S3CRET" not in text_


def test_a_defect_is_told_without_secrets(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError(f"no route to {STORAGE}")

    monkeypatch.setattr("sweeper.commands.list.show_list", defect)
    code, _, err = sweeper("list", "--db", str(tmp_path / "x.db"))
    assert code == 1 and "RuntimeError: no route to s3://KEY:***@bucket" in err
    assert SECRET not in err
