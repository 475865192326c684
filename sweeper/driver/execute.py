"""The driver: has a plan's packs trained by an executor and stores what they return."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sweeper import plugins
from sweeper.data.latents import Source
from sweeper.driver.claims import LedgerClaims
from sweeper.driver.pack_queue import PackQueue
from sweeper.driver.provenance import provenance
from sweeper.driver.ray_cluster import Slots, largest_pack
from sweeper.driver.recorder import Recorder
from sweeper.errors import ClusterDiedError
from sweeper.events import Closed, Event, Interrupted, Planned
from sweeper.ledger import read
from sweeper.ledger.connect import ledger_id
from sweeper.ledger.write import Ledger
from sweeper.signals import Interrupt, catch, interruptible, told_at_once
from sweeper.states import State
from sweeper.storage.checkpoints import FENCED, SAVE_AND_STOP, Checkpoints
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig
from sweeper.study.plan import Plan, insist_on_precisions, make_packs
from sweeper.worker.trial import TrialOptions

# At most so much training is repeated after a crash, and the epoch that was under way.
CHECKPOINT_SECONDS = float(os.environ.get("SWEEPER_CHECKPOINT_SECONDS", "60"))
# How long packs have to end their epoch and save themselves when the sweep is stopped.
GRACE_SECONDS = 8.0


class Executor(Protocol):
    """Trains packs somewhere: ray_tune.RayTune on a cluster, inline.Inline in this process."""

    def slots(self) -> AbstractContextManager[Slots]:
        """Opens the place, and says what it can run at once."""

    def run(
        self,
        pack_queue: PackQueue,
        recorder: Recorder,
        stop: Callable[[], bool],
        options: TrialOptions,
        slots: int,
    ) -> None:
        """Has the queue's packs trained, at most `slots` at once, and tells the recorder.

        Returns when the queue is over or `stop`, asked again and again, has said so.
        """


@dataclass(frozen=True)
class Training:
    """How a launch trains what is missing; nothing here changes a result."""

    executor: Executor
    storage: Storage
    source: Source
    device: str = "auto"  # auto, cpu or cuda
    pack_size: int | None = None  # None: as few packs as keep every slot busy
    retry_failed: bool = False
    keep_weights: bool = True


def execute(
    plan: Plan,
    ledger: Ledger,
    training: Training,
    observe: Callable[[Event], None] = lambda event: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Interrupt:
    """Trains what the plan lacks; returns the interrupt, true when a signal stopped it.

    `observe` receives every event of the sweep in the recorder's thread, for a live view, and
    `Interrupted` already when the signal comes, in another;
    `notify` a line for the user. Raises SweepHeldError when another driver has taken the sweep
    over, ClusterDiedError when the executor's cluster is gone.
    """
    missing = plan.missing(training.retry_failed)
    checkpoints = Checkpoints(training.storage, ledger_id(ledger.engine))
    with (
        interruptible() as interrupt,
        told_at_once(interrupt, lambda signum: observe(Interrupted(signum))),
        training.executor.slots() as slots,
    ):
        catch(interrupt)  # again: Ray has taken SIGTERM
        if interrupt:
            return interrupt
        device = slots.device(training.device)
        insist_on_precisions(missing, device)
        packs = make_packs(
            missing,
            slots.shares(device),
            training.pack_size,
            _apart(missing, ledger, checkpoints),
            largest_pack(device, slots, missing),
            decoders_apart=device == "cpu",
        )
        launch = uuid.uuid4().hex[:12]
        ran_with = provenance()
        references = read.validation_mse(ledger.engine, plan.keys)
        pack_queue = PackQueue(launch, packs, references, LedgerClaims(ledger, ran_with))
        stop = Stop(interrupt, ledger.lease.lost, pack_queue, training.storage, f"stop/{launch}")
        options = TrialOptions(
            device=device,
            storage=training.storage.root,
            ledger=ledger_id(ledger.engine),
            checkpoint_seconds=CHECKPOINT_SECONDS,
            stop=stop.flag,
            source=training.source,
            plugins=plugins.loaded(),
            keep_weights=training.keep_weights,
        )
        recorder = Recorder(ledger, pack_queue, checkpoints, ran_with, observe, notify)
        with recorder, stop:
            recorder.put(Planned(len(packs), len(missing)))
            try:
                training.executor.run(pack_queue, recorder, stop, options, slots.of(device))
            except ClusterDiedError as error:
                pack_queue.halt()
                recorder.put(Closed(None, State.INTERRUPTED, str(error)))
                raise
            if interrupt.signum is not None:
                recorder.put(Interrupted(interrupt.signum))
        ledger.lease.insist()
    return interrupt


def _apart(
    missing: Sequence[RunConfig], ledger: Ledger, checkpoints: Checkpoints
) -> dict[str, tuple[bool, int]]:
    """What keeps runs in packs of their own: a suspicion, and the epoch they go on from."""
    suspected = read.suspects(ledger.engine, (run.key for run in missing))
    return {run.key: (run.key in suspected, checkpoints.epoch(run.key)) for run in missing}


class Stop:
    """Stopping a sweep in order: nothing new starts, packs save themselves, then the executor ends.

    Used as a context, at whose end the flag that workers look for is removed.
    """

    def __init__(
        self,
        interrupt: Interrupt,
        lost: threading.Event,
        pack_queue: PackQueue,
        storage: Storage,
        flag: str,
    ) -> None:
        self._interrupt = interrupt
        self._lost = lost
        self._pack_queue = pack_queue
        self._storage = storage
        self.flag = flag  # a file: workers stop at the end of an epoch once it is there
        self._asked: float | None = None

    def __call__(self) -> bool:
        """Asked again and again by the executor: whether to end now."""
        if not (self._interrupt or self._lost.is_set()):
            return False
        if self._asked is None:
            self._asked = time.monotonic()
            self._pack_queue.halt()
            with contextlib.suppress(OSError):  # without it, packs are at their last checkpoints
                self._storage.write(self.flag, FENCED if self._lost.is_set() else SAVE_AND_STOP)
        return self._pack_queue.idle or time.monotonic() - self._asked > GRACE_SECONDS

    def __enter__(self) -> Stop:
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(OSError):
            self._storage.delete(self.flag)
