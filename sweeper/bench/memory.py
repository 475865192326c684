"""What a process and all that it started hold in memory, by Linux's /proc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

PROC = Path("/proc")
SECONDS = 0.5  # between two looks


@contextmanager
def peak_bytes(root: int) -> Iterator[list[int]]:
    """Bytes of the process and its descendants at every look; their maximum is the peak.

    Memory that processes share counts once, a part for each. No looks without /proc.
    """
    looks: list[int] = []
    ended = Event()

    def watch() -> None:
        while not ended.wait(SECONDS):
            if held := sum(map(_proportional, _family(root))):
                looks.append(held)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield looks
    finally:
        ended.set()
        watcher.join()


def _family(root: int) -> list[int]:
    """The process and its descendants."""
    parents = {int(path.name): _parent(path) for path in PROC.glob("[0-9]*")}
    family = [root]
    for process in family:  # grows as children are found
        family += [child for child, parent in parents.items() if parent == process]
    return family


def _parent(path: Path) -> int:
    try:
        # A name stands in parentheses and may hold anything.
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # has ended


def _proportional(process: int) -> int:
    try:
        lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
