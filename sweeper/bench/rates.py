"""What the machine can do at all, and what probing costs."""

from __future__ import annotations

import numpy as np
import torch

from models.native.probes import probe
from models.probes import ProbeSplit, ProbeTask
from models.spec import ProbeSpec
from sweeper.bench.workers import Workers, seconds_of
from sweeper.study.presets import PRESETS

# By device: bytes beyond any one core's share of a cache, or a GPU's; and sides of a square that
# keeps all of its units at work.
COPIED = {"cpu": 64 * 2**20, "cuda": 2**30}
SQUARE = {"cpu": 1024, "cuda": 8192}


def ceilings(workers: Workers, device: str, repeats: int) -> dict[str, float]:
    """Rates of all workers at once, and of the first alone; the best of the repeats of each."""
    rates = {}
    for name, order in (("square_gflops", square_gflops), ("copy_gb_s", copy_gb_s)):
        rates[name] = sum(workers.each(order, device, repeats))
        (rates[f"{name}_one_core"],) = workers.deal(order, [(device, repeats)])
    return rates


def square_gflops(device: str, repeats: int) -> float:
    """An order to a worker: a large square product."""
    side = SQUARE[device]
    left, right, out = (torch.randn(side, side, device=device) for _ in range(3))
    seconds = min(seconds_of(lambda: torch.mm(left, right, out=out)) for _ in range(repeats))
    return 2 * side**3 / seconds / 1e9


def copy_gb_s(device: str, repeats: int) -> float:
    """An order to a worker: a copy, what is read and what is written both counted."""
    copied = COPIED[device]
    source = torch.ones(copied // 4, device=device)
    target = torch.empty_like(source)
    seconds = min(seconds_of(lambda: target.copy_(source)) for _ in range(repeats))
    return 2 * copied / seconds / 1e9


def probe_costs(
    workers: Workers, runs: int, clips: int, features: int, epochs: int, device: str
) -> dict[str, float]:
    """Cost of probing a run, all workers at `runs` each; it is linear in clips and epochs."""
    seconds = max(workers.each(probe_seconds, runs, clips, features, epochs, device))
    per_clip = seconds / (runs * len(workers) * epochs * clips)
    return {"us_per_run_clip_epoch": 1e6 * per_clip} | {
        f"seconds_per_run_{name}": per_clip * preset.data.downstream_clips * preset.probe.epochs
        for name, preset in PRESETS.items()
        if name != "smoke"
    }


def probe_seconds(runs: int, clips: int, features: int, epochs: int, device: str) -> float:
    """An order to a worker: probes runs with `features` a subspace on so many clips."""
    generator = torch.Generator().manual_seed(0)
    x = [torch.randn(2, clips, features, generator=generator).to(device) for _ in range(runs)]
    pitch = torch.arange(clips).numpy() % 88
    tasks = {"pitch": ProbeTask(pitch, 88), "instrument": ProbeTask(pitch % 10, 10)}
    order = torch.randperm(clips, generator=generator).numpy()
    split = ProbeSplit(*np.split(order, [int(0.7 * clips), int(0.85 * clips)]))
    spec = ProbeSpec(epochs=epochs)
    rates = (spec.dropout, 0.0)  # as models.evaluation
    return seconds_of(lambda: probe(x, tasks, split, spec, rates, seed=0))
