"""The time left, on launches whose packs are known by the second."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, run_config
from sweeper.study.pace import Headway, Seen, most_at_once
from sweeper.study.plan import cost, training_share
from sweeper.study.presets import PRESETS

STUDY = dataclasses.replace(
    PRESETS["quick"], data=dataclasses.replace(PRESETS["quick"].data, downstream_clips=2048)
)


def run_of(kind: str, lam: float | None) -> RunConfig:
    of_grid = ("Cosine", "SEP") if lam is not None else (None, None)
    return run_config(Cell(kind, 0, *of_grid, lam), STUDY)


KINDS = {
    "λ=0": run_of("multiview", 0.0),
    "λ": run_of("multiview", 0.6),
    "λ=1": run_of("multiview", 1.0),
    "cl": run_of("cl-pitch", None),
    "encoder": run_of("encoder", None),
}


@dataclass(frozen=True)
class Pack:
    """When a pack began to train and when its results came (s), and of what it was."""

    start: float
    end: float
    kind: str
    runs: int = 1

    @property
    def work(self) -> float:
        return self.runs * cost(KINDS[self.kind])


# The two sweeps of the grid `full` in results.db at 2026-11-23: what its attempts say.
RECORDED = {
    "idle cores": [
        Pack(0, 35.8, "λ=0", 5),
        Pack(0, 8.6, "λ=1"),
        Pack(8.6, 35.6, "λ=0", 4),
        Pack(35.6, 36.6, "encoder"),
        Pack(36.6, 41.0, "cl"),
        Pack(36.6, 40.6, "cl"),
        Pack(40.6, 147.8, "λ", 18),
        Pack(41.0, 148.1, "λ", 18),
    ],
    "loaded cores": [
        Pack(0, 44.2, "λ=0", 5),
        Pack(1, 11.6, "λ=1"),
        Pack(11.6, 46.2, "λ=0", 4),
        Pack(44.2, 50.8, "cl"),
        Pack(46.2, 54.1, "cl"),
        Pack(50.8, 263.8, "λ", 18),
        Pack(54.1, 266.3, "λ", 18),
    ],
}


def headway_at(now: float, packs: Sequence[Pack]) -> Headway:
    """What an observer knows then, told of every pack five seconds before."""
    seen, missing = [], 0.0
    for pack in packs:
        run, ended = KINDS[pack.kind], pack.end <= now
        missing += 0.0 if ended else pack.work
        if pack.start <= now:
            heard = pack.end if ended else max(pack.start, now - 5)
            share = (heard - pack.start) / (pack.end - pack.start)
            seconds = (heard - pack.start) / pack.runs
            of_run = Seen.of(run, share, seconds, at_work=not ended)
            seen.append(sum([of_run] * pack.runs, Seen()))
    begun = [(p.start, p.end if p.end <= now else None) for p in packs if p.start <= now]
    return Headway(seen, missing, most_at_once(begun), sum(end is None for _, end in begun))


# From which share of the work on the time is right to 35 %. On the idle cores the encoder was
# another one than `cost` was measured with, and the runs at λ = 0 took twice of what it says.
@pytest.mark.parametrize(("trace", "near"), [("idle cores", 0.25), ("loaded cores", 0.1)])
def test_the_time_left_is_told_early_and_is_never_wild(trace: str, near: float) -> None:
    packs = RECORDED[trace]
    total, end = sum(pack.work for pack in packs), max(pack.end for pack in packs)
    ends: list[float] = []  # as they were foretold
    for now in range(int(end)):
        ahead = headway_at(now, packs)
        done = 1 - ahead.left / total
        if (left := ahead.seconds_left) is None:
            assert done < 0.05
            continue
        ends.append(now + left)
        bound = 0.35 if done > near else 0.6
        # The last seconds: what is told is up to five seconds old.
        assert left == pytest.approx(end - now, rel=bound, abs=6), (now, done)
    steps = [after - before for before, after in pairwise(ends)]
    assert -0.1 * end < min(steps) and max(steps) < 0.05 * end
    assert len(ends) > 0.9 * end


def test_a_pack_that_nobody_can_share_decides_when_it_is_late() -> None:
    late = Seen(work=90.0, left=60.0, timed=30.0, seconds=30.0)
    done = Seen(timed=60.0, seconds=60.0)
    assert Headway([late, done, done], 90.0, slots=3, at_work=1).seconds_left == 60
    assert Headway([late, done, done], 390.0, slots=3, at_work=1).seconds_left == 120


def test_nobody_at_work_is_no_time_at_all_and_nothing_left_is_none() -> None:
    stopped = Seen(timed=50.0, seconds=50.0)
    assert Headway([stopped], 50.0, slots=2, at_work=0).seconds_left is None
    assert Headway([stopped], 0.0, slots=2, at_work=0).seconds_left == 0
    assert Headway([], 50.0, slots=0, at_work=0).seconds_left is None


def test_work_before_a_checkpoint_is_done_and_was_not_timed() -> None:
    run = KINDS["λ"]
    resumed = Seen.of(run, 0.0, 0.0, from_epoch=4, at_work=True)
    assert resumed.timed == 0
    assert resumed.left == pytest.approx(cost(run) * (1 - training_share(run) / 2))
