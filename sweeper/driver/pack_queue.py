"""Hands packs to Ray Tune as slots fall free, each as soon as what it needs is finished."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.search import Searcher

from sweeper.study.config import RunConfig
from sweeper.study.plan import Pack, make_pack, reference_of


@dataclass
class _Queued:
    id: str
    pack: Pack


class Dispatcher:
    """The queue of packs of one launch. Thread-safe: Tune asks, the writer tells."""

    def __init__(self, launch: str, packs: Iterable[Pack], references: Mapping[str, float]) -> None:
        self._launch = launch
        self._references = dict(references)  # key of a finished reference → validation L_rec
        self._lock = threading.Lock()
        self.packs: dict[str, Pack] = {}
        self._queue: list[_Queued] = []
        for pack in packs:
            self._enqueue(pack)
        self.handed_out: list[str] = []
        self._open: dict[str, set[str]] = {}  # handed out and not closed → runs without a result
        self.halted = False

    def next(self) -> dict[str, Any] | None:
        """The Tune config of the next pack that can start, or None when none can yet."""
        with self._lock:
            queued = next(filter(self._ready, self._queue), None)
            if queued is None or self.halted:
                return None
            self._queue.remove(queued)
            self.handed_out.append(queued.id)
            self._open[queued.id] = set(queued.pack.keys)
            return self._payload(queued)

    def halt(self) -> None:
        """Hands out nothing more: the sweep is to stop."""
        self.halted = True

    def close(self, pack: str) -> None:
        """The pack's trial has ended and what it returned is stored."""
        with self._lock:
            self._open.pop(pack, None)

    def settle(self, pack: str, key: str) -> None:
        """A run of the pack has its result."""
        with self._lock:
            self._open.get(pack, set()).discard(key)

    def unsettled(self, pack: str) -> list[RunConfig]:
        """Runs of a pack that is handed out which have neither a result nor another pack."""
        with self._lock:
            left = self._open.get(pack, set())
            return [run for run in self.packs[pack].runs if run.key in left]

    def requeue(self, pack: str, packs: Iterable[Sequence[RunConfig]]) -> None:
        """What a broken pack leaves is tried again in `packs`, next, or given up."""
        with self._lock:
            again = [make_pack(runs) for runs in packs]
            kept = {key for own in again for key in own.keys}
            given_up = self._open.get(pack, set()) - kept
            self._open.get(pack, set()).clear()
            for own in reversed(again):
                self._enqueue(own, first=True)
        for key in given_up:
            self.give_up(key)

    @property
    def over(self) -> bool:
        """Whether no pack will be handed out any more: none is left, or none can ever start."""
        with self._lock:
            return not self._open and (self.halted or not any(map(self._ready, self._queue)))

    @property
    def idle(self) -> bool:
        """Whether no pack is in anybody's hands."""
        with self._lock:
            return not self._open

    def reference_done(self, key: str, valid_rec: float) -> None:
        """A reconstruction-only run is finished: those that wait for it may start."""
        with self._lock:
            self._references[key] = valid_rec

    def give_up(self, key: str) -> None:
        """A run will have no result in this launch: runs that need it are dropped."""
        with self._lock:
            kept = ((q, [r for r in q.pack.runs if not _needs(r, key)]) for q in self._queue)
            self._queue = [self._narrowed(q, runs) for q, runs in kept if runs]

    def _narrowed(self, queued: _Queued, runs: list[RunConfig]) -> _Queued:
        queued.pack = self.packs[queued.id] = make_pack(runs)
        return queued

    def _ready(self, queued: _Queued) -> bool:
        return queued.pack.needs <= self._references.keys()

    def _enqueue(self, pack: Pack, first: bool = False) -> None:
        queued = _Queued(f"{self._launch}-{len(self.packs):03d}", pack)
        self.packs[queued.id] = pack
        self._queue.insert(0 if first else len(self._queue), queued)

    def _payload(self, queued: _Queued) -> dict[str, Any]:
        runs = []
        for run in queued.pack.runs:
            reference = reference_of(run)
            mse = None if reference is None else self._references[reference.key]
            runs.append({"config": run.to_json(), "reference_mse": mse})
        return {"pack": queued.id, "runs": runs}


def _needs(run: RunConfig, key: str) -> bool:
    reference = reference_of(run)
    return reference is not None and reference.key == key


class PackSearcher(Searcher):  # type: ignore[misc]
    """Tune's side of the dispatcher: `suggest` is how Tune asks for another trial."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def suggest(self, trial_id: str) -> Any:
        return Searcher.FINISHED if self._dispatcher.over else self._dispatcher.next()

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing to learn: results go to the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher for restores, which we never use (see design, ledger).
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Tune's experiment state is not our memory."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("sweeps resume from the ledger, never from Tune's state")
