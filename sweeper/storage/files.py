"""Where a ledger's checkpoints and results are kept: a disk, or whatever pyarrow.fs reaches.

A file is written whole or not at all, and once written survives a power cut.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pyarrow import ArrowException, fs

from models.cache import cache_root as cache_root
from sweeper.errors import HIDDEN, SweeperError, redact

LEDGERS = "ledgers"
_WHOLE: dict[str, str] = {}  # storages that this process was told, by what is shown of them


def remember(storage: str) -> str:
    """What may be stored of a storage; its key, if it has one, stays in this process."""
    if (shown := redact(storage)) != storage:
        _WHOLE[shown] = storage
    return shown


def base_of(storage: str | None) -> str:
    """A storage with its key, as far as it has one; SWEEPER_STORAGE's or the cache by default.

    Raises SweeperError for one whose key this process was never told.
    """
    asked = os.environ.get("SWEEPER_STORAGE")
    if storage is None or HIDDEN not in storage:
        return storage or asked or str(cache_root())
    if asked and redact(asked) == storage:
        return asked
    if storage not in _WHOLE:
        raise SweeperError(
            f"the key of {storage} is not stored; set SWEEPER_STORAGE to the whole URI and go on"
        )
    return _WHOLE[storage]


def below(base: str, *names: str) -> str:
    """A folder of a directory or URI, in front of the URI's query."""
    place, mark, query = base.partition("?") if "://" in base else (base, "", "")
    return "/".join([place.rstrip("/"), *names]) + mark + query


def ledger_root(storage: str | None, ledger: str) -> str:
    """The folder of one ledger, under `storage` (a directory or URI) or under the cache."""
    return below(base_of(storage), LEDGERS, ledger)


@contextmanager
def reachable() -> Iterator[None]:
    """Turns a storage that cannot be read or written into one line for the user."""
    try:
        yield
    except OSError as error:
        raise SweeperError(f"the sweep's storage: {error}; mend that and try again") from None


def check_writable(storage: str | None) -> None:
    """Raises SweeperError when this machine cannot write to `storage` or to the cache.

    Nothing stays there; what a URI names is asked only when it is used.
    """
    Storage(ledger_root(storage, ""))
    for what, folder in (("SWEEPER_CACHE", str(cache_root())), ("--storage", base_of(storage))):
        if "://" not in folder:
            path = Path(folder).absolute()
            there = next(place for place in (path, *path.parents) if place.exists())
            try:
                tempfile.TemporaryFile(dir=there).close()
            except OSError as error:
                raise SweeperError(
                    f"cannot write to {folder} ({error.strerror}); name another directory by {what}"
                ) from None


class Storage:
    """Files by name under a directory or a URI such as s3://bucket/sweeps."""

    def __init__(self, root: str) -> None:
        """Raises SweeperError when the URI means nothing to pyarrow.fs."""
        self.root = root
        if "://" not in root:
            self._fs: Any = fs.LocalFileSystem()
            self._base = PurePosixPath(Path(root).absolute())
            return
        try:
            self._fs, base = fs.FileSystem.from_uri(root)
        except (ArrowException, ValueError, OSError) as error:
            raise SweeperError(f"--storage {root}: {str(error).splitlines()[0]}") from None
        self._base = PurePosixPath(base)

    def write(self, name: str, data: bytes, writer: str = "") -> None:
        """Replaces a file. Raises OSError when there is no room.

        Where several may replace it at once, `writer` names this one: none then writes into, or
        moves away, what another has half written.
        """
        path = self._base / name
        if isinstance(self._fs, fs.LocalFileSystem):
            make_private(Path(path).parent)
            write_atomically(Path(path), data, writer, opener=private)
            return
        self._fs.create_dir(str(path.parent), recursive=True)
        partial = f"{path}{writer}.partial"
        with self._fs.open_output_stream(partial) as stream:
            stream.write(data)
        self._fs.move(partial, str(path))

    def read(self, name: str, size: int | None = None) -> bytes | None:
        """A file, or its first `size` bytes; None when there is none."""
        try:
            with self._fs.open_input_stream(str(self._base / name)) as stream:
                return bytes(stream.read(size))
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> Any:
        """A JSON file; None when there is none, or none that can be read."""
        try:
            return json.loads(self.read(name) or b"null")
        except (ValueError, OSError):
            return None

    def write_json(self, name: str, document: Any, writer: str = "") -> None:
        self.write(name, json.dumps(document, sort_keys=True).encode(), writer)

    def delete(self, name: str) -> None:
        """Removes a file and what is left of its writing, if there is any."""
        for path in (str(self._base / name), f"{self._base / name}.partial"):
            try:
                self._fs.delete_file(path)
            except FileNotFoundError:
                continue

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted; none when there is no folder."""
        return sorted(self.sizes(folder))

    def sizes(self, folder: str) -> dict[str, int]:
        """Name in a folder → its bytes; 0 of a folder's."""
        selector = fs.FileSelector(str(self._base / folder), allow_not_found=True)
        return {info.base_name: info.size or 0 for info in self._fs.get_file_info(selector)}


def make_private(directory: Path) -> None:
    """Makes a directory, and what is missing above it, for this user alone."""
    for place in reversed([directory, *directory.parents]):
        if not place.exists():
            place.mkdir(0o700, exist_ok=True)


def private(path: str, flags: int) -> int:
    """An `opener`: what it makes is this user's alone; a file that is there stays as it is."""
    return os.open(path, flags, 0o600)


def write_atomically(
    path: Path, data: bytes, writer: str = "", opener: Callable[[str, int], int] | None = None
) -> None:
    """Replaces a file, whole or not at all; once written it survives a power cut."""
    partial = path.with_name(f"{path.name}{writer}.partial")
    with open(partial, "wb", opener=opener) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in a directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
