"""How far the packs at work are, put into the database now and then for whoever else looks.

It comes last: what the database refuses is dropped and not asked again for a while, nothing is
spooled, and nothing is put up any more while a sweep stops.
"""

from __future__ import annotations

import time

from sqlalchemy.exc import DBAPIError

from sweeper.events import Progress
from sweeper.ledger.lease import Lease
from sweeper.ledger.progress import Told, store

EVERY_SECONDS = 5.0  # one commit for all packs together
REFUSED_SECONDS = 30.0  # until the next try, of a database that was locked or full
PAUSES = 50  # times as long as the commit took: a slow disk is left to the results


class Bulletin:
    """The latest of every pack that is at work."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._told: dict[str, Told] = {}
        self._next = 0.0  # when to put up again

    def tell(self, event: Progress) -> None:
        """Keeps what a pack tells; when it is time, puts up what all have told since then.

        Raises FencedError when another driver has the sweep.
        """
        told = self._told.setdefault(event.pack, Told())
        told.share, told.seconds = event.share, event.seconds
        for key, losses in event.epochs.items():
            told.epochs.setdefault(key, {}).update(losses)
        if (began := time.monotonic()) < self._next:
            return
        try:
            store(self._lease, self._told)
        except DBAPIError:
            self._next = time.monotonic() + REFUSED_SECONDS
        else:
            took = time.monotonic() - began
            self._next = began + took + max(EVERY_SECONDS, PAUSES * took)
            self._told.clear()

    def forget(self, pack: str) -> None:
        """Its results tell more, or it is tried again under another name."""
        self._told.pop(pack, None)
