"""The recorder: each event stored, and what it means for the packs that come next."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from sweeper.driver import recorder as recording
from sweeper.driver.bulletin import Bulletin
from sweeper.driver.outbox import Outbox
from sweeper.driver.pack_queue import PackQueue
from sweeper.driver.recorder import Recorder
from sweeper.events import (
    Broke,
    Closed,
    Ended,
    Event,
    Interrupted,
    Lost,
    Noted,
    Planned,
    Progress,
    Provenance,
    Results,
    RunResult,
)
from sweeper.ledger.lease import FencedError
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.plan import make_pack, reference_of
from tests.sweeper.conftest import scored

Smoke = list[tuple[Cell, RunConfig]]


class Driver:
    """A recorder over one pack of two runs, and all that it touches."""

    def __init__(self, ledger: Ledger, storage: Storage, smoke: Smoke) -> None:
        ledger.register({}, smoke)
        self.runs = [run for _, run in smoke if run.lam in (0.0, 1.0)]
        self.waiting = [run for _, run in smoke if run.lam == 0.6]
        packs = [make_pack(self.runs), make_pack(self.waiting)]
        self.pack_queue = PackQueue("x", packs, {})
        self.storage, self.seen, self.lines = storage, list[Event](), list[str]()
        self.recorder = Recorder(
            ledger,
            self.pack_queue,
            Checkpoints(storage, "ledger"),
            Provenance("here"),
            self.seen.append,
            self.lines.append,
        )
        assignment = self.pack_queue.next()
        assert assignment is not None
        self.pack = assignment.pack

    def tell(self, *events: Event) -> None:
        with self.recorder:
            self.recorder.started(self.pack)
            for event in events:
                self.recorder.put(event)


@pytest.fixture
def driver(ledger: Ledger, tmp_path: object, smoke: Smoke) -> Driver:
    return Driver(ledger, Storage(f"{tmp_path}/storage"), smoke)


@pytest.fixture
def attempts(engine: Engine) -> Callable[[], list[tuple[str, str | None]]]:
    def query() -> list[tuple[str, str | None]]:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT state, cause FROM attempts ORDER BY id"))
            return [tuple(row) for row in rows]

    return query


def test_results_are_stored_and_let_those_go_that_waited(driver: Driver, attempts: object) -> None:
    reference = next(run for run in driver.runs if run.lam == 1)
    assert driver.pack_queue.next() is None
    driver.tell(Results(driver.pack, [scored(run.key) for run in driver.runs], 1.0))
    assert attempts() == [("finished", None)] * 2  # type: ignore[operator]
    assignment = driver.pack_queue.next()
    assert assignment is not None and assignment.runs == tuple(driver.waiting)
    assert reference_of(driver.waiting[0]) == reference
    assert assignment.reference_mse == (0.2,)


def test_runs_that_need_a_diverged_reference_are_given_up(driver: Driver) -> None:
    diverged = [RunResult(run.key, State.DIVERGED, cause="epoch 1") for run in driver.runs]
    driver.tell(Results(driver.pack, diverged, 1.0), Ended(driver.pack))
    assert driver.pack_queue.over


def test_a_run_is_let_go_only_when_its_result_is_stored(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = driver.runs[0].key
    driver.storage.write(f"checkpoints/{key}", b"x")
    stored: list[bool] = []

    def deliver(_outbox: Outbox, event: Event) -> bool:
        if isinstance(event, Results):
            stored.append(driver.storage.read(f"checkpoints/{key}") == b"x")
            stored.append(driver.runs[0] in driver.pack_queue.unsettled(driver.pack))
        return True

    monkeypatch.setattr(Outbox, "deliver", deliver)
    driver.tell(Results(driver.pack, [scored(key)], 1.0))
    assert stored == [True, True] and driver.storage.read(f"checkpoints/{key}") is None


def test_a_result_that_only_memory_holds_keeps_its_checkpoint(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = driver.runs[0].key
    driver.storage.write(f"checkpoints/{key}", b"x")
    monkeypatch.setattr(Outbox, "deliver", lambda _outbox, _event: False)
    driver.tell(Results(driver.pack, [scored(key)], 1.0))
    assert driver.storage.read(f"checkpoints/{key}") == b"x"


def test_a_fenced_driver_leaves_the_checkpoints_to_the_other(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = driver.runs[0].key
    driver.storage.write(f"checkpoints/{key}", b"x")

    def fenced(_outbox: Outbox, _event: Event) -> bool:
        raise FencedError("another driver has taken this sweep over")

    monkeypatch.setattr(Outbox, "deliver", fenced)
    with pytest.raises(FencedError):
        driver.tell(Results(driver.pack, [scored(key)], 1.0))
    assert driver.storage.read(f"checkpoints/{key}") == b"x"


def test_a_result_that_cannot_be_stored_keeps_its_checkpoint(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = driver.runs[0].key
    driver.storage.write(f"checkpoints/{key}", b"x")
    odd = RunResult(key, State.FINISHED, {"no_such_column": 1.0, "valid_rec": None})
    with pytest.raises(ValueError, match="no_such_column"):
        driver.tell(Results(driver.pack, [odd], 1.0))
    assert driver.storage.read(f"checkpoints/{key}") == b"x"


def test_only_what_changes_the_database_goes_to_the_outbox(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered: list[str] = []
    monkeypatch.setattr(
        Outbox, "deliver", lambda _outbox, event: delivered.append(type(event).__name__)
    )
    progress = Progress(driver.pack, "epoch", 1, 2, 0.4)
    events = (Planned(1, 2), progress, Noted(driver.pack, "checkpoint-failed", "no room"))
    driver.tell(*events)
    assert delivered == ["Started", "Noted"]
    assert [event for event in driver.seen if not event.durable] == [Planned(1, 2), progress]


@pytest.mark.parametrize("worry", ["none", "a spool", "a signal"])
def test_progress_is_put_up_only_when_there_is_nothing_else_to_do(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, worry: str
) -> None:
    put_up: list[Progress] = []
    monkeypatch.setattr(Bulletin, "tell", lambda _bulletin, event: put_up.append(event))
    if worry == "a spool":
        monkeypatch.setattr(Outbox, "waiting", 1)
        monkeypatch.setattr(Outbox, "drain", lambda _outbox: True)
    if worry == "a signal":
        driver.pack_queue.halt()
    progress = Progress(driver.pack, "epoch", 1, 2, 0.4)
    driver.tell(progress)
    assert put_up == ([progress] if worry == "none" else [])


@pytest.mark.parametrize("again", [Ended, lambda pack: Lost(pack, State.INFRASTRUCTURE, "died")])
def test_a_pack_that_a_signal_stopped_says_so(
    driver: Driver, attempts: object, again: Callable[[str], Event]
) -> None:
    driver.pack_queue.halt()
    driver.tell(again(driver.pack), Interrupted(2))
    assert attempts() == [("interrupted", "stopped by a signal")] * 2  # type: ignore[operator]
    assert driver.pack_queue.idle


def test_an_error_keeps_its_cause_though_the_sweep_is_stopping(
    driver: Driver, attempts: object
) -> None:
    driver.pack_queue.halt()
    driver.tell(Broke(driver.pack, State.UNCONFIRMED, "ValueError: odd"), Ended(driver.pack))
    assert attempts() == [("interrupted", "ValueError: odd")] * 2  # type: ignore[operator]


def test_what_still_runs_at_the_end_is_closed_by_the_signal(
    driver: Driver, attempts: object
) -> None:
    driver.tell(Interrupted(15))
    assert attempts() == [("interrupted", "signal 15")] * 2  # type: ignore[operator]


def test_a_pack_without_results_is_lost_and_tried_again(driver: Driver, attempts: object) -> None:
    driver.tell(Ended(driver.pack))
    assert attempts() == [("infrastructure", "ended without a result")] * 2  # type: ignore[operator]
    closed = next(event for event in driver.seen if isinstance(event, Closed))
    assert closed.again and set(closed.runs) == {run.key for run in driver.runs}
    assignment = driver.pack_queue.next()
    assert assignment is not None and set(assignment.runs) == set(driver.runs)


def test_a_fenced_driver_writes_nothing_more(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Event] = []

    def fenced(_outbox: Outbox, event: Event) -> None:
        asked.append(event)
        raise FencedError("another driver has taken this sweep over")

    monkeypatch.setattr(Outbox, "deliver", fenced)
    with pytest.raises(FencedError):
        driver.tell(Ended(driver.pack), Noted(driver.pack, "x", "y"))
    assert len(asked) == 1


def test_a_locked_database_cannot_keep_the_driver_from_ending(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LAST_DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(Outbox, "deliver", lambda _outbox, _event: None)
    monkeypatch.setattr(Outbox, "waiting", property(lambda _outbox: 3))
    monkeypatch.setattr(Outbox, "drain", lambda _outbox: False)
    driver.tell()
    assert driver.lines == ["3 events wait for the database; the next launch stores them"]


def test_a_driver_that_could_keep_nothing_says_so(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LAST_DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(Outbox, "deliver", lambda _outbox, _event: None)
    monkeypatch.setattr(Outbox, "waiting", property(lambda _outbox: 3))
    monkeypatch.setattr(Outbox, "in_memory", property(lambda _outbox: 3))
    monkeypatch.setattr(Outbox, "drain", lambda _outbox: False)
    driver.tell()
    (line,) = driver.lines
    assert line.startswith("3 events are lost with this process, for no disk has room")
