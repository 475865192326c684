"""A sweep held by this driver, trained in this process: what is registered, left, imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sweeper.driver.inline import Inline
from sweeper.driver.outbox import Outbox, append_to_spool
from sweeper.driver.recorder import Recorder
from sweeper.errors import SweeperError
from sweeper.events import Event, Provenance, Results, RunResult
from sweeper.ledger import read
from sweeper.ledger.connect import ledger_id, writer
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.storage.results import (
    BadResultError,
    Manifest,
    find_result,
    leave_result,
    manifest_names,
    read_manifest,
)
from sweeper.study.request import Request
from sweeper.sweep import (
    claim_storage,
    expand,
    import_orphans,
    plan_of,
    reconcile,
    register,
    train_missing,
)
from tests.faults import toy
from tests.sweeper.conftest import scored

GRID = toy.GRID.replace("{epochs}", "1")


class Silence:
    """A watcher that only remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lines: list[str] = []

    @contextmanager
    def data(self) -> Iterator[Callable[[int, int, str], None]]:
        yield lambda done, total, what: None

    @contextmanager
    def sweep(self, cells: Any, missing: Any) -> Iterator[Callable[[Event], None]]:
        yield self.events.append

    def notify(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """A toy grid whose latents are in the cache."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    toy.make_latents()
    return wider(tmp_path, "[0.0, 1.0]", "narrow")


def wider(directory: Path, lambdas: str, name: str) -> Request:
    file = directory / f"{name}.toml"
    file.write_text(GRID.replace("[0.0, 0.6, 1.0]", lambdas))
    return Request(str(file), "smoke", device="cpu", storage=str(directory / "storage"))


@pytest.fixture
def held(db: str, request_: Request) -> Iterator[Ledger]:
    with writer(db) as engine, Ledger.of(engine, "toy") as ledger:
        register(ledger, request_, expand(request_))
        yield ledger


def manifest_of(ledger: Ledger, request: Request) -> Manifest:
    storage = claim_storage(ledger, request.storage)
    (name,) = manifest_names(storage)
    return read_manifest(storage, name)


def test_a_manifest_holds_all_that_the_sweep_holds(
    held: Ledger, request_: Request, tmp_path: Path
) -> None:
    """Each launch adds to it, as a search does, which registers in the same way."""
    first = {cell.label for cell, _ in manifest_of(held, request_).cells}
    other = wider(tmp_path, "[0.6]", "other")
    register(held, other, expand(other))
    manifest = manifest_of(held, request_)
    labels = {cell.label for cell, _ in manifest.cells}
    assert labels == first | {"Cosine SEP λ=0.6 seed 0", "Cosine SIM λ=0.6 seed 0"}
    assert labels == set(read.results(held.engine, "toy")["label"])
    assert [run.lam for run in manifest.extra_runs] == [1.0]


def test_training_prints_nothing_and_finishes_what_is_missing(
    held: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    watcher = Silence()
    assert train_missing(held, Inline, watcher) == (4, None)
    assert set(plan_of(held).states.values()) == {State.FINISHED}
    assert sum(len(e.results) for e in watcher.events if isinstance(e, Results)) == 4
    assert watcher.lines == [] and capfd.readouterr() == ("", "")


def test_nothing_is_made_for_a_sweep_that_is_done(held: Ledger) -> None:
    train_missing(held, Inline, Silence())

    def no_executor() -> Inline:
        raise AssertionError("there is nothing to train")

    assert train_missing(held, no_executor, Silence()) == (0, None)


def test_results_that_no_driver_stored_are_imported_by_ledger_and_key(
    held: Ledger, request_: Request
) -> None:
    """Though not even the start of their attempts was stored: the database's disk was full."""
    storage = claim_storage(held, request_.storage)
    first, second = plan_of(held).keys[:2]
    leave_result(storage, "p", scored(first))
    leave_result(storage, "p", RunResult(second, State.DIVERGED, epochs=[], cause="NaN"))
    assert import_orphans(held, storage) == 2
    assert plan_of(held).states == {first: State.FINISHED, second: State.DIVERGED}
    assert import_orphans(held, storage) == 0


def test_an_orphan_ends_the_attempt_that_made_it(held: Ledger, request_: Request) -> None:
    storage, key = claim_storage(held, request_.storage), plan_of(held).keys[0]
    held.start_attempts("p", [key], Provenance())
    leave_result(storage, "p", scored(key))
    assert import_orphans(held, storage) == 1
    with held.engine.connect() as connection:
        rows = connection.execute(text("SELECT pack, state FROM attempts")).all()
    assert rows == [("p", "finished")]


def test_a_result_is_left_in_the_storage_before_the_driver_hears_of_it(
    held: Ledger, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, left = claim_storage(held, request_.storage), list[bool]()
    put = Recorder.put

    def look(recorder: Recorder, event: Event) -> None:
        if isinstance(event, Results):
            left.extend(find_result(storage, r.key) == (event.pack, r) for r in event.results)
        put(recorder, event)

    monkeypatch.setattr(Recorder, "put", look)
    train_missing(held, Inline, Silence())
    assert left == [True] * 4


def test_a_launch_takes_up_what_a_dead_driver_left(held: Ledger, request_: Request) -> None:
    """A result in its spool, open attempts, checkpoints of what is done and of what is not."""
    storage = claim_storage(held, request_.storage)
    done, missing = plan_of(held).keys[:2]
    held.start_attempts("p", [done, missing], Provenance())
    append_to_spool(Outbox(held, print).paths[0], Results("p", [scored(done)], 1.0))
    for name in (done, f"{done}.partial", missing):
        storage.write(f"checkpoints/{name}", b"x")
    reconcile(held, storage)
    assert plan_of(held).states == {done: State.FINISHED, missing: State.INTERRUPTED}
    with held.engine.connect() as connection:
        states = connection.scalars(text("SELECT state FROM attempts ORDER BY run_id")).all()
    assert sorted(states) == ["finished", "interrupted"]
    assert storage.names("checkpoints") == [missing]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"sha256": "0", "body": "{}"}', "its checksum is wrong"),
        ("{}", "it is no result"),
        ("[1]", "it is no result"),
        ("[" * 100_000, "it is no result"),
        ("{", "Expecting property name"),
        ('{"pack": "p", "result": {"key": "another", "state": "finished"}}', "of another run"),
        ('{"pack": "p", "result": {"key": "KEY", "state": "odd"}}', "is not a valid State"),
        ('{"pack": "p", "result": {"key": "KEY", "state": "finished", "x": 1}}', "no result"),
        (
            '{"pack": "p", "result": {"key": "KEY", "state": "finished", "scores": {"x": 1}}}',
            "'x' is no score",
        ),
        ('{"pack": "p", "result": {"key": "KEY", "state": "finished"}}', "NOT NULL"),
    ],
)
def test_a_damaged_result_is_noted_and_its_run_is_trained(
    held: Ledger, request_: Request, content: str, reason: str
) -> None:
    storage = claim_storage(held, request_.storage)
    key = plan_of(held).keys[0]
    storage.write(f"results/{key}.json", content.replace("KEY", key).encode())
    assert import_orphans(held, storage) == 0
    assert plan_of(held).states == {}
    with held.engine.connect() as connection:
        ((kind, detail),) = connection.execute(text("SELECT kind, detail FROM events")).all()
    assert kind == "result-refused" and reason in detail and key[:12] in detail


