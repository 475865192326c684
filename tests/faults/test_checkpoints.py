"""Checkpoints that were cut short, altered, or left by another run; and runs that diverge."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage
from tests.faults.conftest import Sweep, Whole

pytestmark = pytest.mark.faults


def cut_short(path: Path, _others: list[Path]) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flip_a_bit(path: Path, _others: list[Path]) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def take_anothers(path: Path, others: list[Path]) -> None:
    shutil.copy(others[0], path)


def empty(path: Path, _others: list[Path]) -> None:
    path.write_bytes(b"")


def killed_in_training(sweep: Sweep) -> list[Path]:
    """A sweep whose driver was killed with checkpoints of several runs: their files."""
    assert sweep.launch("kill@checkpoint:after-write#8") == -signal.SIGKILL
    files = sorted(path for path in sweep.storage.rglob("checkpoints/*"))
    assert len(files) > 1
    return files


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, take_anothers, empty])
def test_a_bad_checkpoint_is_refused_and_its_run_starts_anew(
    sweep: Sweep, assert_whole: Whole, damage: Callable[[Path, list[Path]], None]
) -> None:
    victim, *others = killed_in_training(sweep)
    damage(victim, others)
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    events = sweep.query("SELECT detail FROM events WHERE kind = 'checkpoint-refused'")
    assert len(events) == 1 and victim.name[:12] in events[0][0]
    assert_whole(sweep, acknowledged)


def test_a_resumed_run_goes_on_from_its_checkpoint(sweep: Sweep, assert_whole: Whole) -> None:
    files = killed_in_training(sweep)
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    resumed = "SELECT key FROM attempts JOIN runs ON runs.id = run_id WHERE from_epoch > 0"
    assert {key for (key,) in sweep.query(resumed)} == {path.name for path in files}
    assert_whole(sweep, acknowledged)


def test_a_checkpoint_of_another_database_is_stale(sweep: Sweep, assert_whole: Whole) -> None:
    files = killed_in_training(sweep)
    root = files[0].parents[1]
    storage = Storage(str(root))
    foreign, own = Checkpoints(storage, "another"), Checkpoints(storage, root.name)
    state = own.load(files[0].name)
    assert state is not None
    foreign.save(state)
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    events = sweep.query("SELECT detail FROM events WHERE kind = 'checkpoint-refused'")
    assert len(events) == 1 and "it is stale" in events[0][0]
    assert_whole(sweep, acknowledged)


def test_a_run_that_leaves_the_finite_range_is_diverged_and_takes_nobody_with_it(
    sweep: Sweep, undisturbed: object
) -> None:
    """NaN weights in one run's checkpoint."""
    files = killed_in_training(sweep)
    root = files[0].parents[1]
    checkpoints = Checkpoints(Storage(str(root)), root.name)
    state = checkpoints.load(files[0].name)
    assert state is not None
    state.vector = torch.full_like(state.vector, torch.nan)
    checkpoints.save(state)
    assert sweep.launch() == 2, sweep.output
    table = sweep.table()
    hurt = table["run_key"] == state.key
    assert hurt.any()
    assert set(table.loc[hurt, "state"]) == {"diverged"}
    assert set(table.loc[~hurt, "state"]) == {"finished"}
    assert table.loc[hurt, "pitch_overall"].isna().all()
