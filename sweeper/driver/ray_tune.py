"""All that knows Ray Tune: packs out as trials, trials' events in.

Tune is the executor and not the memory: a fresh Tuner under a name never used again, no restore,
no retries of its own, and nothing read back from its files. Its callbacks only put events on the
recorder's queue.
"""

from __future__ import annotations

import logging
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.tune import Callback
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.driver.pack_queue import PackQueue
from sweeper.driver.ray_cluster import GPU_SHARE, Slots
from sweeper.driver.ray_session import Cluster, ray_cluster
from sweeper.driver.recorder import Recorder
from sweeper.driver.silence import Silence
from sweeper.errors import SweeperError
from sweeper.events import Alive, Ended, FromWorker, Lost, Noted
from sweeper.states import State
from sweeper.worker.memory import return_large_blocks
from sweeper.worker.pulse import pulsing
from sweeper.worker.trial import TrialOptions, run_trial

PULSES = 60  # that a worker has time for before it is taken for frozen


class RayTune:
    """The executor of a cluster: one trial trains one pack."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address  # None: a cluster of our own, on this machine
        self._cluster: Cluster

    @contextmanager
    def slots(self) -> Iterator[Slots]:
        with ray_cluster(self._address) as self._cluster:
            yield self._cluster.slots

    def run(
        self,
        pack_queue: PackQueue,
        recorder: Recorder,
        stop: Callable[[], bool],
        options: TrialOptions,
        slots: int,
    ) -> None:
        """Runs the queue's packs as trials until there are none, or it is time to stop."""

        silence = Silence()
        pulse = silence.limit / PULSES

        def sweeper_pack(config: dict[str, Any]) -> None:
            return_large_blocks()
            assignment = config["assignment"]
            place = (ray.get_runtime_context().get_node_id(), os.getpid())

            def report(event: FromWorker) -> None:
                tune.report({"event": event, "place": place})

            with pulsing(report, assignment.pack, pulse) as send:
                run_trial(assignment, options, send)

        # As many workers may start at once as can run; Tune's own bound is one.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
        share = {"cpu": 1, "gpu": GPU_SHARE} if options.device == "cuda" else {"cpu": 1}
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what fails is told by the ledger
        thread = self._cluster.thread

        def fit() -> int:
            tuner = tune.Tuner(
                tune.with_resources(sweeper_pack, share),
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(pack_queue), num_samples=-1, reuse_actors=True
                ),
                run_config=tune.RunConfig(
                    name=f"sweeper-{uuid.uuid4().hex}",
                    storage_path=str(self._cluster.directory / "tune"),
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=0),
                    callbacks=[TuneCallback(recorder, thread.dead, silence, kill_worker)],
                    stop=StopWhenAsked(stop),
                ),
            )
            return len(tuner.fit())

        _check_count(thread.call(fit), len(pack_queue.handed_out))


def _check_count(trials: int, packs: int) -> None:
    if trials != packs:
        raise SweeperError(
            f"Ray Tune ran {trials} trials for {packs} packs; "
            "what is missing is still pending: run `sweeper resume`"
        )


class PackSearcher(Searcher):  # type: ignore[misc]
    """Tune's side of the queue: `suggest` is how Tune asks for another trial."""

    def __init__(self, pack_queue: PackQueue) -> None:
        super().__init__()
        self._pack_queue = pack_queue

    def suggest(self, trial_id: str) -> Any:
        if self._pack_queue.over:
            return Searcher.FINISHED
        assignment = self._pack_queue.next()
        return assignment and {"assignment": assignment}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing to learn: results go to the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher for restores, which we never use.
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Tune's experiment state is not our memory."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("sweeps resume from the ledger, never from Tune's state")


class TuneCallback(Callback):  # type: ignore[misc]
    """Passes what happens to trials to the recorder. An exception here would end the experiment."""

    def __init__(
        self,
        recorder: Recorder,
        dead: Callable[[], str | None],
        silence: Silence,
        kill: Callable[[str, int], None],
    ) -> None:
        self._recorder = recorder
        self._dead = dead
        self._silence = silence
        self._kill = kill

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        """A frozen worker is killed: its pack is then lost, and tried again like any other."""
        for frozen in self._silence.frozen():
            try:
                self._kill(*frozen.place)
                what = "is killed"
            except Exception as error:  # nothing may be raised in Tune's loop
                what = f"cannot be killed: {type(error).__name__}: {error}"
            detail = f"{frozen.pack}: its worker was silent for {frozen.seconds:.0f} s and {what}"
            self._recorder.put(Noted(frozen.pack, "worker-frozen", detail))

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._recorder.started(_pack_of(trial))

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        # Nested, because Tune keeps names such as `done` for itself.
        if "event" not in result:
            return
        self._silence.heard(_pack_of(trial), result["place"])
        if not isinstance(result["event"], Alive):
            self._recorder.put(result["event"])

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._silence.ended(_pack_of(trial))
        self._recorder.put(Ended(_pack_of(trial)))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._silence.ended(_pack_of(trial))
        if self._dead():  # no pack's fault: the launch ends
            return
        error = _error_of(trial)
        name = "unknown error" if error is None else type(error).__name__
        cause = f"{name}: the worker died or raised"
        traceback = None if error is None else str(error)
        self._recorder.put(Lost(_pack_of(trial), classify_loss(error), cause, traceback))

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks; a queue and a database do not belong there


def kill_worker(node: str, process: int) -> None:
    """Has a process of a node killed, and waits for nothing.

    By a signal sent there: `ray.kill` asks the process itself, which is stopped.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    _send_kill.options(scheduling_strategy=there).remote(process)


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def _send_kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def _pack_of(trial: Any) -> str:
    return str(trial.config["assignment"].pack)


def _error_of(trial: Any) -> BaseException | None:
    """What ended the trial, as Tune has just pickled it; None when that cannot be read."""
    try:
        with open(trial.pickled_error_file, "rb") as file:
            return cloudpickle.load(file)  # type: ignore[no-any-return]
    except Exception:  # nothing may be raised in Tune's loop
        return None


def classify_loss(error: BaseException | None) -> State:
    """The failure class of a trial that ended with an error of Ray's, not of the run's code."""
    name = "lost" if error is None else type(error).__name__
    if name == "OutOfMemoryError":
        return State.OUT_OF_MEMORY  # Ray's memory monitor killed the worker
    return State.UNCONFIRMED if name.startswith("RayTaskError") else State.INFRASTRUCTURE


class StopWhenAsked(Stopper):  # type: ignore[misc]
    """Ends the experiment at the next turn of Tune's loop after `asked` has become true."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._asked()

    def __getstate__(self) -> dict[str, Any]:
        return {}
