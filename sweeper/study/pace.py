"""How long a launch will take yet, from how far its packs are and how long they took for that.

One answer for all who ask: the launching terminal, `status`, its JSON, a served page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.study.config import RunConfig
from sweeper.study.plan import cost, training_share

ENOUGH = 0.03  # of the work, seen, to tell how long the rest will take
# What the pace of all packs weighs beside a pack's own, as if it had done so much of its work.
PRIOR = 0.1


@dataclass(frozen=True)
class Seen:
    """What a pack, or a run of one, has shown so far. Work is in units of `plan.cost`."""

    work: float = 0.0  # of the runs that are still at work
    left: float = 0.0  # of that
    timed: float = 0.0  # what is done, ended runs too, but not before the checkpoint gone on from
    seconds: float = 0.0  # that took

    @classmethod
    def of(
        cls, run: RunConfig, share: float, seconds: float, *, from_epoch: int = 0, at_work: bool
    ) -> Seen:
        """Of one run of a pack of which `share` is done, after so many seconds a run."""
        work, before = cost(run), 0.0
        if from_epoch and run.training:
            before = training_share(run) * from_epoch / run.training.epochs
        share = max(share, before)
        seen = cls(work, work * (1 - share), work * (share - before), seconds)
        return seen if at_work else seen.ended()

    def ended(self) -> Seen:
        """Once nobody is at work at it any more."""
        return Seen(timed=self.timed, seconds=self.seconds)

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.work + other.work,
            self.left + other.left,
            self.timed + other.timed,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Headway:
    """How far a launch is."""

    packs: Sequence[Seen]  # at work, and ended
    missing: float  # work of all runs that are not done, those at work whole
    slots: int  # packs at work at once, when they were most
    at_work: int  # packs, now

    @property
    def left(self) -> float:
        """Work that is yet to be done."""
        return max(0.0, self.missing - sum(pack.work - pack.left for pack in self.packs))

    @property
    def seconds_left(self) -> float | None:
        """Until all is done; None while too little was seen to tell, or nobody is at work."""
        if not self.left:
            return 0.0
        timed = sum(pack.timed for pack in self.packs)
        if not self.at_work or timed < ENOUGH * (timed + self.left):
            return None
        pace = sum(pack.seconds for pack in self.packs) / timed
        alone = [_seconds_left(pack, pace) for pack in self.packs]
        waiting = max(0.0, self.left - sum(pack.left for pack in self.packs))
        # Work that is in no pack yet goes to whoever is free; a pack is never shared.
        return round(max(*alone, (sum(alone) + pace * waiting) / max(1, self.slots)), 1)


def _seconds_left(pack: Seen, pace: float) -> float:
    if not pack.left:
        return 0.0
    prior = PRIOR * pack.work
    return (pack.seconds + pace * prior) / (pack.timed + prior) * pack.left


def most_at_once(spans: Iterable[tuple[Any, Any]]) -> int:
    """How many spans of time (start, end; None: not yet) overlapped when they were most."""
    spans = list(spans)
    ends = sorted(end for _, end in spans if end is not None)
    starts = sorted(start for start, _ in spans)
    ended, most = 0, 0
    for started, start in enumerate(starts, 1):
        while ended < len(ends) and ends[ended] <= start:
            ended += 1
        most = max(most, started - ended)
    return most
