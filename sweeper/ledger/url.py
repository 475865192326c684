"""Which database a user means: the path of a SQLite file, or a URL."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from sweeper.errors import SweeperError, redact
from sweeper.git import is_tracked

DEFAULT = "results.db"  # in the working directory
_SLIP = re.compile(r"[a-z][a-z0-9+]+:/*[^/]*[@/]", re.IGNORECASE)  # a URL that lacks a slash


def database_url(db: str) -> URL:
    """A URL from what a user types: a URL, or the path of a SQLite file.

    Raises SweeperError for what is neither; of a URL only the scheme is told, for the rest may
    hold a password.
    """
    if not db.strip():
        raise SweeperError(f"--db is empty; name a file, or leave it out for {DEFAULT}")
    if "://" not in db:
        if _SLIP.match(db) and not Path(db).absolute().parent.exists():
            raise SweeperError(f"--db {db.partition(':')[0]}:… lacks a slash; write scheme://…")
        return URL.create("sqlite", database=str(Path(db).absolute()))
    scheme = db.partition("://")[0]
    try:
        url = make_url(db)
        url.get_dialect()
    except (ArgumentError, ValueError):
        raise SweeperError(f"--db {scheme}://… is neither a path nor a database URL") from None
    if "@" in (url.host or "") or re.search(r"\s", db):
        raise SweeperError(f"--db {scheme}://…: write @ as %40 in a password, and a space as %20")
    if not is_sqlite(url):
        return url
    if url.query or url.host or not url.database:
        raise SweeperError(f"--db {scheme}://…: give the path of a SQLite file and no more")
    return database_url(url.database)


def is_default(db: str) -> bool:
    """Whether a command means this database where its --db is left out."""
    return db == DEFAULT and not is_tracked(Path(DEFAULT))


def to_write(db: str | None) -> str:
    """The database that a command shall change, as the user names it, or else the default.

    Raises SweeperError where git keeps the default: that is changed by its name alone.
    """
    if db is None and is_tracked(Path(DEFAULT)):
        raise SweeperError(
            f"git keeps the {DEFAULT} here, so it is not written to unasked; name a database of "
            f"your own with --db FILE, or this one with --db {DEFAULT}"
        )
    return DEFAULT if db is None else db


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def shown(url: URL) -> str:
    """The URL without what is secret in it: equal for two that differ in no more than that."""
    return redact(url.render_as_string(hide_password=False))
