"""Whether the cached latents are whole, and nothing lies about that no build will use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from sweeper.data import cache
from sweeper.data.scratch import SCRATCH, can_go_on
from sweeper.findings import Audit, Finding

PLACE = "cache"


def audit() -> Audit:
    """Every file of every latents is read and its checksum taken."""
    root = cache.directory("any").parent
    folders = [path for path in sorted(root.glob("*")) if path.is_dir()]
    begun = [path for path in folders if path.suffix == ".partial"]
    whole = [path for path in folders if path.suffix != ".partial"]
    findings = [*(f for path in whole for f in _latents(path)), *_dead_builds(begun)]
    counts = {"latents": len(whole), "builds to go on with": sum(map(_is_of_use, begun))}
    return Audit(PLACE, counts, findings)


def _latents(path: Path) -> Iterator[Finding]:
    try:
        cache.read(path.name)
    except cache.CorruptCacheError as error:
        mend = partial(_remove_damaged, path.name)
        what, repair = "latents are damaged", "removes them: the next launch makes them anew"
        yield Finding(PLACE, what, str(error), repair, mend=mend)
        return
    if (path / SCRATCH).exists() and not _is_being_made(path):
        what, mend = "latents have scratch left", partial(shutil.rmtree, path / SCRATCH)
        yield Finding(PLACE, what, str(path / SCRATCH), "removes it", mend=mend)


def _dead_builds(begun: list[Path]) -> Iterator[Finding]:
    for path in begun:
        if not _is_of_use(path):
            mend = partial(shutil.rmtree, path)
            yield Finding(PLACE, "a build left nothing of use", str(path), "removes it", mend=mend)


def _is_of_use(partial_path: Path) -> bool:
    """Whether a build can go on from there, or is at it now."""
    return can_go_on(partial_path / SCRATCH) or _is_being_made(partial_path.with_suffix(""))


def _is_being_made(path: Path) -> bool:
    """Whether another process holds the lock of these latents."""
    lock = path.with_name(f"{path.name}.lock")
    with suppress(OSError):
        if lock.exists():
            try:
                FileLock(lock).acquire(timeout=0).lock.release()
            except Timeout:
                return True
    return False


def _remove_damaged(fingerprint: str) -> None:
    with cache.locked(fingerprint, lambda: None):
        try:
            cache.read(fingerprint)  # another process may have made them anew
        except cache.CorruptCacheError:
            shutil.rmtree(cache.directory(fingerprint))
        except FileNotFoundError:
            return
