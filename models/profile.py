"""Where the time of one CPU step goes: `python -m models.profile` prints the table of PROFILE.md.

Times are of the thread's own CPU clock, which stands still while other processes have the core;
they still slow it down through the caches. Every part is without the parts that it calls.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch

from models.adamw import FlatAdamW
from models.multiview import ModelSpec
from models.objectives import OBJECTIVES, PRINCIPLES
from models.pack.layers import PackedModel
from models.pack.loss import PackedObjectives
from models.pack.products import Products
from models.pack.runs import Clips, PackRun, TrainingSpec
from models.pack.step import PackStep
from models.pack.trainer import PackTrainer

TOKENS, FEATURES, CLIPS = 8, 128, 640  # the default data's clips; 40 steps an epoch
REPEATS = 8

PARTS: dict[tuple[type, str], str] = {
    (Products, "write"): "matrix products",
    (Products, "add"): "matrix products",
    (PackedModel, "encode"): "biases, ReLU, sums over rows",
    (PackedModel, "backward"): "biases, ReLU, sums over rows",
    (PackedModel, "rec_losses"): "biases, ReLU, sums over rows",
    (PackedObjectives, "__call__"): "objectives and their gradients",
    (FlatAdamW, "step"): "AdamW",
    (PackStep, "_gather"): "gathering the batch",
    (PackStep, "__call__"): "bookkeeping",
}


class Stopwatch:
    """CPU seconds by part, of methods that call one another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def watch(self, method: Callable[..., Any], part: str) -> Callable[..., Any]:
        """The method, timed less what is timed within it."""

        def timed(*arguments: Any) -> Any:
            self._inner.append(0.0)
            started = time.thread_time()
            try:
                return method(*arguments)
            finally:
                taken = time.thread_time() - started
                self.seconds[part] += taken - self._inner.pop()
                self._inner[-1] += taken

        return timed


def profile() -> tuple[dict[str, float], int]:
    """CPU ms of a step by part, in the least disturbed of some epochs; and the number of runs."""
    stopwatch = Stopwatch()
    with contextlib.ExitStack() as patches:
        for (owner, name), part in PARTS.items():
            method = stopwatch.watch(getattr(owner, name), part)
            patches.enter_context(mock.patch.object(owner, name, method))
        return _profile(stopwatch)


def _profile(stopwatch: Stopwatch) -> tuple[dict[str, float], int]:
    trainer = PackTrainer(_runs(), _clips(CLIPS), _clips(CLIPS // 4), ModelSpec(), TrainingSpec())
    epochs = []
    for _ in range(1 + REPEATS):
        stopwatch.seconds.clear()
        trainer.train_epoch()
        epochs.append(dict(stopwatch.seconds))
    best = min(epochs[1:], key=lambda parts: sum(parts.values()))
    steps = CLIPS // TrainingSpec().batch_pairs
    return {part: seconds / steps * 1e3 for part, seconds in best.items()}, len(trainer.runs)


def table() -> str:
    """The profile as Markdown."""
    parts, runs = profile()
    total = sum(parts.values())
    rows = sorted((*parts.items(), ("step", total)), key=lambda row: -row[1])
    return "\n".join(
        [
            f"| {runs} runs | ms a step | ms a run and step | share |",
            "| --- | ---: | ---: | ---: |",
            *(f"| {part} | {ms:.2f} | {ms / runs:.3f} | {ms / total:.1%} |" for part, ms in rows),
        ]
    )


def _runs() -> list[PackRun]:
    """Half of a seed's runs that have both losses: a pack of the paper's grid on two cores."""
    return [
        PackRun(f"{p} {o} {lam}", principle=p, objective=o, lam=lam, gamma="fixed:10")
        for p in PRINCIPLES
        for o in OBJECTIVES
        for lam in (0.4, 0.8)
    ]


def _clips(count: int) -> Clips:
    generator = np.random.default_rng(0)
    latents = generator.normal(size=(count, TOKENS, FEATURES)).astype(np.float32)
    family, pitch = generator.integers(0, 10, count), generator.integers(21, 109, count)
    return Clips(torch.from_numpy(latents), family, pitch)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
