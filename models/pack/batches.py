"""Batches of a pack: all runs of one (seed, pairing) see the same pairs in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.pairs import (
    Indices,
    LabelledLatents,
    batches,
    training_pairs,
    validation_pairs,
)
from models.spec import RunSpec


def stream_key(run: RunSpec) -> tuple[int, tuple[str, str]]:
    """What decides a run's batches: its seed, and which factors its pairs share and differ in."""
    return run.seed, run.pairing


class BatchSchedule:
    """Which clips the runs of a pack see when: a stream of batches for each stream_key."""

    def __init__(
        self,
        runs: Sequence[RunSpec],
        train: LabelledLatents,
        valid: LabelledLatents,
        batch_pairs: int,
    ) -> None:
        """ValueError when the clips do not fill a batch or no clip has a partner."""
        leaders = {stream_key(run): run for run in reversed(runs)}
        self._leaders = list(reversed(leaders.values()))
        numbers = {stream_key(run): number for number, run in enumerate(self._leaders)}
        self.of_run = [numbers[stream_key(run)] for run in runs]
        self._samplers = [train.sampler(run.pairing) for run in self._leaders]
        self._valid = valid
        self._batch_pairs = batch_pairs
        self.steps = len(self._epoch(0, 0))

    def epoch(self, epoch: int) -> Tensor:
        """Clips of every batch of an epoch (counted from 0): (streams, steps, 2·B), view-major."""
        streams = [self._epoch(number, epoch) for number in range(len(self._leaders))]
        return torch.from_numpy(np.stack(streams)).flatten(2)

    def validation(self, number: int) -> Indices:
        """The fixed validation batches (steps, 2, B) of a stream."""
        leader = self._leaders[number]
        sampler = self._valid.sampler(leader.pairing)
        return batches(validation_pairs(sampler, leader.seed), self._batch_pairs)

    def _epoch(self, number: int, epoch: int) -> Indices:
        pairs = training_pairs(self._samplers[number], self._leaders[number].seed, epoch)
        return batches(pairs, self._batch_pairs)
