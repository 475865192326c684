"""What of an unfinished build is on disk, so that one that was killed goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sweeper.data.clips import Ints

SCRATCH, JOURNAL = "scratch", "journal"  # the directory, and a file in it
RAW = "<f4"


@dataclass(frozen=True)
class Batch:
    """Clips of one split that are rendered together."""

    split: str
    rows: Ints
    candidates: Ints

    @property
    def name(self) -> str:
        """The same for the same clips in the same rows."""
        checksums = (zlib.crc32(numbers.tobytes()) for numbers in (self.rows, self.candidates))
        return " ".join([self.split, *(f"{checksum:08x}" for checksum in checksums)])


class LatentsFile:
    """A .npy file of latents (clips, T, D).

    An ordinary file and no memory map: on a full disk a write raises, a memory map kills.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: str) -> None:
        self.clips, self.row_shape = shape[0], shape[1:]
        self._dtype = np.dtype(dtype)
        self._row_bytes = self._dtype.itemsize * shape[1] * shape[2]
        self._file = path.open("r+b" if path.exists() else "w+b")
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._start = self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, row: int, latents: NDArray[np.float32]) -> None:
        """Put latents (n, T, D) or (T, D) at `row` and after."""
        self._file.seek(self._start + row * self._row_bytes)
        self._file.write(np.ascontiguousarray(latents, self._dtype).tobytes())

    def flush(self) -> None:
        """What is written outlives this process."""
        self._file.flush()

    def read(self, row: int, count: int) -> NDArray[np.float32]:
        """`count` rows from `row` on, or as many as there are."""
        self._file.seek(self._start + row * self._row_bytes)
        raw = self._file.read(count * self._row_bytes)
        raw = raw[: len(raw) // self._row_bytes * self._row_bytes]
        return np.frombuffer(raw, self._dtype).reshape(-1, *self.row_shape)


class Scratch:
    """Raw latents of every split, and a line for each batch of them that is on disk.

    A line that was cut short, or whose latents are not what was written, counts for nothing: that
    batch is made again.
    """

    def __init__(self, directory: Path, sizes: Mapping[str, int], shape: tuple[int, int]) -> None:
        """Opens what an earlier build has left in `directory`; `shape` is (T, D)."""
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as files:
            self.raw = {
                split: files.enter_context(
                    LatentsFile(directory / f"{split}.npy", (clips, *shape), RAW)
                )
                for split, clips in sizes.items()
            }
            self._journal = files.enter_context((directory / JOURNAL).open("a+"))
            self._files = files.pop_all()
        self._done: dict[str, tuple[NDArray[np.bool_], int]] = {}  # audible clips, checksum
        self._journal.seek(0)
        for line in self._journal:
            self._remember(line)
        if self._journal.tell():
            self._journal.write("\n")  # ends a line that was cut short

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def audible(self, batch: Batch) -> NDArray[np.bool_] | None:
        """Which clips of a batch could be heard; None if it is not done, or damaged since."""
        audible, checksum = self._done.get(batch.name, (None, 0))
        if audible is None or audible.shape != batch.rows.shape:
            return None
        rows = (self.raw[batch.split].read(int(row), 1) for row in batch.rows[audible])
        written = b"".join(row.tobytes() for row in rows)
        return audible if zlib.crc32(written) == checksum else None

    def add(self, batch: Batch, latents: NDArray[np.float32], audible: NDArray[np.bool_]) -> None:
        """Put the audible clips' latents in the rows of a batch, then note that they are there."""
        file = self.raw[batch.split]
        for row, one in zip(batch.rows[audible], latents[audible], strict=True):
            file.write(int(row), one)
        file.flush()
        entry = [batch.name, audible.tolist(), zlib.crc32(latents[audible].tobytes())]
        self._journal.write(json.dumps(entry) + "\n")
        self._journal.flush()

    def _remember(self, line: str) -> None:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            batch, audible, checksum = json.loads(line)
            self._done[batch] = (np.array(audible, np.bool_), checksum)


def can_go_on(directory: Path) -> bool:
    """Whether a build has left a batch in `directory`."""
    journal = directory / JOURNAL
    return journal.exists() and journal.stat().st_size > 0