def test_a_result_of_an_earlier_version_has_no_checksum_and_counts(
    held: Ledger, request_: Request
) -> None:
    storage = claim_storage(held, request_.storage)
    result = scored(plan_of(held).keys[0])
    document = {"pack": "p", "result": dataclasses.asdict(result)}
    storage.write_json(f"results/{result.key}.json", document)
    assert import_orphans(held, storage) == 1


def test_one_flipped_bit_of_a_result_is_noticed(held: Ledger, request_: Request) -> None:
    storage = claim_storage(held, request_.storage)
    key = plan_of(held).keys[0]
    leave_result(storage, "p", scored(key))
    data = storage.read(f"results/{key}.json") or b""
    for place in range(0, len(data), 37):
        flipped = bytes([*data[:place], data[place] ^ 1, *data[place + 1 :]])
        storage.write(f"results/{key}.json", flipped)
        with pytest.raises(BadResultError):
            find_result(storage, key)


def test_a_storage_that_cannot_be_written_is_one_line(held: Ledger, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SweeperError, match=r"^cannot write to \S+/file/\S+: .*; check --storage$"):
        claim_storage(held, str(tmp_path / "file"))


def test_a_manifest_that_cannot_be_written_is_one_line(
    held: Ledger, request_: Request, tmp_path: Path
) -> None:
    (tmp_path / "other" / "ledgers" / ledger_id(held.engine)).mkdir(parents=True)
    (tmp_path / "other" / "ledgers" / ledger_id(held.engine) / "sweeps").write_text("in the way")
    elsewhere = dataclasses.replace(request_, storage=str(tmp_path / "other"))
    with pytest.raises(SweeperError, match=r"^the sweep's storage: .*; mend that and try again$"):
        register(held, elsewhere, expand(elsewhere))
