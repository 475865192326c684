"""What to do with the runs of a pack that broke off: whom to try again, and in whose company.

The run at fault is found by halving, and only it is given up; the others go on from their
checkpoints. A code error is final once the run has failed again, alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sweeper.states import State
from sweeper.study.config import RunConfig

# Tries after which a run is given up, counted from its last company on.
TRIES_ALONE = {State.INFRASTRUCTURE: 3}
TRIES = 2  # of any other kind: one failure and its confirmation


class Retries:
    """Counts the failures of one launch."""

    def __init__(self) -> None:
        self._failures: Counter[tuple[str, str]] = Counter()  # by run key and kind

    def after(
        self, runs: Sequence[RunConfig], kind: State
    ) -> tuple[State, list[tuple[RunConfig, ...]]]:
        """The state in which to close the attempts of `runs`, and the packs to try next."""
        first = all(self._failures[run.key, kind] == 0 for run in runs)
        self._failures.update((run.key, kind) for run in runs)
        if len(runs) > 1:
            whole = kind == State.INFRASTRUCTURE and first  # most likely no run's fault
            return kind, [tuple(runs)] if whole else _halves(tuple(runs))
        if self._tries_left(runs[0].key, kind):
            return kind, [tuple(runs)]
        return State.FAILED if kind == State.UNCONFIRMED else kind, []

    def _tries_left(self, key: str, kind: State) -> bool:
        if kind in TRIES_ALONE:
            self._failures[key, f"{kind} alone"] += 1
            return self._failures[key, f"{kind} alone"] < TRIES_ALONE[kind]
        return self._failures[key, kind] < TRIES


def _halves(runs: tuple[RunConfig, ...]) -> list[tuple[RunConfig, ...]]:
    middle = len(runs) // 2
    return [runs[:middle], runs[middle:]]
