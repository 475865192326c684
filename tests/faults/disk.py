"""A disk and a database that fail at the N-th call: once, or from then on."""

from __future__ import annotations

import errno
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

WRITES = ("INSERT", "UPDATE", "DELETE", "BEGIN", "CREATE")


@dataclass
class Fault:
    """Strikes at the `at`-th call; `lasting`: at all later ones too."""

    at: int
    lasting: bool
    calls: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, call: str) -> bool:
        with self._lock:
            self.calls.append(call)
            count = len(self.calls)
        return count == self.at or (self.lasting and count > self.at)

    @property
    def struck(self) -> bool:
        return len(self.calls) >= self.at

    def __str__(self) -> str:
        which = self.calls[self.at - 1] if self.struck else "none"
        return f"call {self.at} ({which}){' and all later ones' if self.lasting else ''}"


class TornFile:
    """A file opened for writing; a write that fails has written the half."""

    def __init__(self, file: Any, disk: Callable[[str], None]) -> None:
        self._file, self._disk = file, disk

    def write(self, data: bytes) -> int:
        try:
            self._disk("write")
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return int(self._file.write(data))

    def __enter__(self) -> TornFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def failing_disk(fault: Fault, number: int = errno.EIO) -> Iterator[None]:
    """Every call of this process that changes files passes the fault; it raises that errno."""

    def disk(call: str) -> None:
        if fault.strikes(call):
            raise OSError(number, os.strerror(number))

    def failing(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            disk(name)
            return real(*arguments, **options)

        return call

    real_open = io.open

    def open_(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real_open(file, mode, *arguments, **options)
        disk("open")
        return TornFile(real_open(file, mode, *arguments, **options), disk)

    class FailingFiles(fs.LocalFileSystem):  # type: ignore[misc]
        """What of a local storage goes by pyarrow."""

        def create_dir(self, *arguments: Any, **options: Any) -> None:
            disk("create_dir")
            super().create_dir(*arguments, **options)

        def delete_file(self, path: str) -> None:
            disk("delete_file")
            super().delete_file(path)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "fsync", "replace", "rename", "unlink", "mkdir"):
            patch.setattr(os, name, failing(name))
        patch.setattr(io, "open", open_)  # of paths
        patch.setattr("builtins.open", open_)
        patch.setattr(fs, "LocalFileSystem", FailingFiles)
        yield


@contextmanager
def failing_database(fault: Fault, db: Path) -> Iterator[None]:
    """Every statement that writes to the database, and every commit, passes the fault."""

    def of_ours(connection: Any) -> bool:
        return bool(connection.engine.url.database == str(db))

    def refuse(what: str) -> None:
        if fault.strikes(what):
            raise OperationalError(what, None, sqlite3.OperationalError("disk I/O error"))

    def on_execute(connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        word = sql.split()[0]
        if of_ours(connection) and word in WRITES:
            refuse(" ".join(sql.split()[:3]))

    def on_commit(connection: Any) -> None:
        if of_ours(connection):
            refuse("COMMIT")

    event.listen(Engine, "before_cursor_execute", on_execute)
    event.listen(Engine, "commit", on_commit)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        event.remove(Engine, "commit", on_commit)


def every_fault(lasting: bool, tried: Callable[[Fault], None]) -> int:
    """Tries a fault at the first call, the second …, until none is reached; returns how many."""
    at = 1
    while True:
        fault = Fault(at, lasting)
        tried(fault)
        if not fault.struck:
            return at - 1
        at += 1
