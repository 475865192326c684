"""The packs of one launch, each handed out as soon as what it needs is finished.

Runs that another sweep trains at the same time are left to it, and waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sweeper.states import DONE, State
from sweeper.study.config import RunConfig
from sweeper.study.plan import Assignment, Pack, make_pack, reference_of

LOOK_SECONDS = 2.0  # between two looks at what other sweeps train


class Claims(Protocol):
    """Which runs are this driver's to train, when other sweeps hold them too."""

    def claim(self, pack: str, keys: Sequence[str]) -> set[str]:
        """Those of the runs that nobody else trains or has finished; they are now this pack's."""

    def look(self, keys: Iterable[str]) -> Mapping[str, tuple[State, float | None]]:
        """How runs that somebody else has stand: state, and L_rec of finished references."""


class NobodyElse:
    """The claims of a launch that is alone with its database."""

    def claim(self, pack: str, keys: Sequence[str]) -> set[str]:
        return set(keys)

    def look(self, keys: Iterable[str]) -> Mapping[str, tuple[State, float | None]]:
        return {}


class PackQueue:
    """The packs of one launch. Thread-safe: the executor asks, the recorder answers."""

    def __init__(
        self,
        launch: str,
        packs: Iterable[Pack],
        references: Mapping[str, float],
        claims: Claims | None = None,
    ) -> None:
        self._launch = launch
        self._claims = claims or NobodyElse()
        self._elsewhere: dict[str, RunConfig] = {}  # by key: runs that another sweep trains
        self._looked = 0.0
        self._references = dict(references)  # key of a finished reference → validation L_rec
        self._lock = threading.Lock()
        self.packs: dict[str, Pack] = {}  # by name, of every pack there ever was
        self._waiting: list[str] = []
        for pack in packs:
            self._enqueue(pack)
        self.handed_out: list[str] = []
        self._open: dict[str, set[str]] = {}  # handed out and not closed → runs without a result
        self.halted = False

    def next(self) -> Assignment | None:
        """The next pack that can start, or None when none can yet."""
        with self._lock:
            self._look_elsewhere()
            while not self.halted:
                name = next(filter(self._is_ready, self._waiting), None)
                if name is None:
                    return None
                self._waiting.remove(name)
                if self._claim(name):
                    self.handed_out.append(name)
                    self._open[name] = set(self.packs[name].keys)
                    return self._assignment(name)
        return None

    def _claim(self, name: str) -> bool:
        """Leaves those of a pack's runs out that another sweep has; whether any are left."""
        runs = self.packs[name].runs
        claimed = self._claims.claim(name, [run.key for run in runs])
        self._elsewhere |= {run.key: run for run in runs if run.key not in claimed}
        self.packs[name] = make_pack([run for run in runs if run.key in claimed])
        return bool(claimed)

    def _look_elsewhere(self) -> None:
        """Takes up what other sweeps have finished, and what they have let go."""
        if not self._elsewhere or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        given_back = []
        for key, (state, valid_rec) in self._claims.look(list(self._elsewhere)).items():
            if state == State.RUNNING:
                continue
            run = self._elsewhere.pop(key)
            if valid_rec is not None:
                self._references[key] = valid_rec
            if state not in DONE:
                given_back.append(run)
            elif state != State.FINISHED:
                self._drop(key)
        if given_back:
            self._enqueue(make_pack(given_back), first=True)

    def halt(self) -> None:
        """Hands out nothing more: the sweep is to stop."""
        self.halted = True

    def close(self, name: str) -> None:
        """The pack's worker has ended and what it returned is stored."""
        with self._lock:
            self._open.pop(name, None)

    def settle(self, name: str, key: str) -> None:
        """A run of the pack has its result."""
        with self._lock:
            self._open.get(name, set()).discard(key)

    def unsettled(self, name: str) -> list[RunConfig]:
        """Runs of a pack that is handed out which have neither a result nor another pack."""
        with self._lock:
            keys = self._open.get(name, set())
            return [run for run in self.packs[name].runs if run.key in keys]

    def requeue(self, name: str, packs: Iterable[Sequence[RunConfig]]) -> None:
        """What a broken pack leaves is tried again in `packs`, next, or given up."""
        with self._lock:
            again = [make_pack(runs) for runs in packs]
            tried_again = {key for pack in again for key in pack.keys}
            given_up = self._open.get(name, set()) - tried_again
            self._open.get(name, set()).clear()
            for pack in reversed(again):
                self._enqueue(pack, first=True)
        for key in given_up:
            self.give_up(key)

    @property
    def over(self) -> bool:
        """Whether no pack will be handed out any more: none is left, or none can ever start."""
        with self._lock:
            if self._open or (self._elsewhere and not self.halted):
                return False
            return self.halted or not any(map(self._is_ready, self._waiting))

    @property
    def idle(self) -> bool:
        """Whether no pack is in anybody's hands."""
        with self._lock:
            return not self._open

    def reference_done(self, key: str, valid_rec: float) -> None:
        """A run with a validation L_rec is finished: those that wait for it may start."""
        with self._lock:
            self._references[key] = valid_rec

    def give_up(self, key: str) -> None:
        """A run will have no result in this launch: runs that need it are dropped."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        for name in list(self._waiting):
            runs = [run for run in self.packs[name].runs if not _needs(run, key)]
            self.packs[name] = make_pack(runs)
            if not runs:
                self._waiting.remove(name)

    def _is_ready(self, name: str) -> bool:
        return self.packs[name].needs <= self._references.keys()

    def _enqueue(self, pack: Pack, first: bool = False) -> None:
        name = f"{self._launch}-{len(self.packs):03d}"
        self.packs[name] = pack
        self._waiting.insert(0 if first else len(self._waiting), name)

    def _assignment(self, name: str) -> Assignment:
        runs = self.packs[name].runs
        references = map(reference_of, runs)
        mse = (None if run is None else self._references[run.key] for run in references)
        return Assignment(name, runs, tuple(mse))


def _needs(run: RunConfig, key: str) -> bool:
    reference = reference_of(run)
    return reference is not None and reference.key == key
