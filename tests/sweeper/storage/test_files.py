"""Storage and spool: whole files or none, on a disk or behind a URI."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sweeper.driver.outbox import drain_spools
from sweeper.driver.spool import Spool, spool_path
from sweeper.errors import SweeperError
from sweeper.ledger import filesystem, read
from sweeper.ledger.connect import open_writer
from sweeper.ledger.write import Ledger
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored


@pytest.fixture(params=["directory", "uri"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    root = tmp_path / "kept"
    return Storage(str(root) if request.param == "directory" else root.as_uri())


def test_what_was_written_is_read_and_listed(storage: Storage) -> None:
    storage.write("folder/name", b"one")
    storage.write("folder/name", b"another")
    assert storage.read("folder/name") == b"another"
    assert storage.read("folder/name", 3) == b"ano"
    assert storage.names("folder") == ["name"]
    assert storage.has("folder/name")


def test_what_is_not_there_is_none(storage: Storage) -> None:
    assert storage.read("folder/name") is None
    assert storage.names("folder") == []
    storage.delete("folder/name")
    assert not storage.has("folder/name")


def test_deleting_takes_what_a_crash_left_of_a_writing(storage: Storage, tmp_path: Path) -> None:
    storage.write("folder/name", b"one")
    (tmp_path / "kept/folder/name.partial").write_bytes(b"tw")
    storage.delete("folder/name")
    assert storage.names("folder") == []


def test_a_write_without_room_leaves_the_old_file(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("name", b"old")

    def no_room(_handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("sweeper.storage.files.os.fsync", no_room)
    if "://" not in storage.root:
        with pytest.raises(OSError, match="no space left"):
            storage.write("name", b"new")
        assert storage.read("name") == b"old"


def test_a_uri_that_means_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="--storage nowhere://x"):
        Storage("nowhere://x")


def test_a_spool_gives_back_its_events_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for number in range(3):
        spool.append({"number": number})
    assert [event["number"] for event in Spool(spool.path).read()] == [0, 1, 2]
    spool.clear()
    assert not spool.path.exists() and spool.waiting == 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_line_hides_no_other(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append({"number": 0})
    spool.append({"number": 1})
    spool.path.write_bytes(spool.path.read_bytes()[:-cut])
    survivors = [0] if cut > 1 else [0, 1]
    assert [event["number"] for event in spool.read()] == survivors
    spool.append({"number": 2})
    assert [event["number"] for event in spool.read()] == [*survivors, 2]


def test_an_altered_line_is_left_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append({"number": 4})
    spool.append({"number": 5})
    spool.path.write_bytes(spool.path.read_bytes().replace(b"4", b"7", 1))
    assert len(spool.read()) == 1


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        *((kind, True) for kind in ("nfs4", "cifs", "lustre", "fuse.sshfs")),
        *((kind, False) for kind in ("ext4", "tmpfs", "overlay", "fuseblk")),
    ],
)
def test_sqlite_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, network: bool
) -> None:
    shared = tmp_path / "our share"
    shared.mkdir()
    mounts = tmp_path / "mounts"
    escaped = str(shared).replace(" ", r"\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {escaped} {kind} rw 0 0\n")
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    assert filesystem.network_type(shared / "sub") == (kind if network else None)
    assert filesystem.network_type(tmp_path) is None
    if network:
        with pytest.raises(SweeperError, match=f"network file system .{kind}.*postgresql"):
            open_writer(str(shared / "x.db"))
    else:
        open_writer(str(shared / "x.db")).dispose()


def test_a_spooled_event_that_no_longer_fits_is_noted_and_stops_nobody(
    ledger: Ledger, engine: Engine, smoke: list[tuple[Cell, RunConfig]]
) -> None:
    ledger.register({}, smoke)
    key = smoke[0][1].key
    spool = Spool(spool_path(engine, ledger.sweep_id, 0))
    results = [dataclasses.asdict(scored(key))]
    odd = [{**results[0], "scores": {"no_such_column": 1.0}}]
    for own in (odd, results):
        spool.append({"event": "results", "pack": "p", "results": own, "seconds": 1.0})
    assert drain_spools(ledger) == 1
    assert read.states(engine, [key]) == {key: "finished"}
    assert not spool.path.exists()
    with engine.connect() as connection:
        kinds = connection.scalars(text("SELECT kind FROM events")).all()
    assert kinds == ["spool-refused"]
