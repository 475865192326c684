"""The one writer of the results database: a thread that takes what happens, in order."""

from __future__ import annotations

import dataclasses
import os
import platform
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sweeper.driver.outbox import Backlog
from sweeper.driver.retry import Retries
from sweeper.ledger.lease import FencedError
from sweeper.ledger.write import Ledger, Provenance
from sweeper.states import INFRASTRUCTURE, INTERRUPTED
from sweeper.storage.checkpoints import Checkpoints

if TYPE_CHECKING:
    from sweeper.driver.pack_queue import Dispatcher

Event = dict[str, Any]

DRAIN_SECONDS = 2.0  # between two tries to store what waits
LAST_DRAIN_SECONDS = 5.0  # at the end of a sweep; after that it waits for the next launch


class Writer:
    """Takes events from any thread, stores them, tells the dispatcher and an observer.

    Whatever the database does, `put` returns at once and nothing is raised in Ray Tune.
    """

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        checkpoints: Checkpoints,
        observe: Callable[[Event], None],
        notify: Callable[[str], None],
    ) -> None:
        self._backlog = Backlog(ledger, notify)
        self._dispatcher = dispatcher
        self._checkpoints = checkpoints
        self._observe = observe
        self._notify = notify
        self._retries = Retries()
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="ledger-writer")
        self._provenance = dataclasses.asdict(provenance())
        self.error: Exception | None = None

    def put(self, event: Event) -> None:
        self._queue.put(event)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if self.error is not None and _error is None:
            raise self.error

    def _work(self) -> None:
        while True:
            try:
                event = self._queue.get(timeout=DRAIN_SECONDS if self._backlog.waiting else None)
            except queue.Empty:
                self._guarded(self._backlog.drain)
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
        while self._backlog.waiting and not self._backlog.drain():
            if time.monotonic() > deadline:
                waiting = self._backlog.waiting
                self._notify(f"{waiting} events wait for the database; the next launch stores them")
                return
            time.sleep(0.2)

    def _handle(self, event: Event) -> None:
        """What an event means to the dispatcher must happen even when storing it raises."""
        handler = getattr(self, f"_on_{event['event']}", self._take)
        try:
            handler(event)
        finally:
            if event["event"] in ("ended", "lost"):
                self._dispatcher.close(event["pack"])
            self._observe(event)

    def _take(self, event: Event) -> None:
        if not isinstance(self.error, FencedError):
            self._backlog.take(event)

    def _on_started(self, event: Event) -> None:
        event["runs"] = self._dispatcher.packs[event["pack"]].keys
        event["provenance"] = self._provenance
        self._take(event)

    def _on_results(self, event: Event) -> None:
        try:
            self._take(event)
        finally:
            for result in event["results"]:
                self._release(event["pack"], result)
        for result in event["results"]:
            self._checkpoints.remove(result["key"])

    def _on_broke(self, event: Event) -> None:
        """The worker caught an exception."""
        self._retry(event, event["kind"])

    def _on_lost(self, event: Event) -> None:
        """Ray says that the trial ended with an error: its worker died, or its node."""
        self._retry(event, event["kind"])

    def _on_ended(self, event: Event) -> None:
        """The trial ended; if that leaves runs without a result, it was cut short."""
        self._retry({**event, "cause": "ended without a result"}, INFRASTRUCTURE)

    def _on_interrupted(self, event: Event) -> None:
        self._take({"event": "closed", "state": INTERRUPTED, "cause": f"signal {event['signal']}"})

    def _retry(self, event: Event, kind: str) -> None:
        runs = self._dispatcher.unsettled(event["pack"])
        if not runs:
            return
        packs: list[Any] = []
        state = INTERRUPTED
        if not self._dispatcher.halted:
            state, packs = self._retries.after(runs, kind)
            event = (
                {**event, "cause": "stopped by a signal"}
                if not packs and state == INTERRUPTED
                else event
            )
        closed = {name: event.get(name) for name in ("pack", "cause", "traceback")}
        try:
            self._take({"event": "closed", "state": state, **closed})
        finally:
            self._dispatcher.requeue(event["pack"], packs)
        event["runs"], event["state"] = [run.key for run in runs], state if not packs else "pending"

    def _release(self, pack: str, result: Event) -> None:
        """Lets the runs go that waited for this one, or gives them up."""
        self._dispatcher.settle(pack, result["key"])
        scores = result.get("scores")
        if scores is None:
            self._dispatcher.give_up(result["key"])
        elif scores["valid_rec"] is not None:
            self._dispatcher.reference_done(result["key"], float(scores["valid_rec"]))


def provenance() -> Provenance:
    """This host, the code's commit, and the versions that decide numbers."""
    commit = _git("rev-parse", "HEAD")
    return Provenance(
        host=platform.node(),
        git_commit=commit,
        git_dirty=None if commit is None else bool(_git("status", "--porcelain")),
        versions={"python": platform.python_version(), **_versions("sweeper", "torch", "ray")},
    )


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
