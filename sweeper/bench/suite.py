"""`sweeper bench`: the gate, methods timed, ceilings, scaling, probes, encoding, a small sweep."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.native.build import built
from models.native.engine import NATIVE, has_bf16
from models.pack.step import LONGEST
from sweeper.bench import cold_start, encoding, equivalence
from sweeper.bench.methods import FORMULA, build, flops_of
from sweeper.bench.problem import Problem, auto_packs
from sweeper.bench.rates import ceilings, probe_costs
from sweeper.bench.scaling import Axes, scaling
from sweeper.bench.timing import TimedMethod, interval, ratios, time_interleaved
from sweeper.bench.workers import Workers
from sweeper.driver.ray_cluster import Slots
from sweeper.errors import SweeperError

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    runs: int = 36  # of the grid: a seed's runs with both losses
    tokens: int = 8
    features: int = 128
    steps: int = 250  # of an epoch of ours, which is its round: as many as in the `quick` preset
    blocks: int = 5
    window: float = 1.0  # seconds a method trains before the next one's turn
    axes: Axes = field(default_factory=Axes)
    ceiling_repeats: int = 20
    probe_clips: int = 4_096
    probe_epochs: int = 5
    probe_runs: int = 4  # of a worker
    encoding: tuple[int, int] = (3, 4)  # batches, and blocks of the network
    sweep_clips: tuple[int, int, int] = (400, 200, 400)  # of the small sweep: the smoke preset's


FULL = Settings()
QUICK = Settings(
    steps=32,
    blocks=2,
    window=0.2,
    axes=Axes(
        packs=(1, 4, 18),
        tokens=(1, 8),
        runs=(18, 36),
        clips=(64, 256),
        epochs_trained=(1, 2),
        steps=2,
        epochs=1,
    ),
    ceiling_repeats=5,
    probe_clips=1_024,
    probe_epochs=2,
    encoding=(2, 1),
    sweep_clips=(100, 60, 120),
)


def measure(
    settings: Settings,
    device: str,
    tell: Tell = lambda line: None,
    preset: str | None = None,
) -> dict[str, Any]:
    """The report, ready for JSON. Raises SweeperError when the fidelity gate fails.

    `preset`: whose full grid is the sweep from a cold start, instead of a small one.
    """
    started = time.monotonic()
    cores = _cores()
    packs = auto_packs(settings.runs, Slots(len(cores), 1).shares(device))
    base = Problem(
        runs=tuple(run for pack in packs for run in pack),
        tokens=settings.tokens,
        features=settings.features,
        # On a GPU an epoch is whole graphs, and long enough to hide its one wait.
        steps=settings.steps if device == "cpu" else 10 * LONGEST,
        device=device,
    )
    report: dict[str, Any] = {"shape": _shape(base, packs)}
    # A worker for each pack, on a core of its own; and one with all cores and torch's threads.
    places = cores[: len(packs)] if device == "cpu" else [None] * len(packs)
    with Workers(places, threads=1) as workers, Workers([None], threads=None) as alone:
        tell("fidelity")
        shares = [(equivalence.problem_of(base, i, len(workers)),) for i in range(len(workers))]
        report["fidelity"] = asdict(equivalence.insist(workers.deal(equivalence.examine, shares)))
        methods = _methods(base, packs, workers, alone)
        time_interleaved(methods, settings.blocks, settings.window, tell)
        report |= _compared(methods, base)
        tell("ceilings")
        report["ceilings"] = ceilings(workers, device, settings.ceiling_repeats)
        report["ceilings"]["products_gflops"] = report["arms"]["products"]["gflops"]
        tell("scaling")
        report["scaling"] = scaling(workers, base, settings.axes)
        tell("probes")
        report["probes"] = probe_costs(
            workers,
            settings.probe_runs,
            settings.probe_clips,
            base.tokens * base.shape.latent,
            settings.probe_epochs,
            device,
        )
    tell("encoding")
    report["encoding"] = encoding.measure(*settings.encoding, workers=len(cores))
    tell(f"{'a small sweep' if preset is None else f'the {preset} preset'} from a cold start")
    report["end_to_end"] = cold_start.measure(settings.sweep_clips, preset)
    return report | {"machine": _machine(device), "seconds": time.monotonic() - started}


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _methods(
    base: Problem, packs: Sequence[Any], workers: Workers, alone: Workers
) -> list[TimedMethod]:
    """All methods, set up on their workers."""
    (default,) = alone.each(torch.get_num_threads)
    methods = [
        TimedMethod("ours", workers, "ours"),
        TimedMethod("b0", alone, "b0", threads=(default,)),
        TimedMethod("b0_per_core", workers, "b0"),
        TimedMethod("b1", alone, "b1", threads=(1, default)),
        TimedMethod("b1_per_core", workers, "b1"),
        TimedMethod("vmap", workers, "vmap"),
        TimedMethod("products", workers, "products"),
    ]
    if base.device == "cpu":
        methods.insert(1, TimedMethod("torch", workers, "torch"))
        if has_bf16():
            methods.insert(2, TimedMethod("bf16", workers, "bf16"))
        if built().library is not None:
            methods.append(TimedMethod("peak", workers, "peak"))
    if base.device == "cuda":
        methods.append(TimedMethod("b2", alone, "b2", threads=(default,)))
    for method in methods:
        problems = [base] if method.workers is alone else [replace(base, runs=p) for p in packs]
        method.workers.deal(build, [(method.method, problem) for problem in problems])
    return methods


def _compared(methods: Sequence[TimedMethod], problem: Problem) -> dict[str, Any]:
    """How many times as fast as each baseline ours is, and what share of the bare products' rate
    and of the cores' peak it reaches, block by block; and each method for itself, losses left out
    of its GFLOP/s. No share of the peak without a compiler, or on a GPU."""
    flops, ours = flops_of(problem.shape, problem.rows), methods[0].seconds
    times = {method.name: interval(ratios(method.seconds, ours)) for method in methods[1:]}
    share, peak = times.pop("products"), times.pop("peak", None)
    return {
        "ratios": {name: asdict(times[name]) for name in times},
        "gemm_share": share.median,
        "gemm_share_interval": [share.low, share.high],
        "peak_share": peak and peak.median,
        "peak_share_interval": peak and [peak.low, peak.high],
        "arms": {
            method.name: {
                "ms_per_run_step": 1e3 * float(np.median(method.seconds)),
                "gflops": flops / float(np.median(method.seconds)) / 1e9,
                "processes": len(method.workers),
                "threads": method.best_threads,
                "blocks": method.seconds,
            }
            for method in methods
        },
    }


def _machine(device: str) -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": len(_cores()),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "engine": _engine(device),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _engine(device: str) -> str:
    """What takes our steps."""
    if device != "cpu":
        return "torch"
    return "torch" if built().library is None else NATIVE


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    for line in described.read_text().splitlines() if described.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _shape(problem: Problem, packs: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {
        "runs": len(problem.runs),
        "packs": [len(pack) for pack in packs],
        "tokens": problem.tokens,
        "features": problem.features,
        "rows": problem.rows,
        "flops_per_run_step": flops_of(problem.shape, problem.rows),
        "flops_formula": FORMULA,
    }


def choose_device(asked: str) -> str:
    """`auto` is CUDA where torch finds it. Raises SweeperError where it was asked for in vain."""
    usable = torch.cuda.is_available()
    if asked == "cuda" and not usable:
        raise SweeperError("--device cuda: torch finds no GPU here; use --device cpu")
    return "cuda" if usable and asked != "cpu" else "cpu"
