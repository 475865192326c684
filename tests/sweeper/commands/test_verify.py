"""`sweeper verify` names whatever was spoiled, mends what it may, and otherwise only reads."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from models.pack.runs import RunState
from sweeper.cli.app import run
from sweeper.driver.outbox import append_to_spool
from sweeper.events import Noted
from sweeper.ledger.connect import open_writer
from sweeper.ledger.write import Ledger
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage
from sweeper.storage.results import leave_result
from tests.faults import toy
from tests.sweeper.cli.conftest import Sweeper, contents
from tests.sweeper.commands.conftest import LAUNCH, query, write_grid
from tests.sweeper.conftest import scored

Spoil = Callable[[], object]


def sql(*statements: str) -> Spoil:
    def run() -> None:
        with closing(sqlite3.connect("results.db")) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return run


def only(pattern: str) -> Path:
    """The one file, or the first, of the cache that fits."""
    return sorted(Path("cache").glob(pattern))[0]


def storage() -> Path:
    return only("ledgers/*")


def flip(pattern: str) -> Spoil:
    """A bit of a file, about its middle."""

    def run() -> None:
        path = only(pattern)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    return run


def leave(name: str, of: Callable[[], Path] = storage) -> Spoil:
    def run() -> None:
        path = of() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")

    return run


def key() -> str:
    return str(query("SELECT key FROM runs LIMIT 1")[0][0])


FINISHED = "SELECT run_id FROM scores LIMIT 1"
# Only a person can say what is to become of these.
FOR_A_PERSON = {
    "belong to no row": sql(
        "PRAGMA foreign_keys = OFF", f"DELETE FROM runs WHERE id = ({FINISHED})"
    ),
    "configs are not those": sql(
        "UPDATE runs SET config = replace(config, '\"seed\":0', '\"seed\":9')"
    ),
    "finished and have no scores": sql("DELETE FROM scores"),
    "did not finish": sql("UPDATE attempts SET state = 'interrupted'"),
    "have no accuracy": sql("DELETE FROM accuracies", "DELETE FROM predictions"),
    "accuracies are not what": sql(
        "UPDATE accuracies SET accuracy = accuracy + 0.01 WHERE part = 'validation'"
    ),
    "probes' predictions": sql("UPDATE predictions SET classes = x'00' WHERE task = 'pitch'"),
    "of runs that the database does not know": lambda: leave_result(
        Storage(str(storage())), "p", scored("0" * 64)
    ),
    "sweeps are not in the database": sql("UPDATE sweeps SET name = 'another'"),
    "a manifest is damaged": leave("sweeps/toy-smoke.json"),
}
FOR_REPAIR = {
    "left running by a driver": sql(
        "DELETE FROM epochs",
        "DELETE FROM scores",
        "UPDATE attempts SET state = 'running', ended = NULL",
    ),
    "results wait": sql(
        "DELETE FROM epochs", "DELETE FROM scores", "UPDATE attempts SET state = 'interrupted'"
    ),
    "a spool waits": lambda: append_to_spool(Path("results.db.spool-1-1"), Noted("p", "odd", "so")),
    "a result is damaged": flip("ledgers/*/results/*"),
    "weights are damaged": flip("ledgers/*/weights/*"),
    "of no run of the database": leave(f"checkpoints/{'0' * 64}"),
    "of a run that is done": lambda: leave(f"checkpoints/{key()}")(),
    "half written": leave("results/x.json.partial"),
    "or unused": leave("stop/abc"),
    "latents are damaged": flip("latents/*/downstream.npy"),
    "latents have scratch left": leave("scratch/journal", lambda: only("latents/*")),
    "a build left nothing of use": lambda: Path("cache/latents/0.partial").mkdir(),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished sweep with all that is its own, saved: each test spoils it at the same place."""
    root = tmp_path_factory.mktemp("verify")
    (root / "here").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root / "here")
        patch.setenv("SWEEPER_CACHE", "cache")
        toy.make_latents()
        write_grid("toy")
        patch.setattr(sys, "argv", ["sweeper", *LAUNCH, "--grid", "toy.toml"])
        run()
        shutil.move(root / "here", root / "saved")
        yield root


