"""How long a pack may be silent: a frozen worker ends by itself no more than it says anything.

Workers speak every few seconds whatever they do (worker/pulse.py), so that the limit need not know
how long an epoch takes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SECONDS = 300.0  # a machine that swaps, or a network that hangs, may come back
PAUSES = 20.0  # where speaking itself is slow: so many of the longest pause of any pack
# More than this between two looks is time in which the driver itself was stopped, or asleep.
LONGEST_STEP = 5.0


@dataclass(frozen=True)
class Frozen:
    """A pack that has been silent for too long."""

    pack: str
    seconds: float
    place: Any  # where its worker is, as the pack told


class Silence:
    """When each pack was last heard, by a clock that stands still while the driver does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        asked = os.environ.get("SWEEPER_SILENCE_SECONDS")
        self._fixed = float(asked) if asked else None
        self._clock, self._looked, self._now = clock, clock(), 0.0
        self._longest = 0.0
        self._heard: dict[str, tuple[float, Any]] = {}  # by pack: when, and from where

    @property
    def limit(self) -> float:
        """Seconds after which a pack is called frozen."""
        return self._fixed or max(SECONDS, PAUSES * self._longest)

    def heard(self, pack: str, place: Any) -> None:
        """A pack has told something; until its first word nothing is known of it."""
        self._look()
        if pack in self._heard:
            self._longest = max(self._longest, self._now - self._heard[pack][0])
        self._heard[pack] = self._now, place

    def ended(self, pack: str) -> None:
        """Nothing is to be heard of a pack any more."""
        self._heard.pop(pack, None)

    def frozen(self) -> list[Frozen]:
        """Packs that are silent for too long, each of them once a limit."""
        self._look()
        found = [
            Frozen(pack, self._now - since, place)
            for pack, (since, place) in self._heard.items()
            if self._now - since > self.limit
        ]
        self._heard |= {one.pack: (self._now, one.place) for one in found}
        return found

    def _look(self) -> None:
        now = self._clock()
        self._now += min(now - self._looked, LONGEST_STEP)
        self._looked = now
