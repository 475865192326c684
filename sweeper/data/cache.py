"""Latents on disk: one directory, written whole or not at all, checked when it is opened."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from sweeper.data.clips import (
    COLUMNS,
    FAMILIES,
    LOWEST_PITCH,
    PARTS,
    SPLITS,
    Clips,
    Ints,
)
from sweeper.data.scratch import SCRATCH, can_go_on
from sweeper.errors import SweeperError
from sweeper.storage.files import cache_root, make_private, sync_directory
from sweeper.study.config import canonical_json

META = "meta.json"
PARTS_FILE = "downstream.parts.npy"
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError)


class CorruptCacheError(SweeperError):
    """Files that are missing, cut short or altered."""


@dataclass(frozen=True)
class Latents:
    """The latents of a DataConfig, memory-mapped, with the labels of every clip."""

    fingerprint: str
    path: Path
    train: NDArray[np.float16]  # (clips, T, D), and so on
    valid: NDArray[np.float16]
    downstream: NDArray[np.float16]
    labels: dict[str, Clips]  # by split
    parts: Ints  # of the downstream clips: 0 probe training, 1 validation, 2 test
    pool: str  # "flatten" or "mean"
    families: tuple[str, ...] = FAMILIES

    @property
    def shape(self) -> tuple[int, int]:
        """(T, D)"""
        return self.train.shape[1], self.train.shape[2]

    @property
    def pitch_range(self) -> tuple[int, int]:
        """Lowest and highest MIDI pitch."""
        pitches = np.concatenate([clips.pitch for clips in self.labels.values()]) + LOWEST_PITCH
        return int(pitches.min()), int(pitches.max())

    @property
    def notes(self) -> Ints:
        """(downstream clips,) the same number for the clips of one instrument and pitch."""
        return self.labels["downstream"].note

    def probe_clips(self) -> list[dict[str, Any]]:
        """The validation and test clips, rows of the ledger's `clips`."""
        clips, notes = self.labels["downstream"], self.notes
        trained = np.unique(notes[self.parts == PARTS.index("train")])
        twins = np.isin(notes, trained)
        return [
            {
                "position": position,
                "part": PARTS[self.parts[position]],
                "labels": canonical_json(
                    {
                        "pitch": int(clips.pitch[position]),
                        "instrument": int(clips.family[position]),
                        "program": int(clips.program[position]),
                        "velocity": int(clips.velocity[position]),
                        **{name: int(of[position]) for name, of in clips.others.items()},
                    }
                ),
                "note": int(notes[position]),
                "twin": bool(twins[position]),
            }
            for position in np.flatnonzero(self.parts != PARTS.index("train")).tolist()
        ]

    def split(self, name: str) -> NDArray[np.float16]:
        """`train`, `valid` or `downstream` by name."""
        return {"train": self.train, "valid": self.valid, "downstream": self.downstream}[name]

    def summary(self) -> dict[str, Any]:
        """What `sweeper data info` shows; JSON."""
        families = {
            split: np.bincount(clips.family, minlength=len(self.families)).tolist()
            for split, clips in self.labels.items()
        }
        rows = zip(*(families[split] for split in SPLITS), strict=True)
        parts = np.bincount(self.parts, minlength=len(PARTS)).tolist()
        return {
            "key": self.fingerprint,
            "path": str(self.path),
            "bytes": sum(file.stat().st_size for file in self.path.iterdir()),
            "shapes": {split: list(self.split(split).shape) for split in SPLITS},
            "pool": self.pool,
            "pitch_range": list(self.pitch_range),
            "families": {
                family: dict(zip(SPLITS, row, strict=True))
                for family, row in zip(self.families, rows, strict=True)
            },
            "downstream_parts": dict(zip(PARTS, parts, strict=True)),
        }


def directory(fingerprint: str) -> Path:
    """Where those latents are, or would be."""
    return cache_root() / "latents" / fingerprint


