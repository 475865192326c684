"""Claims judged: an interval against a region, and what would settle those left undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.claims import CLAIMS, UNTRAINED, Claim
from analysis.configurations import OBJECTIVES
from analysis.intervals import ALPHA, SAMPLES, Interval, interval
from analysis.measured import Measured, Places
from analysis.trainings import Trainings
from analysis.unpaired import beside_each, unpaired_interval

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
MORE_NOTES = "more test notes"
_COVERED = 2 / 3  # of each family's configurations that a claim must rest on


@dataclass(frozen=True)
class Verdict:
    """How a claim stands."""

    claim: Claim
    verdict: str  # supported, contradicted or undecided
    parts: dict[str, Interval]
    level: float  # the smallest α at which the verdict is reached: a two-sided p
    holm: bool  # whether it stands beside all the other claims too, by Holm's rule
    needs: str  # what would settle it; empty where it is settled
    rests_on: str  # the points and seeds behind it
    seeds: int

    @property
    def settled(self) -> bool:
        return self.verdict != UNDECIDED


def verdicts(
    trainings: Trainings, claims: tuple[Claim, ...] = CLAIMS, samples: int = SAMPLES
) -> list[Verdict]:
    """Each claim's; one seed settles none. Seeds are fixed beforehand: adding some until a claim is
    supported makes the error rate another."""
    measured = Measured.of(trainings, samples)
    judged = [_judged(claim, measured) for claim in claims]
    # Without test notes an interval is too narrow to stand beside all the others.
    return judged if trainings.notes is None else _holm(judged)


def _judged(claim: Claim, measured: Measured) -> Verdict:
    try:
        narrowed, rests_on = _narrowed(claim, measured)
        floor = 1 / (max(1, claim.steps(narrowed)) * math.sqrt(12)) if claim.steps else 0.0
        unpaired = _unpaired(claim, measured, narrowed)
        if unpaired:
            parts = _of_all_baselines(claim, unpaired, floor)
            rests_on += f" ({len(unpaired)} of {_named(claim.baselines)})"
        else:
            parts = {n: interval(part, floor) for n, part in claim.statistic(narrowed).items()}
    except ValueError as problem:
        return Verdict(claim, UNDECIDED, {}, 1.0, False, str(problem), "", 0)
    verdict, level = judge(list(parts.values()), claim.low, claim.high)
    seeds = min(part.seeds for part in parts.values())
    needs = "" if verdict != UNDECIDED else _needs(list(parts.values()), claim.low, claim.high)
    return Verdict(claim, verdict, parts, level, False, needs, rests_on, seeds)


def _unpaired(claim: Claim, m: Measured, narrowed: Measured) -> list[Measured]:
    """The grid's seeds beside each seed of the baselines, where these have more; else nothing."""
    if not claim.baselines or (set(claim.points) == set(claim.baselines) and not claim.families):
        return []
    seeds = np.asarray(m.there[:, m.places(*claim.baselines)].all(axis=1))
    if not seeds.sum() > len(narrowed.accuracy) > 1:
        return []
    kept = m.points["name"].isin(narrowed.points["name"]).to_numpy()
    needed = _needed(claim, narrowed)
    few, others = narrowed.only(np.full(len(narrowed.accuracy), True), needed), m.only(seeds, kept)
    others = others.only(np.full(int(seeds.sum()), True), needed)
    return beside_each(few, others, few.places(*claim.baselines))


def _needed(claim: Claim, m: Measured) -> NDArray[np.bool_]:
    """[point]: what the claim rests on alone, since there will be many copies of it."""
    needed: NDArray[np.bool_] = np.array(m.points["name"].isin(claim.points))
    for name in claim.families:
        needed[_family(m, name)] = True
    return needed


def _of_all_baselines(claim: Claim, beside: list[Measured], floor: float) -> dict[str, Interval]:
    values = [claim.statistic(each) for each in beside]
    return {
        name: unpaired_interval(np.stack([value[name] for value in values], axis=1), floor)
        for name in values[0]
    }


def _named(baselines: tuple[str, ...]) -> str:
    return " and ".join(baselines)


def judge(parts: list[Interval], low: float, high: float) -> tuple[str, float]:
    """The verdict and the level it is reached at; `undecided` always with one seed.

    Supported: every part's interval wholly inside [low, high]. Contradicted: any part's wholly
    outside, at α over the number of parts. A bound itself is neither.
    """
    if min(part.seeds for part in parts) < 2:
        return UNDECIDED, 1.0
    inside = max(part.level(depth(part, low, high)) for part in parts)
    outside = min(1.0, len(parts) * min(part.level(-depth(part, low, high)) for part in parts))
    if inside <= ALPHA:
        return SUPPORTED, inside
    return (CONTRADICTED, outside) if outside <= ALPHA else (UNDECIDED, min(inside, outside))


