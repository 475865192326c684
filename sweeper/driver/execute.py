"""The driver: runs a plan's packs as Ray Tune trials and stores what they return.

Ray Tune is the executor and not the memory: a fresh Tuner under a name never used again, no
restore, no retries of its own, and nothing read back from its files. Its callbacks only put
messages on a queue; one writer thread turns them into transactions.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from sweeper.driver.capacity import largest_pack
from sweeper.driver.recorder import Writer
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import ledger_id
from sweeper.ledger.write import Ledger
from sweeper.signals import catch, caught
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig
from sweeper.study.plan import Plan, make_packs

if TYPE_CHECKING:
    from sweeper.driver.pack_queue import Dispatcher

# At most so much training is repeated after a crash, and the epoch that was under way.
CHECKPOINT_SECONDS = float(os.environ.get("SWEEPER_CHECKPOINT_SECONDS", "60"))
# How long packs have to end their epoch and save themselves when the sweep is stopped.
GRACE_SECONDS = 8.0

# Tune reads these when it is imported; SIGINT is ours, and a stopped trial is not waited for.
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class Resources:
    """Where packs run."""

    address: str | None = None  # a Ray cluster; None starts one on this machine
    device: str = "auto"  # auto, cpu or cuda
    pack_size: int | None = None  # None: as few packs as keep every slot busy


@dataclass
class Interrupt:
    """The signal that asks the sweep to stop, once there was one."""

    signum: int | None = None
    _event: threading.Event = field(default_factory=threading.Event)

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        if self.signum is not None:
            os._exit(128 + signum)  # a second signal stops at once
        self.signum = signum
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catches SIGINT and SIGTERM for the time of a sweep.

    Ray takes SIGTERM for itself when it starts, and would abort: `catch` again after that.
    """
    interrupt = Interrupt()
    with caught(interrupt):
        yield interrupt


