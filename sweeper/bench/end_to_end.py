"""What a small sweep costs by parts, told from a real sweep in a fresh directory and cache.

Run as `python -m sweeper.bench.end_to_end DIRECTORY` in a process of its own, so that importing
costs what it costs a user; it finds a grid in DIRECTORY and leaves the parts there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeper.errors import SweeperError

Event = dict[str, Any]

PARTS = ("import", "data", "ray", "training", "probes", "writing", "rest")
PRESET = "smoke"
GRID = """
principles = ["Cosine"]
objectives = ["SEP"]
lambdas = [0.0, 0.6, 1.0]
baselines = ["encoder"]
[data]
train_clips = {}
valid_clips = {}
downstream_clips = {}
"""
TIMEOUT = 300


class PackClock:
    """Divides the time of a sweep's packs among their stages, by the driver's events.

    Until the first pack is placed the time is Ray's, which starts its processes and imports in
    its workers. While several packs are at work, each stage gets its share of the moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = dict.fromkeys(("ray", "training", "probes", "rest"), 0.0)
        self._clock, self._last = clock, clock()
        self._stages: dict[str, str] = {}  # pack → stage
        self._placed = False
        self._lock = threading.Lock()  # events come in the writer's thread

    def __call__(self, event: Event) -> None:
        """An observer of the driver's events."""
        with self._lock:
            self._book()
            pack = event.get("pack", "")
            match event["event"]:
                case "placed":
                    self._placed = True
                    self._stages[pack] = "training"
                case "progress" if event["stage"] == "probes":
                    self._stages[pack] = "probes"
                case "results" | "ended" | "lost" | "broke":
                    self._stages.pop(pack, None)

    def stop(self) -> dict[str, float]:
        """Seconds by stage, up to now."""
        with self._lock:
            self._book()
            return self.seconds

    def _book(self) -> None:
        now = self._clock()
        idle = "rest" if self._placed else "ray"
        stages = list(self._stages.values()) or [idle]
        for stage in stages:
            self.seconds[stage] += (now - self._last) / len(stages)
        self._last = now


def measure(clips: tuple[int, int, int]) -> dict[str, Any]:
    """Seconds and share of each of PARTS for a sweep of four runs, started cold.

    `clips` for training, for validation and downstream. Raises SweeperError when the sweep does
    not finish.
    """
    with TemporaryDirectory(prefix="sweeper-bench-") as directory:
        Path(directory, "grid.toml").write_text(GRID.format(*clips))
        started = time.time()
        _run(directory)
        left = json.loads(Path(directory, "parts.json").read_text())
    # The first part begins before the process can look at a clock.
    left["seconds"]["import"] = left["imported_at"] - started
    return {"clips": sum(clips), "runs": left["runs"], **shares(left["seconds"])}


def _run(directory: str) -> None:
    """The sweep, in a process of its own with a cache and a storage of its own."""
    own = {
        "SWEEPER_CACHE": f"{directory}/cache",
        "SWEEPER_STORAGE": f"{directory}/storage",
        "RAY_ADDRESS": "local",  # no cluster that happens to run here
    }
    command = [sys.executable, "-m", "sweeper.bench.end_to_end", directory]
    environment = {**os.environ, **own}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise SweeperError(f"the sweep of `bench` did not finish: {last[0]}")


def shares(seconds: Mapping[str, float]) -> dict[str, Any]:
    """The parts in order, each with its share of their sum."""
    total = sum(seconds.values())
    parts = {part: {"seconds": seconds[part], "share": seconds[part] / total} for part in PARTS}
    return {"seconds": total, "parts": parts}


def _sweep(directory: Path) -> dict[str, Any]:
    """A sweep as `sweeper launch` makes it, with a clock beside it."""
    import ray.tune  # noqa: F401
    import torch  # noqa: F401
    from rich.console import Console

    from sweeper.commands import data as prepare
    from sweeper.commands import launch
    from sweeper.commands.recover import storage_of
    from sweeper.driver import execute as driver
    from sweeper.ledger.connect import open_writer

    imported_at = time.time()
    seconds = {"data": 0.0, "writing": 0.0}
    request = launch.Request(grid=str(directory / "grid.toml"), preset=PRESET)
    with _into(seconds, "data"):
        cells = launch.expand(request)
        source = launch.source_of(request)
        prepare.prepare_all((run.data for _, run in cells), source, Console(quiet=True))
    engine = open_writer(str(directory / "results.db"))
    with _timed_ledger(seconds).of(engine, "bench") as ledger:
        ledger.register({}, cells)
        plan = launch.make_plan(engine, ledger.sweep_id)
        clock, before = PackClock(), seconds["writing"]
        driver.execute(
            plan,
            ledger,
            driver.Resources(),
            references={},
            storage=storage_of(ledger, None),
            trial_options={"source": {}},
            observe=clock,
        )
        stages = clock.stop()
    # The writer writes while packs train or Ray works; what it took is not counted twice.
    stages["rest"] -= min(stages["rest"], seconds["writing"] - before)
    return {"imported_at": imported_at, "runs": len(plan.runs), "seconds": {**seconds, **stages}}


def _timed_ledger(seconds: dict[str, float]) -> Any:
    """The ledger, with the time of its transactions added to `seconds`."""
    from sweeper.ledger.write import Ledger

    def timed(name: str) -> Callable[..., Any]:
        method = getattr(Ledger, name)

        def write(*arguments: Any, **options: Any) -> Any:
            with _into(seconds, "writing"):
                return method(*arguments, **options)

        return write

    writes = ("register", "start_attempts", "place", "record", "close_attempts")
    return type("TimedLedger", (Ledger,), {name: timed(name) for name in writes})


@contextmanager
def _into(seconds: dict[str, float], part: str) -> Any:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[part] += time.monotonic() - started


def main(directory: Path) -> None:
    """The process that `measure` starts."""
    (directory / "parts.json").write_text(json.dumps(_sweep(directory)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
