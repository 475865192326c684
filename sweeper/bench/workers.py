"""Worker processes, each on its own core, that wait for orders and take no time while waiting."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import torch

from models.probes import ProbeSplit, ProbeTask, train_probes
from models.spec import ProbeSpec
from sweeper.bench import equivalence as fidelity
from sweeper.bench.arms import ARMS, Arm
from sweeper.bench.problem import Problem

COPIED = 64 * 2**20  # bytes: beyond any one core's share of a cache
SQUARE = 1024


class Station:
    """What a worker can be asked to do."""

    def __init__(self) -> None:
        self._arms: dict[str, Arm] = {}

    def threads(self) -> int:
        """torch's default here."""
        return torch.get_num_threads()

    def examine(self, problem: Problem) -> fidelity.Fidelity:
        """The fidelity of the packed engine on some runs."""
        return fidelity.examine(problem)

    def build(self, name: str, problem: Problem) -> None:
        """Sets an arm up at its first weights."""
        self._arms[name] = ARMS[name](problem)

    def train(self, name: str, rounds: int, threads: int) -> int:
        """Run-steps that the arm has done, all of them finished on the device."""
        arm = self._arms[name]
        torch.set_num_threads(threads)
        torch.set_flush_denormal(arm.flush_denormal)
        run_steps = arm.train(rounds)
        _finish()
        return run_steps

    def epoch_seconds(self, problem: Problem, epochs: int) -> float:
        """Mean of some epochs of a new pack, after one that does not count."""
        trainer = problem.trainer()
        trainer.train_epoch()
        _finish()
        return sum(_seconds(trainer.train_epoch) for _ in range(epochs)) / epochs

    def square_rate(self, device: str, repeats: int) -> float:
        """Best GFLOP/s of a large square product."""
        left, right, out = (torch.randn(SQUARE, SQUARE, device=device) for _ in range(3))
        seconds = min(_seconds(lambda: torch.mm(left, right, out=out)) for _ in range(repeats))
        return 2 * SQUARE**3 / seconds / 1e9

    def copy_rate(self, device: str, repeats: int) -> float:
        """Best GB/s of a copy, what is read and what is written both counted."""
        source = torch.ones(COPIED // 4, device=device)
        target = torch.empty_like(source)
        seconds = min(_seconds(lambda: target.copy_(source)) for _ in range(repeats))
        return 2 * COPIED / seconds / 1e9

    def probe_seconds(self, runs: int, clips: int, features: int, epochs: int, device: str) -> Any:
        """Seconds for probing runs with `features` a subspace on so many clips."""
        generator = torch.Generator().manual_seed(0)
        x = [torch.randn(2, clips, features, generator=generator).to(device) for _ in range(runs)]
        pitch = torch.arange(clips).numpy() % 88
        tasks = {"pitch": ProbeTask(pitch, 88), "instrument": ProbeTask(pitch % 10, 10)}
        order = torch.randperm(clips, generator=generator)
        parts = order.tensor_split([int(0.7 * clips), int(0.85 * clips)])
        split = ProbeSplit(*(part.numpy() for part in parts))
        return _seconds(lambda: train_probes(x, tasks, split, ProbeSpec(epochs=epochs), seed=0))


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    _finish()
    return time.perf_counter() - started


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Crew:
    """Workers that do the same thing at the same time."""

    def __init__(self, cores: Sequence[int | None], threads: int | None) -> None:
        """A worker for each entry: a core to be pinned to, or None to roam."""
        context = multiprocessing.get_context("spawn")
        self._workers = []
        for core in cores:
            here, there = context.Pipe()
            worker = context.Process(target=_serve, args=(there, core, threads), daemon=True)
            worker.start()
            self._workers.append((worker, here))

    def __len__(self) -> int:
        return len(self._workers)

    def each(self, order: str, *arguments: Any) -> list[Any]:
        """What every worker answers to the same order."""
        return self.deal(order, [arguments] * len(self))

    def deal(self, order: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """What the first workers answer, each with arguments of its own, all at once."""
        busy = [pipe for _, pipe in self._workers[: len(arguments)]]
        for pipe, own in zip(busy, arguments, strict=True):
            pipe.send((order, own))
        return [_answer(pipe) for pipe in busy]

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for worker, pipe in self._workers:
            if error is not None:
                worker.terminate()
            pipe.close()  # the worker reads the end of its orders
            worker.join()


def _answer(pipe: Connection[Any, Any]) -> Any:
    answer, trace = pipe.recv()
    if trace:
        raise RuntimeError(f"a bench worker broke:\n{trace}")
    return answer


def _serve(pipe: Connection[Any, Any], core: int | None, threads: int | None) -> None:
    """A worker's life."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    if threads is not None:
        torch.set_num_threads(threads)
    station = Station()
    while True:
        try:
            order, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send((getattr(station, order)(*arguments), None))
        except Exception:
            pipe.send((None, traceback.format_exc()))
