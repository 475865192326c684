"""Whether a SQLite database is the file that it was: users remove, move and replace files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from sweeper.errors import SweeperError
from sweeper.ledger.lease import MovedError
from sweeper.ledger.trouble import recovery


def watch(engine: Engine, path: Path, db: str) -> None:
    """Has every connection and transaction of the engine begin with a look at its file.

    MovedError once the path names no file, or another than the engine opened: what is written then
    goes to a file that nobody will see, or spoils somebody else's.
    """
    opened: list[tuple[int, int]] = []

    def note(*_: Any) -> None:
        if not opened and (file := _identity(path)):
            opened.append(file)

    def look(*_: Any) -> None:
        if opened and (file := _identity(path)) != opened[0]:
            gone = "was removed" if file is None else "was replaced by another file"
            away = "" if file is None else "move that away and "
            raise MovedError(
                f"{db} {gone} while this driver wrote to it, which has stopped; {away}run "
                f"`{recovery(db)}`: what was trained is in the storage"
            )

    event.listen(engine, "do_connect", look)  # SQLite would make the file anew
    event.listen(engine, "connect", note)
    event.listen(engine, "begin", look)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, or None where there is no file."""
    try:
        file = path.stat()
    except FileNotFoundError:
        return None
    return file.st_dev, file.st_ino


def refuse_directory(path: Path, db: str) -> None:
    """Raises SweeperError where the path can never be a database's."""
    if path.is_dir():
        raise SweeperError(f"{db or '.'} is a directory; name a file with --db")


def refuse_log_alone(path: Path, db: str) -> None:
    """Raises SweeperError where the write-ahead log of a database outlived its file."""
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() and log.exists() and log.stat().st_size:
        raise SweeperError(f"{db} is gone, only its log is there; run `{recovery(db)}`")
