"""What a sweep costs by parts, told from a real one in a fresh directory and cache.

`python -m sweeper.bench.cold_start DIRECTORY SINCE` is that sweep, in a process of its own, so that
importing costs what it costs a user: it finds a request in DIRECTORY and leaves the parts there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeper.bench.memory import peak_bytes
from sweeper.errors import SweeperError
from sweeper.events import Broke, Ended, Event, Placed, Progress, Results
from sweeper.study import presets

PARTS = ("import", "data", "ray", "training", "probes", "writing", "rest")
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
TIMEOUT = 300  # of the small sweep

DRIVER = "driver"  # beside the packs
Mark = tuple[float, str, str | None]  # when, who, and the part that begins; None: there is none


def measure(clips: tuple[int, int, int], preset: str | None = None) -> dict[str, Any]:
    """Seconds and share of each of PARTS for a sweep that is started cold.

    A small one of four runs on so many clips (for training, for validation and downstream); or the
    full grid of a preset, one seed, which may take an hour. Raises SweeperError for an unknown
    preset, and when the sweep does not finish.
    """
    with TemporaryDirectory(prefix="sweeper-bench-") as directory:
        Path(directory, "request.json").write_text(json.dumps(_request(directory, clips, preset)))
        environment = {
            **os.environ,
            "SWEEPER_CACHE": f"{directory}/cache",
            "SWEEPER_STORAGE": f"{directory}/storage",
            "RAY_ADDRESS": "local",  # no cluster that happens to run here
        }
        # Importing begins before the process can look at a clock.
        command = [sys.executable, "-m", __name__, directory, str(time.time())]
        with (
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process,
            peak_bytes(process.pid) as peak,
        ):
            try:
                _, complaints = process.communicate(timeout=None if preset else TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                late = f"the sweep of `bench` did not finish in {TIMEOUT:g} s: is the machine busy?"
                raise SweeperError(late) from None
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            last = complaints.strip().splitlines()[-1:] or ["no message"]
            raise SweeperError(f"the sweep of `bench` did not finish: {last[0]}")
        sweep = json.loads(Path(directory, "parts.json").read_text())
    told = {"preset": preset, "runs": sweep["runs"], "peak_bytes": max(peak, default=None)}
    return told | shares(sweep["seconds"])


def _request(directory: str, clips: tuple[int, int, int], preset: str | None) -> dict[str, str]:
    """Of a `sweeper.study.request.Request`."""
    if preset is not None:
        encoder = presets.preset(preset).data.encoder
        return {"grid": "full", "preset": preset, "encoder": encoder}
    grid = Path(directory, "grid.toml")
    grid.write_text(GRID.format(*clips))
    return {"grid": str(grid), "preset": "smoke"}


def shares(seconds: Mapping[str, float]) -> dict[str, Any]:
    """The parts in order, each with its share of their sum."""
    total = sum(seconds.values())
    parts = {part: {"seconds": seconds[part], "share": seconds[part] / total} for part in PARTS}
    return {"seconds": total, "parts": parts}


def seconds_by_part(marks: Sequence[Mark], ended: float, writing: float = 0.0) -> dict[str, float]:
    """Divides the time since the first mark.

    Packs at work together get equal shares of the moment, and the driver what no pack is at work
    in. It writes meanwhile: what that took comes out of the rest, and is not counted twice.
    """
    seconds = dict.fromkeys(PARTS, 0.0)
    parts: dict[str, str] = {}
    for (since, who, part), (until, *_) in pairwise([*marks, (ended, DRIVER, None)]):
        parts.pop(who, None)
        if part:
            parts[who] = part
        packs = [part for who, part in parts.items() if who != DRIVER]
        for each in packs or [parts[DRIVER]]:
            seconds[each] += (until - since) / (len(packs) or 1)
    seconds["writing"] = min(writing, seconds["rest"])
    seconds["rest"] -= seconds["writing"]
    return seconds


class Clock:
    """A `sweeper.sweep.Watcher` that marks what begins when."""

    def __init__(self, since: float) -> None:
        self.marks: list[Mark] = [(since, DRIVER, "import")]

    def begin(self, part: str | None, who: str = DRIVER) -> None:
        self.marks.append((time.time(), who, part))

    @contextmanager
    def data(self) -> Iterator[Callable[[int, int, str], None]]:
        self.begin("data")
        yield lambda done, total, what: None
        self.begin("rest")

    @contextmanager
    def sweep(self, _cells: object, _missing: object) -> Iterator[Callable[[Event], None]]:
        """Until a pack is placed the time is Ray's, which starts processes that import."""
        self.begin("ray")
        yield self.observe

    def observe(self, event: Event) -> None:
        match event:
            case Placed(pack=pack):
                self.begin("rest")
                self.begin("training", pack)
            case Progress(pack=pack, stage="probes"):
                self.begin("probes", pack)
            case Results(pack=pack) | Ended(pack=pack) | Broke(pack=pack):
                self.begin(None, pack)

    def notify(self, line: str) -> None:
        pass


def _sweep(directory: Path, since: float) -> dict[str, Any]:
    """A sweep as `sweeper launch` makes it, with a clock beside it."""
    clock, writing = Clock(since), list[float]()
    import torch  # noqa: F401
    from sqlalchemy import event

    from sweeper.driver.ray_tune import RayTune
    from sweeper.ledger.connect import writer
    from sweeper.ledger.write import Ledger
    from sweeper.study.request import Request
    from sweeper.sweep import expand, register, train_missing

    clock.begin("rest")
    request = Request(**json.loads((directory / "request.json").read_text()))
    with writer(str(directory / "results.db")) as engine, Ledger.of(engine, "bench") as ledger:
        # Seconds of every use of the database.
        event.listen(engine, "checkout", lambda _, use, __: use.info.update(since=time.time()))
        event.listen(
            engine, "checkin", lambda _, use: writing.append(time.time() - use.info["since"])
        )
        register(ledger, request, expand(request))
        runs, _ = train_missing(ledger, RayTune, clock)
    return {"runs": runs, "seconds": seconds_by_part(clock.marks, time.time(), sum(writing))}


if __name__ == "__main__":
    root, began = Path(sys.argv[1]), float(sys.argv[2])
    (root / "parts.json").write_text(json.dumps(_sweep(root, began)))
