"""The page as it is served: what it answers, and what it says of a database that is in trouble."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from analysis.document import SCHEMA
from sweeper.ledger import connect
from sweeper.page import watch
from sweeper.page.server import Page, address, application, listening
from sweeper.states import State
from tests.page.planted import plant
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]
HOSTILE = "</script><img src=x onerror=alert(1)>'\"🎹\x1b"


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sweep that is finished, and one launched later of which a cell has diverged."""
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(watch, "EVERY", 0.0)
    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    path = str(tmp_path / "results.db")
    plant(path, "first", grid="smoke", epochs=2)
    state = lambda cell: State.DIVERGED if cell.lam == 0.6 else State.FINISHED  # noqa: E731
    plant(path, "later", grid="smoke", data="mae", epochs=2, state=state, cause=HOSTILE)
    return path


def client(db: str, *names: str, is_over: Callable[[], bool] = lambda: False) -> TestClient:
    page = Page(db, names, is_over)
    return TestClient(application(page, "127.0.0.1", None), base_url="http://127.0.0.1:8765")


@pytest.fixture
def reader(db: str) -> Iterator[TestClient]:
    with client(db) as opened:
        yield opened


def test_the_page_may_ask_its_own_server_and_nobody_else(reader: TestClient) -> None:
    got = reader.get("/")
    rules = dict(rule.split(" ", 1) for rule in got.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["connect-src"] == "'self'" and "unsafe" not in str(rules)
    assert "data-live" in got.text and reader.post("/").status_code == 405


def test_the_document_is_one_by_the_schema_with_how_the_sweeps_stand(reader: TestClient) -> None:
    made = reader.get("/data.json").json()
    jsonschema.validate(made, SCHEMA)
    assert [sweep["name"] for sweep in made["sweeps"]] == ["later"]
    later, first = made["live"]["sweeps"]
    assert made["live"]["trouble"] is None
    assert (first["name"], first["finished"], first["cells"]) == ("first", 4, 4)
    assert later["states"] == {"finished": 3, "diverged": 1}
    assert reader.get("/data.json?sweep=first&sweep=later").json()["pairs"]


def test_what_has_not_changed_is_not_sent_again(reader: TestClient, db: str) -> None:
    tag = reader.get("/data.json").headers["etag"]
    same = reader.get("/data.json", headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    plant(db, "third", grid="smoke", epochs=1, data="dac")
    newer = reader.get("/data.json", headers={"If-None-Match": tag})
    assert newer.status_code == 200 and newer.headers["etag"] != tag
    assert newer.json()["sweeps"][0]["name"] == "third"


def test_a_stream_tells_the_version_whenever_there_is_another(db: str) -> None:
    looks = iter([False, False, False, True])

    def is_over() -> bool:
        return next(looks)

    with client(db, is_over=is_over) as reader:
        tag = reader.get("/data.json").headers["etag"].strip('"')
        told = reader.get("/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.text == f"data: {tag}\n\n"  # three looks, one version


def test_a_name_that_is_none_is_told_with_the_sweeps_that_there_are(reader: TestClient) -> None:
    made = reader.get("/data.json", params={"sweep": "lates"}).json()
    jsonschema.validate(made, SCHEMA)
    assert "no sweep 'lates'" in made["live"]["trouble"] and "'later'" in made["live"]["trouble"]


def spoil_remove(path: Path) -> None:
    path.unlink()


def spoil_text(path: Path) -> None:
    path.write_text("no database at all, but as long as one would be " * 99)


def spoil_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    connection.close()


def spoil_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_remove, "no database at"),
        (spoil_text, "is not a SQLite database"),
        (spoil_newer, "newer than this sweeper's"),
        (spoil_directory, "is a directory"),
    ],
)
def test_a_database_in_trouble_leaves_the_page_and_says_why_until_it_is_back(
    reader: TestClient, db: str, spoil: Callable[[Path], None], says: str
) -> None:
    whole = reader.get("/data.json").json()
    path, kept = Path(db), Path(f"{db}.kept")
    shutil.copy(path, kept)
    spoil(path)
    made = reader.get("/data.json").json()
    jsonschema.validate(made, SCHEMA)
    assert says in made["live"]["trouble"] and "\n" not in made["live"]["trouble"]
    assert made["sweeps"] == whole["sweeps"]
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    kept.rename(path)
    assert reader.get("/data.json").json() == whole


