"""The one writer of the results database: a thread that turns events into transactions."""

from __future__ import annotations

import os
import platform
import queue
import subprocess
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sweeper.ledger.ledger import Ledger, Provenance, RunResult

if TYPE_CHECKING:
    from sweeper.dispatch import Dispatcher

Event = dict[str, Any]


class Writer:
    """Takes events from any thread, stores them in order, and tells an observer."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        observe: Callable[[Event], None],
    ) -> None:
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._observe = observe
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._thread = threading.Thread(target=self._drain, name="ledger-writer")
        self._provenance = provenance()
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

    def _drain(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                self._handle(event)
            except Exception as error:
                # The sweep goes on: what could not be stored is still missing at the next launch.
                self.error = self.error or error
            if event["event"] in ("ended", "lost"):
                self._dispatcher.close(event["pack"])
            self._observe(event)

    def _handle(self, event: Event) -> None:
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def _on_started(self, event: Event) -> None:
        event["runs"] = self._dispatcher.packs[event["pack"]].keys
        self._ledger.start_attempts(event["pack"], event["runs"], self._provenance)

    def _on_placed(self, event: Event) -> None:
        self._ledger.place(event["pack"], event["host"], event["device"], {})

    def _on_results(self, event: Event) -> None:
        results = [RunResult(**result) for result in event["results"]]
        self._ledger.record(event["pack"], results, event["seconds"])
        for result in results:
            self._release(result)

    def _on_lost(self, event: Event) -> None:
        self._ledger.close_attempts(
            "failed", event["cause"], traceback=event["traceback"], pack=event["pack"]
        )
        for key in self._dispatcher.packs[event["pack"]].keys:
            self._dispatcher.give_up(key)

    def _on_ended(self, event: Event) -> None:
        self._ledger.close_attempts("failed", "ended without a result", pack=event["pack"])

    def _on_interrupted(self, event: Event) -> None:
        self._ledger.close_attempts("interrupted", f"signal {event['signal']}")

    def _release(self, result: RunResult) -> None:
        """Lets the runs go that waited for this one, or gives them up."""
        if result.scores is None:
            self._dispatcher.give_up(result.key)
        elif result.scores["valid_rec"] is not None:
            self._dispatcher.reference_done(result.key, float(result.scores["valid_rec"]))


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