def depth(part: Interval, low: float, high: float) -> float:
    """How far inside the region the estimate is, in the unit; negative outside."""
    return min(part.mean - low, high - part.mean)


def _needs(parts: list[Interval], low: float, high: float) -> str:
    if any(part.seeds == 0 for part in parts):
        return "finished trainings"
    if any(part.seeds == 1 for part in parts):
        return "more seeds, three at least"
    outside = [part for part in parts if depth(part, low, high) < 0]
    alpha = ALPHA / len(parts) if outside else ALPHA
    counts = [part.seeds_to_settle(abs(depth(part, low, high)), alpha) for part in outside or parts]
    count = min(counts) if outside else max(counts)
    if math.isinf(count):
        return MORE_NOTES if any(part.common > 0 for part in parts) else "more seeds: over 200"
    return f"{count} seeds" if count <= 200 else "over 200 seeds"


def _holm(judged: list[Verdict]) -> list[Verdict]:
    """Marks what stays settled when the chance of any wrong verdict among all is to be α."""
    order = sorted(range(len(judged)), key=lambda i: judged[i].level)
    marked = list(judged)
    for rank, i in enumerate(order):
        if judged[i].level > ALPHA / (len(judged) - rank):
            break
        marked[i] = replace(judged[i], holm=judged[i].settled)
    return marked


def _narrowed(claim: Claim, m: Measured) -> tuple[Measured, str]:
    """What the claim rests on: without seeds that lack a point it needs, and described.

    Where a seed lacks a configuration of a family, whichever costs fewer trainings is left out,
    the seed or the configuration; always the seed where the claim needs a whole grid.
    """
    absent = [name for name in claim.points if name not in set(m.points["name"])]
    families = {name: _family(m, name) for name in claim.families}
    absent += [f"configuration of {name}" for name, places in families.items() if not len(places)]
    if absent:
        raise ValueError(f"{absent[0]}, which the sweep lacks")
    family = np.concatenate([*families.values(), np.empty(0, int)]).astype(int)
    seeds: NDArray[np.bool_] = np.all(m.there[:, m.places(*claim.points)], axis=1)
    seeds, family_kept = _complete(m.there[:, family], seeds, claim.balanced)
    points = np.full(len(m.points), True)
    points[family[~family_kept]] = False
    for name, places in families.items():
        if points[places].mean() < _COVERED:
            raise ValueError(f"finished trainings of {name}")
    if not seeds.any():
        raise ValueError("finished trainings of all that it rests on")
    return m.only(seeds, points), _described(claim, m, family, seeds, points)


def _family(m: Measured, name: str) -> Places:
    return m.where(lam=0) if name == UNTRAINED else m.where(name)


def _complete(
    there: NDArray[np.bool_], seeds: NDArray[np.bool_], balanced: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Seeds and columns without a hole, by leaving out the one with most holes again and again."""
    seeds, columns = seeds.copy(), np.full(there.shape[1], True)
    while (lacking := ~there & seeds[:, None] & columns).any():
        of_seed = lacking.sum(axis=1) / columns.sum()
        of_column = lacking.sum(axis=0) / seeds.sum()
        if balanced or of_seed.max() >= of_column.max():
            seeds[np.argmax(of_seed)] = False
        else:
            columns[np.argmax(of_column)] = False
    return seeds, columns


def _described(
    claim: Claim, m: Measured, family: Places, seeds: NDArray[np.bool_], points: NDArray[np.bool_]
) -> str:
    """`cl-pitch; 35 configurations of 0 < λ < 1; without 1 not finished; 9 of 10 seeds`."""
    whole = set(OBJECTIVES) <= set(claim.families)
    named = ["0 < λ < 1" if whole else "/".join(n for n in claim.families if n != UNTRAINED)]
    named += [UNTRAINED] if UNTRAINED in claim.families else []
    texts = list(claim.points)
    if claim.families:
        texts.append(f"{points[family].sum()} configurations of {' and '.join(named)}")
    if not points.all():
        names = list(m.points["name"][~points])
        texts.append(f"without {', '.join(names) if len(names) < 3 else len(names)} not finished")
    count, planned = int(seeds.sum()), _seeds_of(m, [*m.places(*claim.points), *family])
    lacking = "" if count == planned else f" of {planned}"
    return "; ".join([*texts, f"{count}{lacking} seed" + "s" * (count != 1 or bool(lacking))])


def _seeds_of(m: Measured, places: list[int]) -> int:
    """How many seeds have any of these; of the grid's, where any are: baselines may have more."""
    kinds = m.points["kind"].iloc[places] == "multiview"
    rows = np.array(places)[kinds] if kinds.any() else np.array(places)
    return int(m.there[:, rows].any(axis=1).sum())
