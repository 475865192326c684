"""Which runs are this driver's to train: of two sweeps that share a run, one does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sweeper.events import Provenance
from sweeper.ledger import read
from sweeper.ledger.lease import FencedError
from sweeper.ledger.write import Ledger
from sweeper.states import DONE, State


class LedgerClaims:
    """`pack_queue.Claims` of a driver that may not be alone with its database."""

    def __init__(self, ledger: Ledger, provenance: Provenance) -> None:
        self._ledger = ledger
        self._provenance = provenance

    def claim(self, pack: str, keys: Sequence[str]) -> set[str]:
        """All of them when the database cannot be asked: a locked one must stop nobody."""
        try:
            return self._ledger.claim_runs(pack, keys, self._provenance)
        except FencedError:
            return set()
        except DBAPIError:
            return set(keys)

    def look(self, keys: Iterable[str]) -> Mapping[str, tuple[State, float | None]]:
        """Nothing when the database cannot be asked: it is asked again."""
        engine, keys = self._ledger.engine, list(keys)
        try:
            with Session(engine) as session:
                states = read.states_in(session, keys)
                taken = read.taken_in(session, keys, self._ledger.sweep_id)
            valid_rec = read.validation_mse(engine, keys)
        except DBAPIError:
            return {}
        return {key: (_seen(states.get(key), key in taken), valid_rec.get(key)) for key in keys}


def _seen(state: State | None, is_taken: bool) -> State:
    """As the queue sees a run: `running` from the moment that another sweep has claimed it."""
    if is_taken and state not in DONE:
        return State.RUNNING
    return state or State.PENDING
