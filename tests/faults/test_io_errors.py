"""I/O errors at every call of the write path in turn: files, spools, the database, whole launches.

A launch here is a whole one, by `sweeper.commands`, of one run whose training is pretended.
"""

from __future__ import annotations

import errno
import io
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console
from sqlalchemy.exc import OperationalError

from models.pack.runs import RunState
from sweeper.commands.launch import launch
from sweeper.driver import outbox
from sweeper.driver.inline import Inline
from sweeper.driver.outbox import Outbox, append_to_spool, read_spool, store
from sweeper.errors import SweeperError
from sweeper.events import Event, Noted, Results
from sweeper.ledger import read
from sweeper.ledger.connect import PRAGMAS, open_reader, open_writer
from sweeper.ledger.presence import check_whole
from sweeper.ledger.write import Ledger
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage, write_atomically
from sweeper.storage.results import find_result
from sweeper.study.config import RunConfig
from sweeper.study.request import Request
from tests.faults import toy
from tests.faults.conftest import FINISHED, TRAINED_AGAIN
from tests.faults.disk import Fault, every_fault, failing_database, failing_disk
from tests.sweeper.conftest import scored
from tests.sweeper.storage.test_checkpoints import state

UNSYNCED = tuple(pragma.replace("= FULL", "= OFF") for pragma in PRAGMAS)
LASTING = pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])


@LASTING
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, lasting: bool) -> None:
    path = tmp_path / "name"

    def tried(fault: Fault) -> None:
        path.write_bytes(b"old bytes")
        with failing_disk(fault, errno.ENOSPC), suppress(OSError):
            write_atomically(path, b"the new bytes")
        assert path.read_bytes() in (b"old bytes", b"the new bytes"), fault

    assert every_fault(lasting, tried) == 6  # open, write, fsync, replace, open, fsync


@LASTING
def test_a_spool_keeps_what_it_has_and_takes_what_comes_next(tmp_path: Path, lasting: bool) -> None:
    first, second, third = (Noted("p", "number", str(number)) for number in range(3))

    def tried(fault: Fault) -> None:
        path = tmp_path / str(fault.at) / "spool"
        append_to_spool(path, first)
        with failing_disk(fault, errno.ENOSPC), suppress(OSError):
            append_to_spool(path, second)
        append_to_spool(path, third)
        assert read_spool(path) in ([first, second, third], [first, third]), fault

    assert every_fault(lasting, tried) >= 5


@LASTING
def test_a_checkpoint_is_the_last_or_the_one_before(tmp_path: Path, lasting: bool) -> None:
    def tried(fault: Fault) -> None:
        with failing_disk(fault, errno.ENOSPC):
            checkpoints = Checkpoints(Storage(str(tmp_path / str(fault.at))), "ledger")
            for epoch in (3, 4):
                with suppress(OSError):
                    checkpoints.save(state("k", epoch))
        loaded = checkpoints.load("k")
        epoch = 0 if loaded is None else loaded.epoch
        assert checkpoints.epoch("k") == epoch, fault
        assert epoch in ((0, 3, 4) if lasting else (3, 4)), fault

    assert every_fault(lasting, tried) >= 12