@pytest.fixture
def trained(pristine: Path, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch) -> Sweeper:
    here = pristine / "here"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(pristine / "saved", here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("SWEEPER_CACHE", "cache")
    return sweeper


def found(trained: Sweeper, *options: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    code, out, err = trained("verify", "--json", *options)
    assert not err
    return code, json.loads(out)


def test_what_is_whole_is_said_with_its_numbers(trained: Sweeper) -> None:
    before = contents(Path())
    code, out, _ = trained("verify")
    assert code == 0
    assert out.splitlines() == [
        "ledger   whole 5 cells, 4 runs, 4 attempts, 4 scores, 40 accuracies, 40 predictions",
        "storage  whole 4 results, 0 checkpoints, 1 manifests, 3 weights",
        "cache    whole 1 latents, 0 builds to go on with",
    ]
    assert contents(Path()) == before


def test_weights_that_are_gone_are_told_and_no_fault(trained: Sweeper) -> None:
    only("ledgers/*/weights/*").unlink()
    code, out, _ = trained("verify")
    assert code == 0 and "2 weights, 1 trained runs without weights\n" in out


@pytest.mark.parametrize("what", FOR_A_PERSON)
def test_what_only_a_person_can_mend_is_told_and_left(trained: Sweeper, what: str) -> None:
    FOR_A_PERSON[what]()
    code, document = found(trained, "--repair")
    told = [finding for finding in document["findings"] if what in finding["what"]]
    assert code == 2 and told and told[0]["repair"] is None


@pytest.mark.parametrize("what", FOR_REPAIR)
def test_what_can_be_mended_is_mended_and_no_score_is_lost(trained: Sweeper, what: str) -> None:
    scores = query("SELECT run_id, mse FROM scores ORDER BY run_id")
    FOR_REPAIR[what]()
    before = contents(Path())
    code, document = found(trained)
    assert code == 2 and what in document["findings"][0]["what"]
    assert trained("verify")[1].endswith("can be mended: sweeper verify --repair\n")
    assert contents(Path()) == before
    code, document = found(trained, "--repair")
    assert (code, document["findings"]) == (0, [])
    assert any(what in finding["what"] for finding in document["mended"])
    assert query("SELECT run_id, mse FROM scores ORDER BY run_id") == scores


def test_damage_that_no_query_meets_is_one_line_that_names_recover(trained: Sweeper) -> None:
    pack = str(query("SELECT pack FROM attempts LIMIT 1")[0][0]).encode()
    data = Path("results.db").read_bytes()  # the pack stands in its row and in the index
    Path("results.db").write_bytes(data.replace(pack, b"x" + pack[1:], 1))
    code, out, err = trained("verify", "--repair")
    assert (code, out) == (1, "") and err.count("\n") == 1 and "run `sweeper recover`" in err


def test_nothing_is_repaired_under_a_driver_at_work(trained: Sweeper) -> None:
    leave("stop/abc")()
    leave("sweeps/toy-smoke.json")()
    engine = open_writer("results.db")
    with Ledger.of(engine, "toy-smoke"):
        code, out, _ = trained("verify")
        assert code == 0 and "a driver is at work on toy-smoke" in out  # it may need that flag
        flip("latents/*/downstream.npy")()
        code, _, err = trained("verify", "--repair")
    engine.dispose()
    assert code == 3 and "repair when it has ended" in err
    assert (storage() / "stop" / "abc").exists()


def test_what_a_resume_goes_on_from_is_left_alone(trained: Sweeper) -> None:
    sql("DELETE FROM epochs", "DELETE FROM scores", "UPDATE attempts SET state = 'interrupted'")()
    for result in storage().glob("results/*"):
        result.unlink()
    build = Path("cache/latents/0.partial/scratch")
    build.mkdir(parents=True)
    (build / "journal").write_text("[]")
    checkpoints = Checkpoints(Storage(str(storage())), storage().name)
    checkpoints.save(
        state := RunState(key(), 1, None, *[torch.zeros(1)] * 4, 1, None, torch.zeros(1, 6))
    )
    assert found(trained, "--repair")[0] == 0
    assert checkpoints.epoch(state.key) == 1 and build.exists()
