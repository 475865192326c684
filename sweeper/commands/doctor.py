"""What would go wrong, before it does: versions, devices, cache, database."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console

from sweeper import __version__
from sweeper.errors import SweeperError

GB = 1024**3
PACKAGES = ("torch", "ray", "sqlalchemy", "pandas", "matplotlib", "midirenderer", "pretty_midi")


def examine(db: str, console: Console) -> int:
    """Prints one line a check; returns 0 when nothing stands in the way, else 1."""
    console.print(f"sweeper {__version__} · Python {platform.python_version()}")
    healthy = True
    for check in (_packages, _devices, _cache, _soundfont, lambda: _database(db)):
        for good, line in _guarded(check):
            healthy &= good
            console.print(("[green]ok[/green]   " if good else "[red]bad[/red]  ") + line)
    return 0 if healthy else 1


def _guarded(check: Callable[[], Iterator[tuple[bool, str]]]) -> Iterator[tuple[bool, str]]:
    try:
        yield from check()
    except SweeperError as error:
        yield False, str(error)


def _packages() -> Iterator[tuple[bool, str]]:
    for package in PACKAGES:
        try:
            yield True, f"{package} {version(package)}"
        except PackageNotFoundError:
            yield False, f"{package} is not installed; run `pip install -c constraints.txt -e .`"


def _devices() -> Iterator[tuple[bool, str]]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield (
        True,
        f"{os.cpu_count()} cores; GPUs: {', '.join(names) or 'none, packs train on the CPU'}",
    )


def _cache() -> Iterator[tuple[bool, str]]:
    from sweeper.data.cache import directory

    root = directory("any").parent
    existing = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(existing).free / GB
    writable = os.access(existing, os.W_OK)
    yield (
        writable and free > 1,
        f"cache {root}: {free:.0f} GB free"
        + ("" if writable else ", not writable; set SWEEPER_CACHE"),
    )


def _soundfont() -> Iterator[tuple[bool, str]]:
    from sweeper.data.latents import fingerprint
    from sweeper.study.config import DataConfig

    key = fingerprint(DataConfig())[:12]
    yield True, f"SoundFont of the notes found; the paper preset's latents have key {key}"


def _database(db: str) -> Iterator[tuple[bool, str]]:
    from sweeper.ledger.connect import is_there, open_reader

    yield True, f"SQLite {sqlite3.sqlite_version}"
    if not is_there(db):
        yield True, f"database {db}: none yet, `sweeper launch` makes it"
        return
    open_reader(db).dispose()
    yield True, f"database {db}: readable, schema current"