@dataclass
class Place:
    """A directory with a sweep of one run, and a database that is there already."""

    directory: Path
    blank: Path  # a database of no sweep
    trained: list[str] = field(default_factory=list)  # keys, since the last look
    kept: set[str] = field(default_factory=set)  # keys of results that were said to be safe

    def __post_init__(self) -> None:
        self.directory.mkdir()
        text = toy.GRID.replace("[0.0, 0.6, 1.0]", "[0.0]").replace('"SEP", "SIM"', '"SEP"')
        text = text.replace('baselines = ["encoder"]\n', "")
        self.grid = toy.grid_file(self.directory, 2, text)
        shutil.copy(self.blank, self.db)

    @property
    def db(self) -> Path:
        return self.directory / "results.db"

    def launch(self) -> int:
        """The exit code; whatever is raised and is no user's error is a defect."""
        storage = str(self.directory / "storage")
        request = Request(str(self.grid), "smoke", device="cpu", storage=storage, pack=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SWEEPER_CACHE", str(self.directory / "cache"))
            patch.setattr("sweeper.sweep.prepare_all", lambda *_: None)
            patch.setattr("sweeper.worker.trial.latents_of", lambda *_, **__: None)
            patch.setattr("sweeper.worker.trial.train", self._train)
            patch.setattr(Outbox, "deliver", self._deliver(Outbox.deliver))
            patch.setattr("sweeper.driver.execute.CHECKPOINT_SECONDS", 0.0)
            patch.setattr("sweeper.driver.recorder.LAST_DRAIN_SECONDS", 0.0)
            patch.setattr("sweeper.driver.outbox.RETRY_SECONDS", 0.0)
            patch.setattr("sweeper.ledger.connect.PRAGMAS", UNSYNCED)
            try:
                return launch(
                    request, str(self.db), "toy", Inline, console=Console(file=io.StringIO())
                )
            except SweeperError as error:
                return error.exit_code

    def _train(self, runs: Sequence[RunConfig], *_: Any, saver: Any, states: Any) -> Any:
        """Two epochs, each checkpointed; whoever goes on from a bad state is found out."""
        results = []
        for run in runs:
            before: RunState | None = states.get(run.key)
            done = 0 if before is None else before.epoch
            assert before is None or torch.equal(before.vector, torch.zeros(4))
            self.trained.append(run.key)
            for epoch in range(done + 1, 3):
                saver.after_epoch(lambda key=run.key, epoch=epoch: [state(key, epoch)])
            results.append(scored(run.key, int(run.key[:4], 16) / 2**16))
        return results

    def _deliver(self, deliver: Any) -> Any:
        def keep(box: Outbox, event: Event) -> bool:
            survives = bool(deliver(box, event))
            if survives and isinstance(event, Results):
                self.kept |= {result.key for result in event.results}
            return survives

        return keep

    def query(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.db, isolation_level=None)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def acknowledged(self) -> set[str]:
        """Runs that need no training any more: stored, spooled, or left whole in the storage."""
        stored = {key for (key,) in self.query(FINISHED)}
        return self.kept | stored | self._left()

    def _left(self) -> set[str]:
        whole = set()
        for file in self.directory.glob("storage/ledgers/*/results/*.json"):
            result = find_result(Storage(str(file.parents[1])), file.stem)
            assert result is not None  # BadResultError: half a file was taken for a result
            whole.add(result[1].key)
        return whole

    def table(self) -> pd.DataFrame:
        engine = open_reader(str(self.db))
        table = read.results(engine, "toy")
        engine.dispose()
        return table

    def check(self, fault: Fault, undisturbed: pd.DataFrame) -> None:
        """What must hold of a second launch, after one that met the fault."""
        safe = self.acknowledged()
        self.trained.clear()
        self.query("UPDATE leases SET process = process || '0'")  # as if that process had ended
        assert self.launch() == 0, fault
        assert not safe & set(self.trained), f"{fault}: trained again"
        assert self.query(TRAINED_AGAIN) == [(0,)], fault
        assert self.query("SELECT COUNT(*) FROM scores") == [(1,)], fault
        assert self.query("PRAGMA integrity_check") == [("ok",)]
        assert not list(self.directory.rglob("*spool-*")), fault
        assert not list(self.directory.rglob("checkpoints/*")), fault
        pd.testing.assert_frame_equal(self.table(), undisturbed, obj=str(fault))


NewPlace = Callable[[object], Place]


@pytest.fixture
def new_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewPlace:
    monkeypatch.setattr("os.fsync", lambda _handle: None)  # no power is cut here
    open_writer(str(tmp_path / "blank.db")).dispose()
    return lambda name: Place(tmp_path / str(name), tmp_path / "blank.db")


@pytest.fixture
def undisturbed(new_place: NewPlace) -> pd.DataFrame:
    place = new_place("undisturbed")
    assert place.launch() == 0 and len(place.trained) == 1
    return place.table()


class Grudging:
    """In the place of `store`: a database that takes nothing at first, and then everything."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, ledger: Ledger, event: Event) -> None:
        self.asked += 1
        if self.asked <= 2:
            raise OperationalError("", None, sqlite3.OperationalError("database is locked"))
        store(ledger, event)


@pytest.mark.faults
@LASTING
def test_a_launch_that_meets_a_bad_disk_loses_nothing(
    new_place: NewPlace, undisturbed: pd.DataFrame, lasting: bool
) -> None:
    """Checkpoints, results, manifest and, as the database is locked for a while, the spool."""

    def tried(fault: Fault) -> None:
        place = new_place(fault.at)
        number = errno.ENOSPC if lasting else errno.EIO
        with failing_disk(fault, number), pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbox, "store", Grudging())
            place.launch()
        place.check(fault, undisturbed)

    assert every_fault(lasting, tried) > 50


@pytest.mark.faults
@LASTING
def test_a_launch_that_meets_a_bad_database_loses_nothing(
    new_place: NewPlace, undisturbed: pd.DataFrame, lasting: bool
) -> None:
    def tried(fault: Fault) -> None:
        place = new_place(fault.at)
        with failing_database(fault, place.db):
            place.launch()
        place.check(fault, undisturbed)

    assert every_fault(lasting, tried) > 30


@LASTING
def test_a_database_that_could_not_be_made_is_made_later(tmp_path: Path, lasting: bool) -> None:
    def tried(fault: Fault) -> None:
        db = tmp_path / f"{fault.at}.db"
        with failing_database(fault, db), suppress(SweeperError):
            open_writer(str(db)).dispose()
        engine = open_writer(str(db))
        check_whole(engine, str(db))
        engine.dispose()

    assert every_fault(lasting, tried) > 20


def test_a_full_storage_keeps_no_result_from_the_driver(
    new_place: NewPlace, undisturbed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("sweeper.worker.trial.leave_result", no_room)
    place = new_place("full")
    assert place.launch() == 0
    pd.testing.assert_frame_equal(place.table(), undisturbed)
