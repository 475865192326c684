"""One pack in a worker: its latents and checkpoints, its training, and what is told of it.

A trial raises nothing: it says what broke, and the driver decides who is tried again with whom.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from sweeper import plugins
from sweeper.data.latents import Source, latents_of
from sweeper.events import Broke, Epochs, FromWorker, Noted, Placed, Progress, Results, RunResult
from sweeper.failpoints import failpoint
from sweeper.states import State
from sweeper.storage.checkpoints import Checkpoints, Saver
from sweeper.storage.files import Storage
from sweeper.storage.results import leave_result
from sweeper.storage.weights import RunWeights, leave_weights
from sweeper.study.plan import Assignment
from sweeper.worker.train import Report, StopAskedError, train

_MEMORY_ERRORS = ("OutOfMemoryError", "MemoryError")
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")


@dataclass(frozen=True)
class TrialOptions:
    """What every worker of a launch is told."""

    device: str  # cpu or cuda
    storage: str  # root of the ledger's storage
    ledger: str  # its identity, which checkpoints carry
    checkpoint_seconds: float
    stop: str  # a file of the storage: packs stop once it is there (see storage.checkpoints)
    source: Source
    plugins: Mapping[str, str] = field(default_factory=dict)  # name → source
    keep_weights: bool = True  # of finished runs, beside their results


def run_trial(
    assignment: Assignment, options: TrialOptions, send: Callable[[FromWorker], None]
) -> None:
    """Trains an assignment's runs, tells what became of them, and raises nothing."""
    if options.device == "cpu":
        torch.set_num_threads(1)  # a worker has one core
    try:
        _run_trial(assignment, options, send)
    except StopAskedError:
        return  # the runs are at their checkpoints
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        if options.device == "cuda" and _gpu_is_lost():
            # The process would fail at whatever pack came next. It dies, and this one is as lost
            # as with any worker: another process tries it again.
            send(Noted(assignment.pack, "gpu-context-broken", cause))
            os._exit(1)
        send(Broke(assignment.pack, classify(error), cause, traceback.format_exc()))


def _gpu_is_lost() -> bool:
    """Whether an error has left this process without its GPU: CUDA then repeats it for ever."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def _run_trial(
    assignment: Assignment, options: TrialOptions, send: Callable[[FromWorker], None]
) -> None:
    plugins.load(options.plugins)
    pack, storage = assignment.pack, Storage(options.storage)
    saver = Saver(
        Checkpoints(storage, options.ledger),
        options.checkpoint_seconds,
        lambda: _read_flag(storage, options.stop),
        lambda kind, detail: send(Noted(pack, kind, detail)),
        background=options.device == "cuda",  # on a CPU the training has the worker's one core
    )
    states = saver.load(run.key for run in assignment.runs)
    epochs = {r.key: states[r.key].epoch if r.key in states else 0 for r in assignment.runs}
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    send(Placed(pack, platform.node(), device, epochs))
    latents = latents_of(assignment.runs[0].data, options.source, workers=1)

    reference_of = dict(zip(epochs, assignment.reference_mse, strict=True))
    for epoch in sorted(set(epochs.values())):  # more than one only where a checkpoint was bad
        started = time.monotonic()
        runs = [run for run in assignment.runs if epochs[run.key] == epoch]
        references = [reference_of[run.key] for run in runs]
        report = _report(pack, len(runs), send)
        weights = list[RunWeights]()
        results = train(
            runs,
            references,
            latents,
            options.device,
            report,
            saver=saver,
            states=states,
            keep=weights.append,
        )
        seconds = (time.monotonic() - started) / len(runs)
        if options.keep_weights:
            _leave_weights(storage, pack, weights, send)
        _leave(storage, pack, results)
        send(Results(pack, results, seconds))


def _report(pack: str, runs: int, send: Callable[[FromWorker], None]) -> Report:
    """Tells the driver how far the training is that begins now."""
    began = time.monotonic()

    def report(stage: str, done: int, total: int, share: float, losses: Epochs) -> None:
        send(Progress(pack, stage, done, total, share, (time.monotonic() - began) / runs, losses))

    return report


def _read_flag(storage: Storage, flag: str) -> bytes | None:
    """What the driver asks; nothing while the storage cannot be reached."""
    with contextlib.suppress(OSError):
        return storage.read(flag)
    return None


def _leave_weights(
    storage: Storage, pack: str, weights: Sequence[RunWeights], send: Callable[[FromWorker], None]
) -> None:
    """Keeps weights; before their results, so that a kill in between leaves no result alone."""
    try:
        for of_run in weights:
            leave_weights(storage, pack, of_run)
    except OSError as error:  # no room: the results are what counts
        send(Noted(pack, "weights-failed", str(error)))


def _leave(storage: Storage, pack: str, results: Sequence[RunResult]) -> None:
    """Keeps the results where `sweeper recover` and the next driver find them."""
    failpoint("result:before-write")
    for result in results:
        with contextlib.suppress(OSError):  # no room: the driver still gets them
            leave_result(storage, pack, result)
    failpoint("result:after-write")


def classify(error: BaseException) -> State:
    """The failure class of an exception that a run's code raised."""
    names = {cls.__name__ for cls in type(error).__mro__}
    message = str(error).lower()
    if names & set(_MEMORY_ERRORS) or any(words in message for words in _MEMORY_WORDS):
        return State.OUT_OF_MEMORY
    # A disk or a network that fails is no run's fault, however often it does.
    return State.INFRASTRUCTURE if isinstance(error, OSError) else State.UNCONFIRMED
