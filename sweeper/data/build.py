"""Making latents: clips are drawn, rendered and encoded on all cores, a handful at a time.

Which clips are silent is known only once they are rendered. A silent one is struck from its
split's candidates, and the draw is made again without it, until every clip drawn is audible.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.encoders import Encoder
from models.encoders.standardise import Standardiser
from sweeper.data.cache import JOURNAL, SCRATCH
from sweeper.data.clips import Clips, Dataset, Ints
from sweeper.data.journal import Journal, batch_name
from sweeper.data.splits import stratified_order
from sweeper.data.workers import Map, encoding
from sweeper.errors import SweeperError

Progress = Callable[[int, int, str], None]

DRAW_SEED = 20_240_602
CHUNK = 32  # clips to a task: enough to forget the loading of a SoundFont
STRETCH = 1_024  # clips standardised at a time

RAW = "<f4"
# Standardised latents are of the order of 1: 11 bits of mantissa keep them to 0.05 %, far below
# the noise of any encoder, and 300,000 clips take half the disk.
KEPT = "<f2"


class Draw:
    """Which candidate is in which row of a split."""

    def __init__(self, split: str, candidates: Clips, clips: int) -> None:
        self.split, self.candidates = split, candidates
        self.audible = np.ones(len(candidates), np.bool_)  # as far as is known
        self.rows = np.full(clips, -1)  # row -> candidate; -1 while there is none

    def missing(self) -> tuple[Ints, Ints]:
        """Rows still to be filled, and the candidates to fill them with."""
        rng = np.random.default_rng(DRAW_SEED)
        order = stratified_order(self.candidates.stratum, self.audible, rng)
        if len(order) < len(self.rows):
            raise SweeperError(
                f"{len(self.rows)} {self.split} clips are asked for and only {len(order)} exist; "
                f"ask for at most {len(order)}"
            )
        drawn = order[: len(self.rows)]
        return np.flatnonzero(self.rows < 0), drawn[~np.isin(drawn, self.rows)]

    def settle(self, rows: Ints, candidates: Ints, audible: NDArray[np.bool_]) -> None:
        """Note what rendering has shown."""
        self.rows[rows[audible]] = candidates[audible]
        self.audible[candidates] = audible

    @property
    def labels(self) -> Clips:
        """Of the split's rows, once none is missing."""
        return self.candidates.take(self.rows)


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

    def rows(self, rows: Ints) -> NDArray[np.float32]:
        """These rows (n, T, D), or fewer where the file is too short."""
        read = [self.read(int(row), 1) for row in rows]
        return np.concatenate(read) if read else np.empty((0, *self.row_shape), self._dtype)

    def read(self, row: int, count: int) -> NDArray[np.float32]:
        """`count` rows from `row` on, or as many as there are."""
        self._file.seek(self._start + row * self._row_bytes)
        raw = self._file.read(count * self._row_bytes)
        raw = raw[: len(raw) // self._row_bytes * self._row_bytes]
        return np.frombuffer(raw, self._dtype).reshape(-1, *self.row_shape)


@dataclass(frozen=True)
class Task:
    """Clips of one split to be rendered together."""

    draw: Draw
    rows: Ints
    candidates: Ints

    @property
    def clips(self) -> Clips:
        return self.draw.candidates.take(self.candidates)

    @property
    def name(self) -> str:
        """In the journal."""
        return batch_name(self.draw.split, self.rows, self.candidates)


def build(
    dataset: Dataset,
    encoder: Encoder,
    sizes: Mapping[str, int],
    directory: Path,
    workers: int,
    progress: Progress,
) -> dict[str, Clips]:
    """Write standardised latents to `directory`/SPLIT.npy; give every split's labels.

    What an earlier build has left in `directory`/SCRATCH is not made again.
    """
    dataset.survey(progress)
    sizes = {split: dataset.size(split, asked) for split, asked in sizes.items()}
    draws = [Draw(split, dataset.candidates(split), clips) for split, clips in sizes.items()]
    (directory / SCRATCH).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        raw = {
            split: stack.enter_context(
                LatentsFile(directory / SCRATCH / f"{split}.npy", (clips, *encoder.shape), RAW)
            )
            for split, clips in sizes.items()
        }
        journal = stack.enter_context(Journal(directory / SCRATCH / JOURNAL))
        run = stack.enter_context(encoding(dataset, encoder, workers))
        _fill(dataset, draws, raw, journal, run, progress)
        _standardise(raw, directory)
    return {draw.split: draw.labels for draw in draws}


def _fill(
    dataset: Dataset,
    draws: list[Draw],
    files: dict[str, LatentsFile],
    journal: Journal,
    run: Map,
    progress: Progress,
) -> None:
    total = sum(len(draw.rows) for draw in draws)
    done = 0
    while tasks := [task for draw in draws for task in _tasks(dataset, draw)]:
        known = [_known(task, files[task.draw.split], journal) for task in tasks]
        fresh = run([task.clips for task, k in zip(tasks, known, strict=True) if k is None])
        for task, audible in zip(tasks, known, strict=True):
            if audible is None:
                audible = _write(task, files[task.draw.split], journal, *next(fresh))
            task.draw.settle(task.rows, task.candidates, audible)
            done += int(audible.sum())
            progress(done, total, "rendering and encoding clips")


def _known(task: Task, file: LatentsFile, journal: Journal) -> NDArray[np.bool_] | None:
    """Which clips of a task could be heard, if it was done before; what it wrote is checked."""
    audible = journal.audible(task.name)
    if audible is None or journal.holds(task.name, file.rows(task.rows[audible])):
        return audible
    return None


def _write(
    task: Task,
    file: LatentsFile,
    journal: Journal,
    latents: NDArray[np.float32],
    audible: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Put the latents of a task in their rows; which of its clips could be heard."""
    for row, one in zip(task.rows[audible], latents[audible], strict=True):
        file.write(int(row), one)
    file.flush()  # before the line that says so
    journal.add(task.name, audible, latents[audible])
    return audible


def _tasks(dataset: Dataset, draw: Draw) -> list[Task]:
    # The same clips together however many the workers: a clip's last bit depends on its company.
    rows, candidates = draw.missing()
    order = dataset.reading_order(draw.candidates.take(candidates))
    rows, candidates = rows[order], candidates[order]
    chunks = (slice(at, at + CHUNK) for at in range(0, len(rows), CHUNK))
    return [Task(draw, rows[chunk], candidates[chunk]) for chunk in chunks]


def _standardise(raw: dict[str, LatentsFile], directory: Path) -> None:
    """With the training clips' statistics; the raw latents stay as they are, for another try."""
    standardise = Standardiser()
    train = raw["train"]
    for row in range(0, train.clips, STRETCH):
        standardise.fit(train.read(row, STRETCH))
    for split, file in raw.items():
        with LatentsFile(directory / f"{split}.npy", (file.clips, *file.row_shape), KEPT) as out:
            for row in range(0, file.clips, STRETCH):
                out.write(row, standardise(file.read(row, STRETCH)))
