"""Ray Tune's callbacks: each puts one message on the writer's queue and can do nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray import cloudpickle
from ray.tune import Callback
from ray.tune.stopper import Stopper

from sweeper.states import classify_loss

if TYPE_CHECKING:
    from sweeper.driver.recorder import Writer


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
        error = _error_of(trial)
        self._writer.put(
            {
                "event": "lost",
                "pack": trial.config["pack"],
                "kind": classify_loss(error),
                "cause": f"{type(error).__name__}: the worker died or raised",
                "traceback": None if error is None else str(error),
            }
        )

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks; a queue and a database do not belong there


def _error_of(trial: Any) -> BaseException | None:
    """What ended the trial, as Tune has just pickled it; None when that cannot be read."""
    try:
        with open(trial.pickled_error_file, "rb") as file:
            return cloudpickle.load(file)  # type: ignore[no-any-return]
    except Exception:  # nothing may be raised in Tune's loop
        return None


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
