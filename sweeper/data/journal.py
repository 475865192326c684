"""What of a build is done, so that one that was killed goes on where it stopped."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sweeper.data.clips import Ints


class Journal:
    """A line for each batch that is on disk, with the checksum of its latents.

    A line that was cut short, or whose latents are not what was written, counts for nothing: that
    batch is made again.
    """

    def __init__(self, path: Path) -> None:
        self._done: dict[str, tuple[list[bool], int]] = {}
        self._file = path.open("a+")
        self._file.seek(0)
        for line in self._file:
            self._remember(line)
        if self._file.tell():
            self._file.write("\n")  # ends a line that was cut short

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def audible(self, batch: str) -> NDArray[np.bool_] | None:
        """Which clips of a batch could be heard; None if the batch is not done."""
        return np.array(self._done[batch][0]) if batch in self._done else None

    def holds(self, batch: str, latents: NDArray[np.float32]) -> bool:
        """Whether these are the latents that were written for the batch."""
        return self._done[batch][1] == zlib.crc32(latents.tobytes())

    def add(self, batch: str, audible: NDArray[np.bool_], latents: NDArray[np.float32]) -> None:
        """Note a batch whose latents are on disk."""
        entry = [batch, audible.tolist(), zlib.crc32(latents.tobytes())]
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def _remember(self, line: str) -> None:
        try:
            batch, audible, checksum = json.loads(line)
        except ValueError:
            return
        self._done[batch] = (audible, checksum)


def batch_name(split: str, rows: Ints, candidates: Ints) -> str:
    """The same for the same clips in the same rows."""
    return f"{split} {zlib.crc32(rows.tobytes()):08x} {zlib.crc32(candidates.tobytes()):08x}"