def read(fingerprint: str) -> Latents:
    """Open latents; the size and the checksum of every file are checked.

    Raises:
        FileNotFoundError: there are none.
        CorruptCacheError: they are damaged.
    """
    path = directory(fingerprint)
    if not path.is_dir():
        raise FileNotFoundError(path)
    try:
        return _read(path, fingerprint)
    except DAMAGE as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CorruptCacheError(
            f"the latents in {path} are damaged ({reason}); `sweeper data prepare` makes them anew"
        ) from error


def _read(path: Path, fingerprint: str) -> Latents:
    meta = json.loads((path / META).read_text())
    if meta["fingerprint"] != fingerprint:
        raise ValueError(f"{META} belongs to other latents")
    for name, file in meta["files"].items():
        if (size := (path / name).stat().st_size) != file["bytes"]:
            raise ValueError(f"{name} has {size} bytes instead of {file['bytes']}")
        if "sha256" in file and checksum(path / name) != file["sha256"]:
            raise ValueError(f"{name} has been altered")
    splits = {split: np.load(path / f"{split}.npy", mmap_mode="r") for split in SPLITS}
    labels = {split: _clips(path, split, meta.get("factors", ())) for split in SPLITS}
    if any(splits[split].shape != (len(labels[split]), *meta["shape"]) for split in SPLITS):
        raise ValueError("latents and labels differ in number")
    parts = np.load(path / PARTS_FILE)
    families = tuple(meta.get("families", FAMILIES))  # caches made before had no others
    return Latents(
        fingerprint,
        path,
        **splits,
        labels=labels,
        parts=parts,
        pool=meta["pool"],
        families=families,
    )


def _clips(path: Path, split: str, factors: Sequence[str]) -> Clips:
    """`factors` are the further ones, of the rows below COLUMNS."""
    rows = np.load(path / f"{split}.labels.npy")
    (pitch, family, program, velocity), others = rows[: len(COLUMNS)], rows[len(COLUMNS) :]
    return Clips(pitch, family, program, velocity, dict(zip(factors, others, strict=True)))


def write_labels(path: Path, labels: dict[str, Clips], parts: Ints) -> None:
    """Labels (columns, clips) of every split, and the parts (clips,) of the downstream clips."""
    for split, clips in labels.items():
        rows = (*clips.columns, *clips.others.values())
        np.save(path / f"{split}.labels.npy", np.stack(rows))
    np.save(path / PARTS_FILE, parts)


def write_meta(path: Path, document: dict[str, Any]) -> None:
    """The last file: what made the latents, and the size and checksum of all the others."""
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": checksum(file)}
        for file in sorted(path.glob("*.npy"))
    }
    document = {**document, "columns": COLUMNS, "files": files}
    (path / META).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def writing(fingerprint: str, size: int) -> Iterator[Path]:
    """A directory to fill, which takes its place in the cache when the block ends well.

    If it does not, SCRATCH in it stays for the next try.

    Args:
        size: bytes that will be needed; refused at once if the disk has less.
    """
    path = directory(fingerprint)
    partial = path.with_name(f"{fingerprint}.partial")
    try:
        make_private(partial)
        for file in partial.glob("*.*"):  # of a process that was killed; it goes on from SCRATCH
            file.unlink()
        if (free := shutil.disk_usage(partial).free) < size:
            raise OSError(errno.ENOSPC, f"{size >> 20} MiB needed, {free >> 20} MiB free")
        yield partial
        for file in (*partial.iterdir(), partial):
            sync_directory(file)  # of a file: its bytes
        shutil.rmtree(path, ignore_errors=True)  # damaged, or it would not be made again
        partial.rename(path)
        sync_directory(path.parent)
        shutil.rmtree(path / SCRATCH, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _cannot_write(path, error) from error
    finally:
        if not can_go_on(partial / SCRATCH):
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def locked(fingerprint: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Only one process at a time makes these latents; `waiting` is called before a wait."""
    path = directory(fingerprint)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        make_private(path.parent)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _cannot_write(path: Path, error: OSError) -> SweeperError:
    return SweeperError(
        f"cannot write the latents to {path.parent}: {error.strerror or error}; "
        f"make room there, or set SWEEPER_CACHE to another directory"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
