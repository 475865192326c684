"""How far packs are, put up now and then, and never at the cost of anything else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy.exc import OperationalError

from sweeper.driver import bulletin
from sweeper.driver.bulletin import EVERY_SECONDS, REFUSED_SECONDS, Bulletin
from sweeper.events import Progress
from sweeper.ledger.progress import Told
from sweeper.ledger.write import Ledger


class Database:
    """In the place of `store`: what it was asked to keep, by the clock of this test."""

    def __init__(self) -> None:
        self.now, self.takes, self.locked = 100.0, 0.0, False
        self.asked: list[dict[str, tuple[float, list[int]]]] = []

    def store(self, _lease: object, packs: Mapping[str, Told]) -> None:
        told = {name: (of.share, sorted(of.epochs.get("k", {}))) for name, of in packs.items()}
        self.asked.append(told)
        self.now += self.takes
        if self.locked:
            raise OperationalError("", None, Exception("database is locked"))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    monkeypatch.setattr(bulletin, "store", database.store)
    monkeypatch.setattr(bulletin.time, "monotonic", lambda: database.now)
    return database


def tell(board: Bulletin, pack: str, epoch: int) -> None:
    board.tell(Progress(pack, "epoch", epoch, 9, epoch / 10, 1.0, {"k": {epoch: {}}}))


def test_all_packs_are_put_up_together_every_few_seconds(
    ledger: Ledger, database: Database
) -> None:
    board = Bulletin(ledger.lease)
    for epoch in (1, 2, 3):
        tell(board, "p", epoch)
        tell(board, "q", epoch)
    database.now += EVERY_SECONDS
    tell(board, "p", 4)
    assert database.asked == [{"p": (0.1, [1])}, {"p": (0.4, [2, 3, 4]), "q": (0.3, [1, 2, 3])}]


def test_a_locked_database_is_left_alone_for_a_while(ledger: Ledger, database: Database) -> None:
    board, database.locked = Bulletin(ledger.lease), True
    tell(board, "p", 1)
    database.now += REFUSED_SECONDS - 1
    tell(board, "p", 2)
    assert len(database.asked) == 1
    database.now, database.locked = database.now + 1, False
    tell(board, "p", 3)
    assert database.asked[1:] == [{"p": (0.3, [1, 2, 3])}]


def test_a_slow_disk_is_asked_less_often(ledger: Ledger, database: Database) -> None:
    board, database.takes = Bulletin(ledger.lease), 2.0
    tell(board, "p", 1)
    database.now += 50
    tell(board, "p", 2)
    assert len(database.asked) == 1
    database.now += 50
    tell(board, "p", 3)
    assert len(database.asked) == 2


def test_a_pack_with_results_is_told_of_no_more(ledger: Ledger, database: Database) -> None:
    board = Bulletin(ledger.lease)
    tell(board, "q", 1)
    tell(board, "p", 1)
    board.forget("p")
    database.now += EVERY_SECONDS
    tell(board, "q", 2)
    assert database.asked[1:] == [{"q": (0.2, [2])}]
