"""Pairs of views from labels: who is the second view of whom, as index arrays.

A multi-view pair of the paper is two clips of one instrument family and different pitches, all
other factors free (section 3.1); a study may ask for other factors. Draws are functions of (seed,
epoch) alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Indices = NDArray[np.int64]

_TRAINING, _VALIDATION = 0, 1  # streams of random numbers that never meet


@dataclass(frozen=True)
class LabelledLatents:
    """Frozen-encoder latents of clips, with the labels that pairs are made from."""

    # (N, T, D), of any precision: a trainer's own copy has its own. A memory map serves.
    latents: Tensor
    family: NDArray[Any]  # (N,)
    pitch: NDArray[Any]  # (N,)
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # by factor, (N,) each

    def sampler(self, pairing: tuple[str, str]) -> PairSampler:
        """Of pairs that share one factor and differ in another: see RunSpec.pairing.

        ValueError for a factor that the clips are not labelled by.
        """
        labels = {"pitch": self.pitch, "instrument": self.family, **self.others}
        for factor in pairing:
            if factor not in labels:
                raise ValueError(f"the clips have no factor '{factor}', only {', '.join(labels)}")
        return PairSampler(*(np.asarray(labels[factor]) for factor in pairing))


class PairSampler:
    """Draws for each clip a partner that shares one label and differs in another.

    A clip without any possible partner (a rare pitch that only one family plays) gives its place
    to another clip, so that an epoch has as many pairs as there are clips.
    """

    def __init__(self, shared: NDArray[Any], different: NDArray[Any]) -> None:
        """`shared`, `different`: (N,) labels. ValueError when no clip has a partner."""
        order = np.lexsort((different, shared))
        start, size = _stretches(shared[order])
        twin_start, twins = _stretches(np.stack((shared[order], different[order])))
        # All by place in `order`, where a clip's group lies together, and within it its twins.
        self._order = order
        self._start = start
        self._twins = twins
        self._twin_offset = twin_start - start
        self._choices = size - twins
        self._paired = np.flatnonzero(self._choices)
        if not len(self._paired):
            raise ValueError(
                f"no pair can be made within {_listed(np.unique(shared))}: "
                "each class needs clips that differ; use more clips"
            )

    @property
    def alone(self) -> Indices:
        """The clips that have no partner."""
        return np.sort(self._order[self._choices == 0])

    def draw(self, generator: np.random.Generator) -> Indices:
        """Pairs (N, 2): each clip that has a partner once as view 1, in random order.

        The partner is uniform over the clips of the same group less the clip's own twins.
        """
        first = generator.permutation(len(self._order))
        alone = self._choices[first] == 0
        first[alone] = generator.choice(self._paired, size=alone.sum())
        rank = generator.integers(0, self._choices[first])
        rank += np.where(rank >= self._twin_offset[first], self._twins[first], 0)
        return np.stack((self._order[first], self._order[self._start[first] + rank]), axis=1)


def training_pairs(sampler: PairSampler, seed: int, epoch: int) -> Indices:
    """The pairs of one epoch, (N, 2), in the order in which they are trained."""
    return sampler.draw(np.random.default_rng((_TRAINING, seed, epoch)))


def validation_pairs(sampler: PairSampler, seed: int) -> Indices:
    """The pairs (N, 2) that every epoch and every run of a seed is validated on."""
    return sampler.draw(np.random.default_rng((_VALIDATION, seed)))


def batches(pairs: Indices, batch_pairs: int) -> Indices:
    """(steps, 2, batch_pairs) of pairs (N, 2), the last partial batch dropped.

    ValueError when the pairs do not fill one batch.
    """
    steps = len(pairs) // batch_pairs
    if not steps:
        raise ValueError(
            f"{len(pairs)} pairs do not fill a batch of {batch_pairs}; "
            "use more clips or smaller batches"
        )
    whole = pairs[: steps * batch_pairs].reshape(steps, batch_pairs, 2)
    return np.ascontiguousarray(whole.transpose(0, 2, 1))


def _stretches(labels: NDArray[Any]) -> tuple[Indices, Indices]:
    """Start and length, for each place, of the stretch of equal columns that it lies in."""
    columns = np.atleast_2d(labels)
    begins = np.ones(columns.shape[1], dtype=bool)
    begins[1:] = (columns[:, 1:] != columns[:, :-1]).any(axis=0)
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.append(starts, columns.shape[1]))
    return np.repeat(starts, lengths), np.repeat(lengths, lengths)


def _listed(classes: NDArray[Any]) -> str:
    shown = ", ".join(str(label) for label in classes[:5])
    return f"class {shown}" + (", …" if len(classes) > 5 else "")
