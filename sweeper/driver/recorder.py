"""The one writer of a sweep while it trains: a thread that takes what happens, in order."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType

from sweeper.driver.bulletin import Bulletin
from sweeper.driver.outbox import RETRY_SECONDS, Outbox
from sweeper.driver.pack_queue import PackQueue
from sweeper.driver.retry import Retries
from sweeper.events import (
    Broke,
    Closed,
    Ended,
    Event,
    Interrupted,
    Lost,
    Progress,
    Provenance,
    Results,
    Started,
)
from sweeper.ledger.lease import FencedError
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.storage.checkpoints import Checkpoints
from sweeper.study.config import RunConfig

LAST_DRAIN_SECONDS = 5.0  # at the end of a sweep; after that it waits for the next launch
STOPPED = "stopped by a signal"


class Recorder:
    """Takes events from any thread, stores them, and asks what comes next of it.

    Whatever the database does, `put` returns at once and nothing is raised in the executor.
    """

    def __init__(
        self,
        ledger: Ledger,
        pack_queue: PackQueue,
        checkpoints: Checkpoints,
        provenance: Provenance,
        observe: Callable[[Event], None],
        notify: Callable[[str], None],
    ) -> None:
        self._outbox = Outbox(ledger, notify)
        self._bulletin = Bulletin(ledger.lease)
        self._pack_queue = pack_queue
        self._checkpoints = checkpoints
        self._observe = observe
        self._notify = notify
        self._retries = Retries()
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="recorder")
        self._provenance = provenance
        self.error: Exception | None = None

    def put(self, event: Event) -> None:
        self._events.put(event)

    def started(self, pack: str) -> None:
        """The executor has handed a pack to a worker."""
        self.put(Started(pack, self._pack_queue.packs[pack].keys, self._provenance))

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._events.put(None)
        self._thread.join()
        if self.error is not None and error is None:
            raise self.error

    def _work(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=RETRY_SECONDS if self._outbox.waiting else None)
            except queue.Empty:
                self._guarded(self._outbox.drain)
                continue
            if event is None:
                break
            self._guarded(lambda event=event: self._handle(event))  # type: ignore[misc]
        self._guarded(self._finish)

    def _guarded(self, step: Callable[[], object]) -> None:
        """The sweep goes on: what could not be stored is still missing at the next launch."""
        try:
            step()
        except Exception as error:
            self.error = self.error or error

    def _finish(self) -> None:
        deadline = time.monotonic() + LAST_DRAIN_SECONDS
        while self._outbox.waiting and not self._outbox.drain():
            if time.monotonic() > deadline:
                self._notify(self._farewell())
                return
            time.sleep(0.2)

    def _farewell(self) -> str:
        if self._outbox.in_memory:
            return (
                f"{self._outbox.in_memory} events are lost with this process, for no disk has "
                "room; the next launch takes up the results that workers left in the storage"
            )
        return f"{self._outbox.waiting} events wait for the database; the next launch stores them"

    def _handle(self, event: Event) -> None:
        """What an event means to the queue must happen even when storing it raises."""
        try:
            match event:
                case Results():
                    self._on_results(event)
                case Broke():  # or Lost
                    self._close(event.pack, event.kind, event.cause, event.traceback)
                case Ended():  # if that leaves runs without a result, it was cut short
                    self._close(event.pack, State.INFRASTRUCTURE, "ended without a result")
                case Interrupted():
                    self._store(Closed(None, State.INTERRUPTED, f"signal {event.signum}"))
                case Progress():
                    self._put_up(event)
                case _:
                    self._store(event)
        finally:
            if isinstance(event, Ended | Lost):
                self._pack_queue.close(event.pack)
            self._observe(event)

    def _store(self, event: Event) -> bool:
        """Whether the event is now in the database, or in a file that the next launch reads."""
        if not event.durable or isinstance(self.error, FencedError):
            return False
        return self._outbox.deliver(event)

    def _put_up(self, event: Progress) -> None:
        """Whatever else there is to do or to fear comes first."""
        if not (self._outbox.waiting or self._pack_queue.halted or self.error):
            self._bulletin.tell(event)

    def _on_results(self, event: Results) -> None:
        self._bulletin.forget(event.pack)
        stored = False
        try:
            stored = self._store(event)
        finally:
            for result in event.results:
                self._pack_queue.settle(event.pack, result.key)
                if result.scores is None:
                    self._pack_queue.give_up(result.key)
                elif result.scores["valid_rec"] is not None:
                    self._pack_queue.reference_done(result.key, result.scores["valid_rec"])
        for result in event.results if stored else ():
            with contextlib.suppress(OSError):  # the next launch removes it
                self._checkpoints.remove(result.key)

    def _close(self, pack: str, kind: State, cause: str, traceback: str | None = None) -> None:
        """A pack broke off: closes the attempts that it leaves, and has their runs tried again."""
        self._bulletin.forget(pack)
        runs = self._pack_queue.unsettled(pack)
        if not runs:
            return
        again: list[tuple[RunConfig, ...]] = []
        if self._pack_queue.halted:
            state = State.INTERRUPTED
            cause = STOPPED if kind == State.INFRASTRUCTURE else cause
        else:
            state, again = self._retries.after(runs, kind)
        keys = [run.key for run in runs]
        closed = Closed(pack, state, cause, traceback, keys, again=bool(again))
        try:
            self._store(closed)
        finally:
            self._pack_queue.requeue(pack, again)
            self._observe(closed)
