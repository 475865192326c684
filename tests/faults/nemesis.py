"""Sweeps under real Ray, struck at random until they are done; a model checks what happened.

    python -m tests.faults.nemesis --seeds 0-9 --steps 20 [--database postgresql] --out DIR

A seed decides the kinds of faults, their order and their delays, and gives one history. What
stands whole in DIR is not done again, so that the same command goes on; it ends with the sum.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tests.faults import toy
from tests.faults.arena import MAY_MOUNT, OPTIONS, Arena
from tests.faults.history import Model
from tests.faults.processes import trials
from tests.faults.strikes import KINDS, kinds_for
from tests.faults.witness import digests

AT_START = 0.25  # of launches are struck before they train
ENDINGS = 6  # launches after the last step, in which all must be done


@dataclass(frozen=True)
class Game:
    """What a seed does not decide."""

    database: str
    steps: int
    epochs: int = 600  # of every run: seconds, long enough to be struck
    cells: int = 2  # seeds of every cell, at first
    kinds: Sequence[str] = ()  # of faults, in this order; else as the seed deals them


def play(game: Game, seed: int, out: Path) -> None:
    """One history, and a summary of it beside."""
    rng, counts = random.Random(f"{seed} {game.database}"), Counter[str]()
    kinds = chain(game.kinds, deck(kinds_for(game.database, MAY_MOUNT), rng))
    begun = time.monotonic()
    with Arena(game.database, out, game.cells, game.epochs) as arena:
        while counts.total() < game.steps:
            approach(arena, rng)
            kind = next(kinds)
            arena.witness.scan()
            arena.history.add("step", "invoke", kind=kind, holds=KINDS[kind].holds)
            struck = KINDS[kind].strike(arena, rng)
            arena.history.add("step", "ok" if struck else "unknown", kind=kind)
            counts[kind] += struck
        finish(arena)
        there, litter = digests(arena.db), arena.litter()
        arena.history.add(
            "end", keys=sorted(there), litter=litter, digests=undisturbed(arena, out.parent)
        )
    simulated = {kind: count for kind, count in counts.items() if KINDS[kind].simulated}
    summary = {
        "seed": seed,
        "database": game.database,
        "kinds": dict(sorted((counts - Counter(simulated)).items())),
        "simulated": simulated,
        "launches": arena.launches,
        "seconds": round(time.monotonic() - begun),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1))


def judged(place: Path) -> dict[str, Any]:
    """The summary of a history that stands at `place`, with what the model says of it today."""
    model, statuses = Model(), 0
    for event in map(json.loads, (place / "history.jsonl").read_text().splitlines()):
        model.take(event)
        statuses += event["what"] == "status" and event["type"] == "ok"
    seen = {"runs": len(model.stored), "statuses": statuses, "broken": model.broken}
    summary: dict[str, Any] = json.loads((place / "summary.json").read_text())
    return {**summary, **seen, "longest silence": round(model.longest, 1)}


def deck(kinds: list[str], rng: random.Random) -> Iterator[str]:
    """Kinds in random order: those that end a launch once, all others three times, and again."""
    dealt = [kind for kind in kinds for _ in range(1 if KINDS[kind].ends else 3)]
    while True:
        yield from rng.sample(dealt, len(dealt))


def approach(arena: Arena, rng: random.Random) -> None:
    """Until there is a launch to strike: one that trains, or that has just begun."""
    early = rng.random() < AT_START
    while True:
        if not arena.alive:
            arena.launch()
            if early:
                time.sleep(rng.uniform(0, 8))
                return
        code = arena.await_end(unless=lambda: bool(trials(arena.driver.pid)))
        if code is None:
            time.sleep(rng.uniform(0, 1.5))
            if (code := arena.reap()) is None:
                return
        if code == 0:
            arena.cells += 1  # all is done: more of it


def finish(arena: Arena) -> None:
    """What is missing is trained, and no more than that."""
    for _ in range(ENDINGS):
        if not arena.alive:
            arena.launch()
        if arena.await_end() == 0:
            return


def undisturbed(arena: Arena, place: Path) -> dict[str, str]:
    """Digests of the same runs where nothing went wrong, with no Ray; kept for later seeds."""
    db = place / "undisturbed.db"
    command = ["launch", "--grid", str(arena.grid), *OPTIONS, "--seeds", str(arena.cells)]
    command += ["--db", str(db), "--storage", str(place / "storage")]
    assert arena.run(*command, "--executor", "inline").wait() == 0
    return digests(str(db))


def line(summary: dict[str, Any]) -> str:
    """A seed, or the sum of them, for the terminal."""
    real, simulated = sum(summary["kinds"].values()), sum(summary["simulated"].values())
    verdict = "; ".join(summary["broken"]) or "0 lost, 0 repeated, every status true"
    return (
        f"{summary['database']}, seed {summary['seed']}: {real} real steps of "
        f"{len(summary['kinds'])} kinds and {simulated} simulated in {summary['launches']} "
        f"launches of {summary['runs']} runs, {summary['seconds']} s; longest silence "
        f"{summary['longest silence']} s, {summary['statuses']} statuses: {verdict}"
    )


def total(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """The sum of all seeds."""
    kinds = sum((Counter(summary["kinds"]) for summary in summaries), Counter())
    simulated = sum((Counter(summary["simulated"]) for summary in summaries), Counter())
    sums = {name: sum(s[name] for s in summaries) for name in ("launches", "runs", "statuses")}
    return {
        "seed": ", ".join(str(summary["seed"]) for summary in summaries),
        "database": summaries[0]["database"],
        "kinds": dict(kinds),
        "simulated": dict(simulated),
        **sums,
        "seconds": sum(summary["seconds"] for summary in summaries),
        "longest silence": max(summary["longest silence"] for summary in summaries),
        "broken": [text for summary in summaries for text in summary["broken"]],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.nemesis")
    parser.add_argument("--seeds", default="0-9", help="N, or N-M")
    parser.add_argument("--steps", type=int, default=20, help="faults a seed")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # disks and servers go with this process
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    first, _, last = asked.seeds.partition("-")
    out = asked.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    os.environ["SWEEPER_CACHE"] = str(out / "cache")
    toy.make_latents()
    summaries = []
    for seed in range(int(first), int(last or first) + 1):
        place = out / f"{asked.database}-{seed}"
        place.mkdir(exist_ok=True)
        if not (place / "summary.json").exists() or judged(place)["broken"]:
            play(Game(asked.database, asked.steps), seed, place)
        summaries.append(judged(place))
        print(line(summaries[-1]), flush=True)
    whole = total(summaries)
    print(f"in all: {line(whole)}")
    print(", ".join(f"{kind} {n}" for kind, n in sorted(whole["kinds"].items())))
    return 1 if whole["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