def test_a_locked_database_is_told_so_and_another_file_in_its_place_is_shown(
    reader: TestClient, db: str, tmp_path: Path
) -> None:
    before = reader.get("/data.json").json()
    with sqlite3.connect(db, isolation_level=None) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN EXCLUSIVE")
        locked = reader.get("/data.json").json()
        connection.execute("ROLLBACK")
    connection.close()
    assert "is locked by another program" in locked["live"]["trouble"]
    assert locked["sweeps"] == before["sweeps"]
    plant(str(tmp_path / "other.db"), "other", grid="smoke", epochs=1)
    (tmp_path / "other.db").replace(db)
    assert reader.get("/data.json").json()["sweeps"][0]["name"] == "other"


def test_reading_leaves_one_file_and_the_bytes_as_they_were(reader: TestClient, db: str) -> None:
    before = Path(db).read_bytes()
    reader.get("/data.json")
    assert Path(db).read_bytes() == before
    assert [path.name for path in Path(db).parent.iterdir()] == ["results.db"]


def test_claims_are_judged_when_another_run_is_finished_and_documents_when_a_row_is(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"document_of": 0, "judged": 0}

    def counted(name: str) -> Callable[..., Any]:
        whole = getattr(watch, name)

        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return whole(*arguments)

        return call

    for name in calls:
        monkeypatch.setattr(watch, name, counted(name))

    async def look() -> None:
        made = watch.Watch(db, ["later"])
        await made.newest(())
        with sqlite3.connect(db) as connection:  # a heartbeat
            connection.execute("UPDATE leases SET heartbeat = heartbeat + 1")
        connection.close()
        await made.newest(())
        assert calls == {"document_of": 1, "judged": 1}
        with sqlite3.connect(db) as connection:
            connection.execute("DELETE FROM epochs WHERE epoch = 2")
        connection.close()
        await made.newest(())
        assert calls == {"document_of": 2, "judged": 1}
        plant(db, "later", grid="smoke", data="mae", epochs=1, seeds=2)
        await made.newest(())
        assert calls == {"document_of": 3, "judged": 2}
        monkeypatch.setattr(watch, "EVERY", 60.0)
        plant(db, "later", grid="smoke", data="mae", epochs=1, seeds=3)
        assert len((await made.newest(())).document["sweeps"][0]["cells"]["label"]) == 8

    asyncio.run(look())


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("serve --port {taken}", "Address already in use"),
        ("serve nobody", "no sweep 'nobody'"),
        ("serve --db gone.db", "no database at gone.db"),
        ("serve --host nowhere.invalid", "cannot listen on nowhere.invalid:8765"),
        ("serve --host 0.0.0.0 --token short", "--token: at least 16 letters"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    sweeper: Sweeper, db: str, monkeypatch: pytest.MonkeyPatch, command: str, says: str
) -> None:
    monkeypatch.chdir(Path(db).parent)
    with listening("127.0.0.1", 0) as bound:
        code, out, err = sweeper(*command.format(taken=bound.getsockname()[1]).split())
    assert (code, out, err.count("\n")) == (1, "", 1) and says in err


def test_the_page_is_there_before_what_makes_its_document_is_loaded() -> None:
    heavy = "{'pandas', 'torch', 'ray', 'scipy', 'alembic'}"
    code = f"import sys, sweeper.commands.serve; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_the_address_is_one_that_a_browser_takes() -> None:
    with listening("127.0.0.1", 0) as bound:
        assert address(bound, None) == f"http://127.0.0.1:{bound.getsockname()[1]}/"
    with listening("0.0.0.0", 0) as bound:
        port = bound.getsockname()[1]
        assert address(bound, "t") == f"http://{socket.gethostname()}:{port}/?token=t"