def execute(
    plan: Plan,
    ledger: Ledger,
    resources: Resources,
    *,
    references: dict[str, float],
    storage: Storage,
    retry_failed: bool = False,
    trial_options: dict[str, Any] | None = None,
    observe: Callable[[dict[str, Any]], None] = lambda event: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Interrupt:
    """Trains what the plan lacks; returns the interrupt, true when a signal stopped it.

    `observe` receives every event of the sweep in the writer's thread, for a live view; `notify`
    a line for the user. Raises SweepHeldError when another driver has taken the sweep over.
    """
    os.environ.update(_TUNE_ENVIRONMENT)
    missing = plan.missing(retry_failed)
    checkpoints = Checkpoints(storage, ledger_id(ledger.engine))
    with interruptible() as interrupt, _cluster(resources.address) as slots:
        from sweeper.driver.pack_queue import Dispatcher  # late: brings ray.tune

        catch(interrupt)
        device = choose_device(resources.device, slots.gpus)
        # As many workers may start at once as can run; Tune's own bound is one.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots.of(device))
        packs = make_packs(
            missing,
            slots.of(device),
            resources.pack_size,
            _apart(missing, ledger, checkpoints),
            largest_pack(device, missing, GPU_SHARE),
        )
        launch = uuid.uuid4().hex[:12]
        dispatcher = Dispatcher(launch, packs, references)
        stop = Stop(interrupt, ledger.lease.lost, dispatcher, storage, f"stop/{launch}")
        options = {
            **(trial_options or {}),
            "device": device,
            "storage": storage.root,
            "ledger": ledger_id(ledger.engine),
            "checkpoint_seconds": CHECKPOINT_SECONDS,
            "stop": stop.flag,
        }
        with Writer(ledger, dispatcher, checkpoints, observe, notify) as writer, stop:
            writer.put({"event": "planned", "packs": len(packs), "runs": len(missing)})
            _fit(dispatcher, writer, stop, options)
            if interrupt:
                writer.put({"event": "interrupted", "signal": interrupt.signum})
    return interrupt


def _apart(
    missing: Sequence[RunConfig], ledger: Ledger, checkpoints: Checkpoints
) -> dict[str, tuple[bool, int]]:
    """What keeps runs in packs of their own: a suspicion, and the epoch they go on from."""
    suspected = read.suspects(ledger.engine, (run.key for run in missing))
    return {run.key: (run.key in suspected, checkpoints.epoch(run.key)) for run in missing}


class Stop:
    """Stopping a sweep in order: nothing new starts, packs save themselves, then Tune ends."""

    def __init__(
        self,
        interrupt: Interrupt,
        lost: threading.Event,
        dispatcher: Dispatcher,
        storage: Storage,
        flag: str,
    ) -> None:
        self._interrupt = interrupt
        self._lost = lost
        self._dispatcher = dispatcher
        self._storage = storage
        self.flag = flag  # a file: workers stop at the end of an epoch once it is there
        self._asked: float | None = None

    def __call__(self) -> bool:
        """Asked at every turn of Tune's loop: whether to end now."""
        if not (self._interrupt or self._lost.is_set()):
            return False
        if self._asked is None:
            self._asked = time.monotonic()
            self._dispatcher.halt()
            with contextlib.suppress(OSError):  # without it, packs are at their last checkpoints
                self._storage.write(self.flag, b"")
        return self._dispatcher.idle or time.monotonic() - self._asked > GRACE_SECONDS

    def __enter__(self) -> Stop:
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(OSError):
            self._storage.delete(self.flag)


@dataclass(frozen=True)
class Slots:
    """What the cluster can run at once."""

    cpus: int
    gpus: float

    def of(self, device: str) -> int:
        return max(1, int(self.gpus / GPU_SHARE) if device == "cuda" else self.cpus)


GPU_SHARE = 0.5  # two packs a GPU: one trains while the other loads or probes


def choose_device(asked: str, gpus: float) -> str:
    """`auto` is CUDA where the cluster has a GPU."""
    if asked == "cuda" and not gpus:
        raise SweeperError("--device cuda: no GPU in this Ray cluster; use --device cpu")
    return "cuda" if asked == "cuda" or (asked == "auto" and gpus) else "cpu"


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[Slots]:
    """A Ray cluster: the one at `address`, or a new one on this machine."""
    import ray

    if address:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise SweeperError(f"no Ray cluster at {address}: {error}") from None
    else:
        ray.init(
            address="local",  # a cluster of our own, even where another one runs
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    try:
        total = ray.cluster_resources()
        yield Slots(int(total.get("CPU", 1)), total.get("GPU", 0.0))
    finally:
        ray.shutdown()


def _fit(dispatcher: Dispatcher, writer: Writer, stop: Stop, options: dict[str, Any]) -> None:
    """Runs the dispatcher's packs as trials until there are none, or it is time to stop."""
    from ray import tune

    from sweeper.driver.pack_queue import PackSearcher
    from sweeper.driver.ray_tune import Relay, StopWhenAsked
    from sweeper.worker.trial import train_pack_trial

    def sweeper_pack(config: dict[str, Any]) -> None:
        train_pack_trial({**config, **options})

    share = {"cpu": 1, "gpu": GPU_SHARE} if options["device"] == "cuda" else {"cpu": 1}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what fails is told by the ledger
    scratch = Path(tempfile.mkdtemp(prefix="sweeper-tune-"))
    try:
        tuner = tune.Tuner(
            tune.with_resources(sweeper_pack, share),
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(dispatcher), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name=f"sweeper-{uuid.uuid4().hex}",
                storage_path=str(scratch),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                callbacks=[Relay(writer)],
                stop=StopWhenAsked(stop),
            ),
        )
        trials = len(tuner.fit())
        if trials != len(dispatcher.handed_out):
            raise SweeperError(
                f"Ray Tune ran {trials} trials for {len(dispatcher.handed_out)} packs; "
                "what is missing is still pending: run `sweeper resume`"
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
