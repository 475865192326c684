"""Ray Tune's callbacks: each puts one message on the writer's queue and can do nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Callback
from ray.tune.stopper import Stopper

if TYPE_CHECKING:
    from sweeper.driver import Interrupt
    from sweeper.writer import Writer


class Relay(Callback):  # type: ignore[misc]
    """Passes trial events to the writer. An exception here would end the experiment."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._writer.put({"event": "started", "pack": trial.config["pack"]})

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        # Nested, because Tune keeps names such as `done` for itself.
        if "message" in result:
            self._writer.put({**result["message"], "pack": trial.config["pack"]})

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._writer.put({"event": "ended", "pack": trial.config["pack"]})

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        cause = f"{type(trial.get_error()).__name__}: the worker died or raised"
        self._writer.put(
            {
                "event": "lost",
                "pack": trial.config["pack"],
                "cause": cause,
                "traceback": str(trial.get_error()),
            }
        )

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks; a queue and a database do not belong there


class StopOnInterrupt(Stopper):  # type: ignore[misc]
    """Ends the experiment at the next turn of Tune's loop after a signal."""

    def __init__(self, interrupt: Interrupt) -> None:
        self._interrupt = interrupt

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self._interrupt)

    def __getstate__(self) -> dict[str, Any]:
        return {}
