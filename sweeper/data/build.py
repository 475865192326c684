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
from sweeper.data.clips import Clips, Dataset, Ints
from sweeper.data.splits import stratified_order
from sweeper.data.workers import Map, encoding
from sweeper.errors import SweeperError

Progress = Callable[[int, int, str], None]

DRAW_SEED = 20_240_602
CHUNK = 32  # clips to a task: enough to forget the loading of a SoundFont
STRETCH = 1_024  # clips standardised at a time


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
    """A .npy file of latents (clips, T, D), float32.

    An ordinary file and no memory map: on a full disk a write raises, a memory map kills.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.clips, self.row_shape = shape[0], shape[1:]
        self._row_bytes = 4 * shape[1] * shape[2]
        self._file = path.open("w+b")
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._start = self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, row: int, latents: NDArray[np.float32]) -> None:
        """Put latents (n, T, D) or (T, D) at `row` and after."""
        self._file.seek(self._start + row * self._row_bytes)
        self._file.write(np.ascontiguousarray(latents, "<f4").tobytes())

    def read(self, row: int, count: int) -> NDArray[np.float32]:
        """`count` rows from `row` on, or as many as there are."""
        self._file.seek(self._start + row * self._row_bytes)
        raw = self._file.read(count * self._row_bytes)
        return np.frombuffer(raw, "<f4").reshape(-1, *self.row_shape)


@dataclass(frozen=True)
class Task:
    """Clips of one split to be rendered together."""

    draw: Draw
    rows: Ints
    candidates: Ints

    @property
    def clips(self) -> Clips:
        return self.draw.candidates.take(self.candidates)


def build(
    dataset: Dataset,
    encoder: Encoder,
    sizes: Mapping[str, int],
    directory: Path,
    workers: int,
    progress: Progress,
) -> dict[str, Clips]:
    """Write standardised latents to `directory`/SPLIT.npy; give every split's labels."""
    sizes = {split: dataset.size(split, asked) for split, asked in sizes.items()}
    draws = [Draw(split, dataset.candidates(split), clips) for split, clips in sizes.items()]
    with contextlib.ExitStack() as stack:
        files = {
            split: stack.enter_context(
                LatentsFile(directory / f"{split}.npy", (clips, *encoder.shape))
            )
            for split, clips in sizes.items()
        }
        with encoding(dataset, encoder, workers) as run:
            _fill(dataset, draws, files, run, progress)
        _standardise(files)
    return {draw.split: draw.labels for draw in draws}


def _fill(
    dataset: Dataset,
    draws: list[Draw],
    files: dict[str, LatentsFile],
    run: Map,
    progress: Progress,
) -> None:
    total = sum(len(draw.rows) for draw in draws)
    done = 0
    while tasks := [task for draw in draws for task in _tasks(dataset, draw)]:
        results = run([task.clips for task in tasks])
        for task, (latents, audible) in zip(tasks, results, strict=True):
            task.draw.settle(task.rows, task.candidates, audible)
            for row, one in zip(task.rows[audible], latents[audible], strict=True):
                files[task.draw.split].write(int(row), one)
            done += int(audible.sum())
            progress(done, total, "rendering and encoding clips")


def _tasks(dataset: Dataset, draw: Draw) -> list[Task]:
    # The same clips together however many the workers: a clip's last bit depends on its company.
    rows, candidates = draw.missing()
    order = dataset.reading_order(draw.candidates.take(candidates))
    rows, candidates = rows[order], candidates[order]
    chunks = (slice(at, at + CHUNK) for at in range(0, len(rows), CHUNK))
    return [Task(draw, rows[chunk], candidates[chunk]) for chunk in chunks]


def _standardise(files: dict[str, LatentsFile]) -> None:
    """With the training clips' statistics, in place."""
    standardise = Standardiser()
    train = files["train"]
    for row in range(0, train.clips, STRETCH):
        standardise.fit(train.read(row, STRETCH))
    for file in files.values():
        for row in range(0, file.clips, STRETCH):
            file.write(row, standardise(file.read(row, STRETCH)))
