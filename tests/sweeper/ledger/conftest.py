"""The ledger's tests run on both databases: a file of SQLite and a server of PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

OWNER = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root


def binaries() -> Path | None:
    """The directory of initdb and postgres: Debian's newest, or that of the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    found = shutil.which("initdb")
    return debian[-1] if debian else Path(found).parent if found else None


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A throw-away server on a socket; yields the socket's directory."""
    own = binaries()
    if own is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    root = Path(tempfile.mkdtemp(prefix="sweeper-postgres-"))
    if OWNER:
        shutil.chown(root, OWNER)
    data = root / "data"
    quiet = {"user": OWNER, "stdout": subprocess.DEVNULL, "cwd": root}
    subprocess.run(
        [own / "initdb", "-D", data, "-U", "sweeper", "-A", "trust", "--no-sync"],
        check=True,
        **quiet,  # type: ignore[call-overload]
    )
    options = f"-k {root} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB"
    pg_ctl = [own / "pg_ctl", "-D", data, "-w", "-l", root / "log"]
    subprocess.run([*pg_ctl, "-o", options, "start"], check=True, **quiet)  # type: ignore[call-overload]
    yield str(root)
    subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, **quiet)  # type: ignore[call-overload]
    shutil.rmtree(root)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "fresh.db")
    return new_database(request.getfixturevalue("server"))


def new_database(socket: str) -> str:
    """The URL of an empty database on the server."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"host={socket} user=sweeper dbname=postgres", autocommit=True) as own:
        own.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql+psycopg://sweeper@/{name}?host={socket}"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A fresh file for what concerns SQLite alone."""
    return str(tmp_path / "fresh.db")
