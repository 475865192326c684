"""Hands packs to Ray Tune as slots fall free, each as soon as what it needs is finished."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.search import Searcher

from sweeper.plan import Pack, reference_of


@dataclass
class _Queued:
    id: str
    pack: Pack


class Dispatcher:
    """The queue of packs of one launch. Thread-safe: Tune asks, the writer tells."""

    def __init__(self, launch: str, packs: Iterable[Pack], references: Mapping[str, float]) -> None:
        self._queue = [_Queued(f"{launch}-{i:03d}", pack) for i, pack in enumerate(packs)]
        self._references = dict(references)  # key of a finished reference → validation L_rec
        self._lock = threading.Lock()
        self.packs = {queued.id: queued.pack for queued in self._queue}
        self.handed_out: list[str] = []
        self._open: set[str] = set()  # handed out, and their results not yet stored

    def next(self) -> dict[str, Any] | None:
        """The Tune config of the next pack that can start, or None when none can yet."""
        with self._lock:
            for queued in self._queue:
                if queued.pack.needs <= self._references.keys():
                    self._queue.remove(queued)
                    self.handed_out.append(queued.id)
                    self._open.add(queued.id)
                    return self._payload(queued)
            return None

    def close(self, pack: str) -> None:
        """The pack's trial has ended and what it returned is stored."""
        with self._lock:
            self._open.discard(pack)

    @property
    def over(self) -> bool:
        """Whether no pack will be handed out any more: none is left, or none can ever start."""
        with self._lock:
            ready = any(queued.pack.needs <= self._references.keys() for queued in self._queue)
            return not ready and not (self._queue and self._open)

    def reference_done(self, key: str, valid_rec: float) -> None:
        """A reconstruction-only run is finished: those that wait for it may start."""
        with self._lock:
            self._references[key] = valid_rec

    def give_up(self, key: str) -> list[str]:
        """A reference cannot be had: drops the packs that need it; returns their ids."""
        with self._lock:
            dropped = [queued for queued in self._queue if key in queued.pack.needs]
            self._queue = [queued for queued in self._queue if queued not in dropped]
            return [queued.id for queued in dropped]

    def _payload(self, queued: _Queued) -> dict[str, Any]:
        runs = []
        for run in queued.pack.runs:
            reference = reference_of(run)
            mse = None if reference is None else self._references[reference.key]
            runs.append({"config": run.to_json(), "reference_mse": mse})
        return {"pack": queued.id, "runs": runs}


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
