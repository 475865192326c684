"""`sweeper bench`: gate, contest, ceilings, scaling, probes, encoding, a small sweep."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sweeper.bench import encoding, end_to_end
from sweeper.bench import equivalence as fidelity
from sweeper.bench.contest import Contender, play
from sweeper.bench.flops import FORMULA, flops_of
from sweeper.bench.problem import Problem, auto_packs
from sweeper.bench.scaling import Axes, scaling
from sweeper.bench.stats import interval, ratios
from sweeper.bench.workers import Crew
from sweeper.driver.ray_cluster import GPU_SHARE
from sweeper.errors import SweeperError
from sweeper.study.presets import PRESETS

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    runs: int = 36  # of the grid: a seed's runs with both losses
    tokens: int = 8
    features: int = 128
    steps: int = 32  # of an epoch of ours, which is its round
    blocks: int = 5
    window: float = 1.0  # seconds an arm trains before the next one's turn
    axes: Axes = field(default_factory=Axes)
    ceiling_repeats: int = 20
    probe_clips: int = 4_096
    probe_epochs: int = 5
    probe_runs: int = 4  # of a worker
    encoding: tuple[int, int] = (3, 4)  # batches, and blocks of the network
    sweep_clips: tuple[int, int, int] = (400, 200, 400)  # of the small sweep: the smoke preset's


FULL = Settings()
QUICK = Settings(
    steps=8,
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


def measure(settings: Settings, device: str, tell: Tell = lambda line: None) -> dict[str, Any]:
    """The report, ready for JSON. Raises SweeperError when the fidelity gate fails."""
    started = time.monotonic()
    packs = auto_packs(settings.runs, _slots(device))
    base = Problem(
        runs=tuple(run for pack in packs for run in pack),
        tokens=settings.tokens,
        features=settings.features,
        steps=settings.steps,
        device=device,
    )
    problems = [dataclasses.replace(base, runs=pack) for pack in packs]
    with _crews(problems, device) as (crew, alone):
        tell("fidelity")
        held = _fidelity(base, crew)
        contenders = _contenders(base, problems, crew, alone, settings, tell)
        ceilings = _ceilings(crew, device, settings.ceiling_repeats, tell)
        tell("scaling")
        tables = scaling(crew, base, settings.axes)
        tell("probes")
        probes = _probes(crew, base, settings)
    tell("encoding")
    encoded = encoding.measure(*settings.encoding, workers=len(_cores()))
    tell("a small sweep from a cold start")
    whole = end_to_end.measure(settings.sweep_clips)
    return {
        "ratios": _ratios(contenders),
        **_gemm_share(contenders),
        "machine": _machine(device, packs),
        "shape": _shape(base, packs),
        "fidelity": dataclasses.asdict(held),
        "arms": _arms(contenders, base),
        "ceilings": ceilings | {"products_gflops": _rate(contenders["products"], base)},
        "scaling": tables,
        "probes": probes,
        "encoding": encoded,
        "end_to_end": whole,
        "seconds": time.monotonic() - started,
    }


def _fidelity(base: Problem, crew: Crew) -> fidelity.Fidelity:
    shares = [(fidelity.problem_of(base, i, len(crew)),) for i in range(len(crew))]
    return fidelity.insist(crew.deal("examine", shares))


def _slots(device: str) -> int:
    return len(_cores()) if device == "cpu" else int(1 / GPU_SHARE)


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def _crews(problems: Sequence[Problem], device: str) -> Iterator[tuple[Crew, Crew]]:
    """A worker for each pack, on a core of its own; and one with all cores and torch's threads."""
    cores = _cores()[: len(problems)] if device == "cpu" else [None] * len(problems)
    with Crew(cores, threads=1) as crew, Crew([None], threads=None) as alone:
        yield crew, alone


def _contenders(
    base: Problem,
    problems: Sequence[Problem],
    crew: Crew,
    alone: Crew,
    settings: Settings,
    tell: Tell,
) -> dict[str, Contender]:
    """All arms after the contest, by name."""
    (default,) = alone.each("threads")
    each = [
        Contender("ours", crew, "ours"),
        Contender("b0", alone, "b0", threads=(default,)),
        Contender("b0_per_core", crew, "b0"),
        Contender("b1", alone, "b1", threads=(1, default)),
        Contender("b1_per_core", crew, "b1"),
        Contender("vmap", crew, "vmap"),
        Contender("products", crew, "products"),
    ]
    if base.device == "cuda":
        each.append(Contender("b2", alone, "b2", threads=(default,)))
    for contender in each:
        own = problems if contender.crew is crew else [base]
        contender.crew.deal("build", [(contender.arm, problem) for problem in own])
    play(each, settings.blocks, settings.window, tell)
    return {contender.name: contender for contender in each}


def _ratios(contenders: dict[str, Contender]) -> dict[str, Any]:
    """How many times as fast as each opponent ours is."""
    ours = contenders["ours"].seconds
    return {
        name: dataclasses.asdict(interval(ratios(own.seconds, ours)))
        for name, own in contenders.items()
        if name not in ("ours", "products")
    }


def _gemm_share(contenders: dict[str, Contender]) -> dict[str, Any]:
    """Share of the rate of bare products that training reaches, block by block."""
    share = interval(ratios(contenders["products"].seconds, contenders["ours"].seconds))
    return {"gemm_share": share.median, "gemm_share_interval": [share.low, share.high]}


def _arms(contenders: dict[str, Contender], problem: Problem) -> dict[str, Any]:
    return {
        name: {
            "ms_per_run_step": 1e3 * interval(own.seconds).median,
            "gflops": _rate(own, problem),
            "processes": len(own.crew),
            "threads": own.best_threads,
            "blocks": own.seconds,
        }
        for name, own in contenders.items()
    }


def _rate(contender: Contender, problem: Problem) -> float:
    """GFLOP/s of all its workers together, losses left out."""
    return flops_of(problem.shape, problem.rows) / interval(contender.seconds).median / 1e9


def _ceilings(crew: Crew, device: str, repeats: int, tell: Tell) -> dict[str, float]:
    tell("ceilings")
    arguments = (device, repeats)
    return {
        "square_gflops": sum(crew.each("square_rate", *arguments)),
        "square_gflops_one_core": crew.deal("square_rate", [arguments])[0],
        "copy_gb_s": sum(crew.each("copy_rate", *arguments)),
        "copy_gb_s_one_core": crew.deal("copy_rate", [arguments])[0],
    }


def _probes(crew: Crew, problem: Problem, settings: Settings) -> dict[str, float]:
    """Cost of probing a run, all workers at it; it is linear in clips and epochs."""
    features = problem.tokens * problem.shape.latent
    sizes = (settings.probe_runs, settings.probe_clips, features)
    seconds = max(crew.each("probe_seconds", *sizes, settings.probe_epochs, problem.device))
    per_clip = seconds / (
        settings.probe_runs * len(crew) * settings.probe_epochs * settings.probe_clips
    )
    return {"us_per_run_clip_epoch": 1e6 * per_clip} | {
        f"seconds_per_run_{name}": per_clip * own.data.downstream_clips * own.probe.epochs
        for name, own in PRESETS.items()
        if name in ("paper", "quick")
    }


def _machine(device: str, packs: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": len(_cores()),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _cpu() -> str:
    told = Path("/proc/cpuinfo")
    for line in told.read_text().splitlines() if told.exists() else ():
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
    found = torch.cuda.is_available()
    if asked == "cuda" and not found:
        raise SweeperError("--device cuda: torch finds no GPU here; use --device cpu")
    return "cuda" if found and asked != "cpu" else "cpu"
