"""Stratified draws and divisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweeper.data.clips import FAMILIES, PITCHES, Ints

HOLDOUT_SEED = 20_240_604


def stratified_order(strata: Ints, allowed: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """The allowed items in an order of which every beginning is stratified.

    First one item of each stratum, then a second of each, and so on; a stratum that has run out
    is passed over. Forbidding an item promotes the later ones of its stratum and no other, so
    the first n allowed items lose none of their number when a silent one among them is dropped.

    Args:
        strata: (N,) the stratum of each item: family · PITCHES + pitch.
    """
    families = strata.max(initial=0) // PITCHES + 1
    turn = _turns(rng, max(families, len(FAMILIES)))
    shuffled = rng.permutation(len(strata))
    index = shuffled[allowed[shuffled]]
    rank = rank_in_group(strata[index])
    return index[np.lexsort((turn[strata[index]], rank))]


def _turns(rng: np.random.Generator, families: int) -> Ints:
    """When each stratum's turn comes: every family once, each at another pitch, and so on.

    A Latin square, so that even a part of a round is balanced in both.
    """
    place = rng.permutation(PITCHES)
    family = np.arange(families)[:, None]
    rotated = (place + family * PITCHES // families) % PITCHES
    return (rotated * families + family).ravel()


def held_out(strata: Ints, share: int, whole: int) -> NDArray[np.bool_]:
    """(N,) which items are held out: `share` of `whole`, of each stratum and of all alike."""
    rng = np.random.default_rng(HOLDOUT_SEED)
    turn = rng.permutation(strata.max(initial=0) + 1)
    shuffled = rng.permutation(len(strata))
    order = shuffled[np.argsort(turn[strata[shuffled]], kind="stable")]
    held = np.empty(len(strata), np.bool_)
    held[order] = np.diff(np.arange(len(strata) + 1) * share // whole) > 0
    return held


def rank_in_group(group: Ints) -> Ints:
    """(N,) how many earlier items are of the same group."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(starts, append=len(group))
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(starts, sizes)
    return rank


def divide(labels: Sequence[Ints], shares: Sequence[float], rng: np.random.Generator) -> Ints:
    """Divide N items into parts so that every value of every label is shared out alike.

    Greedy: in random order, each item goes to the part that is furthest behind its share of the
    item's values so far; a part that is full takes no more.

    Args:
        labels: arrays (N,) of class numbers.
        shares: of each part; they sum to 1.

    Returns:
        (N,) the part of each item. Part sizes are exact up to rounding.
    """
    count = len(labels[0])
    share = np.asarray(shares)
    room = np.diff(np.round(np.cumsum([0, *shares]) * count)).astype(np.int64)
    taken = [np.zeros((label.max() + 1, len(shares))) for label in labels]
    parts = np.empty(count, np.int64)
    for item in rng.permutation(count):
        rows = [rows[label[item]] for rows, label in zip(taken, labels, strict=True)]
        behind = sum(share * (row.sum() + 1) - row for row in rows)
        part = parts[item] = np.argmax(np.where(room > 0, behind, -np.inf))
        room[part] -= 1
        for row in rows:
            row[part] += 1
    return parts
