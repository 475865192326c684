"""Arms against each other: interleaved in mirrored blocks, compared within a block only.

A block plays every arm once in random order and once more in the reverse order (ABBA): whatever
drifts steadily, such as a clock that falls with heat, weighs on all arms alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweeper.bench.workers import Crew


@dataclass
class Contender:
    """An arm on its crew."""

    name: str
    crew: Crew
    arm: str
    threads: Sequence[int] = (1,)  # the best of these is taken
    best_threads: int = 1
    rounds: int = 1  # of a window
    seconds: list[float] = field(default_factory=list)  # per run-step, by block

    def window(self) -> tuple[float, int]:
        """Trains one window: seconds, and the run-steps that all workers did in it."""
        started = time.perf_counter()
        run_steps = sum(self.crew.each("train", self.arm, self.rounds, self.best_threads))
        return time.perf_counter() - started, run_steps

    def calibrate(self, seconds: float) -> None:
        """Warms up, and chooses the threads and the rounds of a window of about `seconds`."""
        paces = {}
        for threads in self.threads:
            self.best_threads = threads
            self.window()
            paces[threads], _ = self.window()
        self.best_threads = min(paces, key=paces.__getitem__)
        self.rounds = max(1, round(seconds / paces[self.best_threads]))


def play(
    contenders: Sequence[Contender],
    blocks: int,
    seconds: float,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Plays the blocks; every contender keeps its seconds a run-step of each."""
    for contender in contenders:
        tell(f"warming up {contender.name}")
        contender.calibrate(seconds)
    order = np.random.default_rng(0)
    for block in range(blocks):
        tell(f"block {block + 1} of {blocks}")
        play_block([contenders[i] for i in order.permutation(len(contenders))])


def play_block(contenders: Sequence[Contender]) -> None:
    """One window each, there and back."""
    windows: dict[str, list[tuple[float, int]]] = {own.name: [] for own in contenders}
    for contender in (*contenders, *reversed(contenders)):
        windows[contender.name].append(contender.window())
    for contender in contenders:
        taken, run_steps = zip(*windows[contender.name], strict=True)
        contender.seconds.append(sum(taken) / sum(run_steps))
