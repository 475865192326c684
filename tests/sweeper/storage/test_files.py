"""Storage and spool: whole files or none, on a disk or behind a URI."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeper.driver.outbox import append_to_spool
from sweeper.errors import SweeperError
from sweeper.events import Noted
from sweeper.storage.files import Storage, check_writable, ledger_root, write_atomically


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


def test_what_is_not_there_is_none(storage: Storage) -> None:
    assert storage.names("folder") == []
    storage.delete("folder/name")
    assert storage.read("folder/name") is None


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


def test_bytes_then_name_then_directory_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any other order a power cut could leave a name without its bytes."""
    path, seen = tmp_path / "name", list[tuple[str, int, bool]]()
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        file = os.fstat(handle)
        kind = "directory" if stat.S_ISDIR(file.st_mode) else "file"
        seen.append((kind, 0 if kind == "directory" else file.st_size, path.exists()))
        fsync(handle)

    def renamed(source: Path, target: Path) -> None:
        seen.append(("name", os.path.getsize(source), path.exists()))
        replace(source, target)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.replace", renamed)
    write_atomically(path, b"bytes")
    assert seen == [("file", 5, False), ("name", 5, False), ("directory", 0, True)]


def test_a_uri_that_means_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="--storage nowhere://x"):
        Storage("nowhere://x")


@pytest.mark.parametrize(
    ("base", "root"),
    [
        ("/a/b/", "/a/b/ledgers/x"),
        ("/a?b", "/a?b/ledgers/x"),
        ("s3://bucket/a/?region=eu&scheme=http", "s3://bucket/a/ledgers/x?region=eu&scheme=http"),
        ("s3://bucket", "s3://bucket/ledgers/x"),
    ],
)
def test_a_ledgers_folder_stands_before_the_query_of_a_uri(base: str, root: str) -> None:
    assert ledger_root(base, "x") == root


@pytest.mark.parametrize("bad", ["SWEEPER_CACHE", "--storage"])
def test_a_place_that_cannot_be_written_is_told_by_the_option_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    nowhere = "/dev/null/x"
    monkeypatch.setenv("SWEEPER_CACHE", nowhere if bad == "SWEEPER_CACHE" else str(tmp_path))
    with pytest.raises(SweeperError, match=f"cannot write to {nowhere} .*directory by {bad}"):
        check_writable(nowhere if bad == "--storage" else None)


def test_what_is_kept_is_its_users_alone(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(0o755)  # the user's own stays as it is
    storage.write("folder/name", b"one")
    append_to_spool(tmp_path / "cache" / "spool", Noted("p", "kind", "detail"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    private = {"folder": 0o700, "name": 0o600, "cache": 0o700, "spool": 0o600}
    assert modes == {"kept": 0o755, **private}


def test_two_drivers_replace_a_file_at_once_and_neither_is_in_the_others_way(
    tmp_path: Path,
) -> None:
    storage = Storage(str(tmp_path))

    def replace(writer: str) -> None:
        for number in range(100):
            storage.write_json("ledger.json", {"by": writer, "n": number}, writer=writer)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(replace, writer) for writer in (".sweep-1", ".sweep-2")]:
            done.result()  # raises what was raised there
    assert storage.read_json("ledger.json")["n"] == 99
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]
