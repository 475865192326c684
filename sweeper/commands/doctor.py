"""What would go wrong, before it does: versions, devices, cache, database."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from models.spec import PRECISIONS, precision_refusal
from sweeper import __version__
from sweeper.console.words import counted, printable
from sweeper.errors import SweeperError

if TYPE_CHECKING:
    from sqlalchemy import Engine

GB = 1024**3
INSTALL = "run `pip install -c constraints.txt -e .`"
PACKAGES = ("torch", "ray", "sqlalchemy", "pandas", "matplotlib", "midirenderer", "pretty_midi")


def examine(db: str, console: Console) -> int:
    """Prints one line a check; returns 0 when nothing stands in the way, else 1."""
    console.print(f"sweeper {__version__} · Python {platform.python_version()}")
    healthy = True
    for check in (_packages, _devices, _cache, _soundfont, lambda: _database(db)):
        for good, line in _guarded(check):
            healthy &= good
            mark = "[green]ok[/green]   " if good else "[red]bad[/red]  "
            console.print(mark + escape(printable(line)))
    return 0 if healthy else 1


def _guarded(check: Callable[[], Iterator[tuple[bool, str]]]) -> Iterator[tuple[bool, str]]:
    try:
        yield from check()
    except SweeperError as error:
        yield False, str(error)


def _packages() -> Iterator[tuple[bool, str]]:
    for package in PACKAGES:
        try:
            here, floor = version(package), _floor(package)
        except PackageNotFoundError:
            yield False, f"{package} is not installed; {INSTALL}"
            continue
        if _numbers(here) < _numbers(floor):
            yield False, f"{package} {here} is older than {floor}; {INSTALL}"
        else:
            yield True, f"{package} {here}"


def _floor(package: str) -> str:
    """The oldest version that sweeper's own metadata take; "0" where it asks for none."""
    wanted = re.compile(rf"{package}(\[.*\])?>=([\d.]+)$", re.IGNORECASE)
    found = filter(None, map(wanted.match, requires("sweeper") or ()))
    return next((match[2] for match in found), "0")


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version.partition("+")[0])[:3]]


def _devices() -> Iterator[tuple[bool, str]]:
    import torch

    gpus = range(torch.cuda.device_count())
    names = ", ".join(torch.cuda.get_device_name(gpu) for gpu in gpus)
    yield True, f"{os.cpu_count()} cores; GPUs: {names or 'none, packs train on the CPU'}"
    capability = min(map(torch.cuda.get_device_capability, gpus), default=None)
    yield True, _precisions("cuda" if gpus else "cpu", capability)
    yield True, _engine()


def _precisions(device: str, capability: tuple[int, int] | None) -> str:
    """What --precision may say where packs train by default."""
    takes = [p for p in PRECISIONS if precision_refusal(p, device, capability) is None]
    told = f"--precision there: {', '.join(takes)}; ieee by default"
    return told if device == "cpu" else f"{told}. Steps on a GPU are graphs that have met none yet"


def _engine() -> str:
    """What trains and probes on the CPU; its C is compiled now unless it has been before."""
    from models.native.build import built

    native = built()
    if native.library is None:
        return f"training and probes on the CPU: by torch, slower than it could: {native.how}"
    return f"training and probes on the CPU: native ({native.how})"


def _cache() -> Iterator[tuple[bool, str]]:
    from sweeper.data.cache import directory

    yield _disk("cache", directory("any").parent, "set SWEEPER_CACHE")
    if (storage := os.environ.get("SWEEPER_STORAGE", "")) and "://" not in storage:
        yield _disk("storage", Path(storage), "set SWEEPER_STORAGE")


def _weights(engine: Engine) -> Iterator[tuple[bool, str]]:
    """What the trained weights take, in each place where sweeps of the database keep theirs."""
    from sweeper.ledger import read
    from sweeper.ledger.connect import ledger_id
    from sweeper.storage.files import Storage, ledger_root
    from sweeper.storage.weights import kept

    for place in dict.fromkeys(sweep.options.get("storage") for sweep in read.sweeps(engine)):
        with suppress(SweeperError, OSError):  # a storage whose key is not here
            storage = Storage(ledger_root(place, ledger_id(engine)))
            if sizes := kept(storage).values():
                runs = f"{counted(len(sizes), 'run')}, {sum(sizes) / 1e6:.1f} MB"
                yield True, f"trained weights: {runs} in {storage.root}"


def _disk(what: str, place: Path, remedy: str) -> tuple[bool, str]:
    """Whether a directory, there or to be made, can be written and has room."""
    place = place.absolute()
    existing = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(existing).free / GB
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return False, f"{what} {place}: not writable; {remedy}"
    return free > 1, f"{what} {place}: {free:.0f} GB free" + ("" if free > 1 else f"; {remedy}")


def _soundfont() -> Iterator[tuple[bool, str]]:
    from sweeper.data.latents import Source, data_config
    from sweeper.study.presets import preset

    data = preset("paper").data
    key = data_config(data, "notes", Source(data.encoder)).fingerprint[:12]
    yield (
        True,
        f"SoundFont of the notes found; the paper preset's latents, through {data.encoder}, "
        f"have key {key}",
    )


def _database(db: str) -> Iterator[tuple[bool, str]]:
    from sweeper.ledger.connect import is_there, open_reader

    yield True, f"SQLite {sqlite3.sqlite_version}"
    if "://" not in db:
        yield _disk("database's directory", Path(db).absolute().parent, "name another with --db")
    if not is_there(db):
        yield True, f"database {db}: none yet, `sweeper launch` makes it"
        return
    engine = open_reader(db)
    yield True, f"database {db}: readable, schema current{_readers(db)}"
    yield from _weights(engine)
    engine.dispose()
    log = Path(f"{db}-wal")
    if "://" not in db and log.exists() and log.stat().st_size:
        yield (
            True,
            f"write-ahead log {log}: {log.stat().st_size / 1e6:.1f} MB that the database's file "
            "lacks; copy both or neither. A driver is at work, or the next `sweeper resume` folds "
            "it in",
        )


def _readers(db: str) -> str:
    """Who may read a file that `sweeper` has made for its owner alone; empty for any other."""
    if "://" in db or Path(db).stat().st_mode & 0o077:
        return ""
    return f"; its owner alone may read it, others after {shlex.join(['chmod', 'a+r', db])}"
