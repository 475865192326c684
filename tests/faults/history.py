"""What happened to a sweep under a nemesis, in order, and a small model that says what may not.

An event is a dict: `t` (seconds), `what`, `type` (invoke, then ok or unknown; else info), details:

| what | type | details |
| --- | --- | --- |
| planned | info | `keys`: the runs that the sweep has from now on |
| launch | invoke; ok with its exit `code`; unknown, killed: `hung` if for silence | `launch` |
| step | invoke, ok; unknown: it found nothing to strike | `kind`, and whether it `holds` work up |
| damaged | info | `key`: its checkpoint has a wrong byte |
| stored | info | `key`, `attempt`, `digest`, `epochs` (first, last, count): scores are stored |
| attempt | info | a worker has begun: `attempt`, `key`, `from_epoch` |
| status | invoke; ok; unknown: it could not look | `finished`, `running`, `runs`, as told |
| overdue | info | `detail`: what should have come to its end |
| sign | info | something has moved: work, the log, a process |
| end | info | `keys`: stored at the end; `litter`; `digests` of an undisturbed sweep |
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Event = dict[str, Any]

SILENCE_SECONDS = 30.0
SIGNS = ("sign", "stored", "attempt", "launch")
HELD, DIED = 3, 4  # exit codes of a launch whose sweep another driver has, and whose Ray died
WAIT_SECONDS = 15.0  # less than that after a refusal, results may wait for the next launch
SPARED = 3  # fewer lost workers than that give no run up
REFUSES = (
    "database-locked",
    "database-disk-full",
    "storage-disk-full",
    "server-kill",
    "server-stop",
)
LOSES_WORKERS = ("worker-kill", "worker-frozen", "checkpoint-damaged")
ENDS_RAY = ("raylet-kill", "gcs-kill")


class History:
    """Events as they happen, from any thread; kept as JSON lines. A context."""

    def __init__(self, path: Path) -> None:
        self.events: list[Event] = []
        self._file = path.open("w")
        self._begun = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def add(self, what: str, type: str = "info", **details: Any) -> None:
        with self._lock:
            t = round(time.monotonic() - self._begun, 3)
            self.events.append({"t": t, "what": what, "type": type, **details})
            self._file.write(json.dumps(self.events[-1]) + "\n")
            self._file.flush()


def check(events: Iterable[Event]) -> list[str]:
    """What the history breaks: `RULE at T s: …`, in order; empty for a good one."""
    model = Model()
    for event in events:
        model.take(event)
    return model.broken


@dataclass
class Launch:
    """One that lives."""

    heard: float  # when it gave its last sign, s; later by as long as a step held it up
    lost_workers: int = 0
    is_without_ray: bool = False
    is_training: bool = False
    was_refused: bool = False  # the database or a disk, before anything was trained
    refused: float = float("-inf")  # when it last was, s


@dataclass
class Model:
    """What is known of a sweep after the events so far."""

    planned: set[str] = field(default_factory=set)
    stored: dict[str, Event] = field(default_factory=dict)
    begun: dict[int, Event] = field(default_factory=dict)  # attempt → its event
    reached: dict[str, int] = field(default_factory=dict)  # key → epoch of its last attempt's start
    damaged: set[str] = field(default_factory=set)  # checkpoints whose run may start anew, once
    launches: dict[int, Launch] = field(default_factory=dict)  # by number, those that live
    striking: dict[str, Event] = field(default_factory=dict)  # steps under way, by kind
    status: Event | None = None  # the look under way: what was true when it began
    shown: int = 0  # finished runs, as the last status said
    longest: float = 0.0  # silence, s
    broken: list[str] = field(default_factory=list)
    _now: float = 0.0

    def take(self, event: Event) -> None:
        self._now = event["t"]
        self._listen(event)
        rule: Callable[[Event], None] = getattr(self, f"_{event['what']}")
        rule(event)

    def _break(self, rule: str, detail: str) -> None:
        self.broken.append(f"{rule} at {self._now:.1f} s: {detail}")

    def _listen(self, event: Event) -> None:
        """No silence of a living launch, less the time for which a step held it up."""
        if any(step["holds"] for step in self.striking.values()):
            return
        for number, launch in self.launches.items():
            silence = self._now - launch.heard
            if silence > SILENCE_SECONDS >= self.longest:
                self._break("silence", f"launch {number} has been still for {silence:.0f} s")
            self.longest = max(self.longest, silence)
            if event["what"] in SIGNS:
                launch.heard = self._now

    def _planned(self, event: Event) -> None:
        self.planned |= set(event["keys"])

    def _launch(self, event: Event) -> None:
        number = event["launch"]
        if event["type"] == "invoke":
            self.launches[number] = Launch(self._now)
            if self.status:
                self.status["alive"] = True
            return
        launch = self.launches.pop(number)
        if event["type"] == "ok":
            self._exit(launch, event["code"])
        elif event.get("hung"):
            self._break("silence", f"launch {number} hung")

    def _exit(self, launch: Launch, code: int) -> None:
        """0 when nothing is missing; any other code has its cause."""
        excused = {
            1: launch.was_refused,
            2: launch.lost_workers >= SPARED or self._now - launch.refused < WAIT_SECONDS,
            HELD: "second-driver" in self.striking,
            DIED: launch.is_without_ray,
            143: "driver-term" in self.striking,
        }
        if code == 0 and (missing := self.planned - self.stored.keys()):
            self._break("missing", f"exit code 0 with {len(missing)} runs not stored")
        elif code and not excused.get(code):
            self._break("exit", f"code {code} for no reason")

    def _step(self, event: Event) -> None:
        kind = event["kind"]
        if event["type"] == "invoke":
            self.striking[kind] = event
            for launch in self.launches.values():
                launch.lost_workers += kind in LOSES_WORKERS
                launch.is_without_ray |= kind in ENDS_RAY
                launch.was_refused |= kind in REFUSES and not launch.is_training
            return
        held_up = self.striking.pop(kind)["holds"]
        for launch in self.launches.values():
            launch.heard = self._now if held_up else launch.heard
            launch.refused = self._now if kind in REFUSES else launch.refused

    def _damaged(self, event: Event) -> None:
        self.damaged.add(event["key"])

    def _stored(self, event: Event) -> None:
        """Once a run, what an undisturbed sweep has, with every epoch in its turn."""
        key, before = event["key"], self.stored.get(event["key"])
        if before and before["digest"] != event["digest"]:
            self._break("once", f"run {key[:12]} has other scores than before")
        elif before and before["attempt"] != event["attempt"]:
            self._break("once", f"run {key[:12]} was stored by two attempts")
        if key not in self.planned:
            self._break("once", f"run {key[:12]} was never planned")
        first, last, count = event["epochs"] or (1, 0, 0)  # a frozen encoder has none
        if first != 1 or last != count:
            self._break("epochs", f"run {key[:12]} has not every epoch once, in order")
        self.stored[key] = event
        for attempt in self.begun.values():
            if attempt["key"] == key:
                self._not_again(attempt)

    def _attempt(self, event: Event) -> None:
        for launch in self.launches.values():
            launch.is_training = True
        key, epoch = event["key"], event["from_epoch"]
        if event["attempt"] in self.begun:
            return
        if epoch < self.reached.get(key, 0):
            if key not in self.damaged:
                text = f"from epoch {epoch} after {self.reached[key]}"
                self._break("epochs", f"run {key[:12]} went on {text}")
            self.damaged.discard(key)
        self.begun[event["attempt"]] = event
        self.reached[key] = epoch
        self._not_again(event)

    def _not_again(self, attempt: Event) -> None:
        result = self.stored.get(attempt["key"])
        if result and attempt["attempt"] > result["attempt"]:
            self._break("repeated", f"run {attempt['key'][:12]} was finished, and trained again")

    def _status(self, event: Event) -> None:
        if event["type"] == "invoke":
            self.status = {
                "stored": len(self.stored),
                "planned": len(self.planned),
                "alive": bool(self.launches),
            }
            return
        assert self.status
        before, self.status = self.status, None
        if event["type"] == "unknown":
            return
        finished = event["finished"]
        if not before["stored"] <= finished <= len(self.stored):
            span = f"{before['stored']} to {len(self.stored)}"
            self._break("status", f"{finished} finished where {span} are stored")
        if finished < self.shown:
            self._break("status", f"{finished} finished after {self.shown}")
        if event["running"] and not before["alive"]:
            self._break("status", f"{event['running']} running with no driver alive")
        if event["runs"] < before["planned"]:
            self._break("status", f"{event['runs']} runs where {before['planned']} are planned")
        self.shown = max(self.shown, finished)

    def _overdue(self, event: Event) -> None:
        self._break("silence", event["detail"])

    def _sign(self, event: Event) -> None:
        """Heard already."""

    def _end(self, event: Event) -> None:
        there = set(event["keys"])
        if lost := self.stored.keys() - there:
            self._break("lost", f"{len(lost)} runs that were stored")
        if missing := self.planned - there - lost:
            self._break("missing", f"{len(missing)} runs at the end")
        for key in sorted(there & self.stored.keys()):
            if event["digests"].get(key) != self.stored[key]["digest"]:
                self._break("equal", f"run {key[:12]} is not what an undisturbed sweep has")
        for file in event["litter"]:
            self._break("litter", f"{file} is left")
        for launch in self.launches:
            self._break("exit", f"launch {launch} never ended")
