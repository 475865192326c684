"""Making latents: clips are drawn, rendered and encoded on all cores, a batch at a time.

Which clips are silent is known only once they are rendered. A silent one is struck from its
split's candidates, and the draw is made again without it, until every clip drawn is audible.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoders import Encoder
from models.encoders.standardise import Standardiser
from sweeper.data.clips import Clips, Dataset, Ints, Progress
from sweeper.data.scratch import SCRATCH, Batch, LatentsFile, Scratch
from sweeper.data.splits import stratified_order
from sweeper.data.workers import EncodeChunks, encoding
from sweeper.errors import SweeperError

DRAW_SEED = 20_240_602
CHUNK = 32  # clips to a batch: enough to forget the loading of a SoundFont
STRETCH = 1_024  # clips standardised at a time

# Standardised latents are of the order of 1: 11 bits of mantissa keep them to 0.05 %, far below
# the noise of any encoder, and 300,000 clips take half the disk.
KEPT = "<f2"


class SplitDraw:
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

    def settle(self, batch: Batch, audible: NDArray[np.bool_]) -> None:
        """Note what rendering has shown."""
        self.rows[batch.rows[audible]] = batch.candidates[audible]
        self.audible[batch.candidates] = audible

    @property
    def labels(self) -> Clips:
        """Of the split's rows, once none is missing."""
        return self.candidates.take(self.rows)


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
    draws = {
        split: SplitDraw(split, dataset.candidates(split), clips) for split, clips in sizes.items()
    }
    with (
        Scratch(directory / SCRATCH, sizes, encoder.shape) as scratch,
        encoding(dataset, encoder, workers) as encode,
    ):
        _fill(dataset, draws, scratch, encode, progress)
        _standardise(scratch.raw, directory)
    return {split: draw.labels for split, draw in draws.items()}


def _fill(
    dataset: Dataset,
    draws: Mapping[str, SplitDraw],
    scratch: Scratch,
    encode: EncodeChunks,
    progress: Progress,
) -> None:
    total = sum(len(draw.rows) for draw in draws.values())
    done = 0
    while batches := [batch for draw in draws.values() for batch in _batches(dataset, draw)]:
        audibles = [scratch.audible(batch) for batch in batches]
        fresh = encode(
            draws[batch.split].candidates.take(batch.candidates)
            for batch, audible in zip(batches, audibles, strict=True)
            if audible is None
        )
        for batch, audible in zip(batches, audibles, strict=True):
            if audible is None:
                latents, audible = next(fresh)
                scratch.add(batch, latents, audible)
            draws[batch.split].settle(batch, audible)
            done += int(audible.sum())
            progress(done, total, "rendering and encoding clips")


def _batches(dataset: Dataset, draw: SplitDraw) -> list[Batch]:
    # The same clips together however many the workers: a clip's last bit depends on its company.
    rows, candidates = draw.missing()
    order = dataset.reading_order(draw.candidates.take(candidates))
    chunks = [order[at : at + CHUNK] for at in range(0, len(order), CHUNK)]
    return [Batch(draw.split, rows[chunk], candidates[chunk]) for chunk in chunks]


def _standardise(raw: Mapping[str, LatentsFile], directory: Path) -> None:
    """With the training clips' statistics; the raw latents stay as they are, for another try."""
    standardise = Standardiser()
    train = raw["train"]
    for row in range(0, train.clips, STRETCH):
        standardise.fit(train.read(row, STRETCH))
    for split, file in raw.items():
        with LatentsFile(directory / f"{split}.npy", (file.clips, *file.row_shape), KEPT) as out:
            for row in range(0, file.clips, STRETCH):
                out.write(row, standardise(file.read(row, STRETCH)))
