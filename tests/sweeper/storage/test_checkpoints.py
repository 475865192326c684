"""When a pack's runs are saved, and what a bad checkpoint or a full disk does to them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.pack.runs import RunState
from sweeper.storage.checkpoints import FENCED, SAVE_AND_STOP, Checkpoints, Saver
from sweeper.storage.files import Storage


def state(key: str, epoch: int = 3) -> RunState:
    zeros = torch.zeros(4)
    return RunState(key, epoch, 2.0, zeros, zeros, zeros, zeros, 1, None, torch.zeros(epoch, 6))


class Pack:
    """A saver over one run, what the driver asks of it, and what it told."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.storage = Storage(str(directory))
        self.checkpoints = Checkpoints(self.storage, "ledger")
        self.asked: bytes | None = None
        self.notes: list[tuple[str, str]] = []
        self.saver = Saver(
            self.checkpoints,
            seconds,
            lambda: self.asked,
            lambda kind, detail: self.notes.append((kind, detail)),
        )

    def after_epoch(self) -> bool:
        return self.saver.after_epoch(lambda: [state("k")])


def test_runs_are_saved_when_it_is_time_and_not_before(tmp_path: Path) -> None:
    late, soon = Pack(tmp_path / "late", 3600), Pack(tmp_path / "soon", 0)
    assert not late.after_epoch() and not soon.after_epoch()
    assert late.checkpoints.epoch("k") == 0 and soon.checkpoints.epoch("k") == 3


def test_a_pack_that_is_asked_to_stop_saves_itself_first(tmp_path: Path) -> None:
    pack = Pack(tmp_path, 3600)
    pack.asked = SAVE_AND_STOP
    assert pack.after_epoch()
    assert pack.saver.load(["k", "l"]).keys() == {"k"}


def test_a_pack_of_a_fenced_driver_stops_and_leaves_nothing(tmp_path: Path) -> None:
    pack = Pack(tmp_path, 0)
    pack.asked = FENCED
    assert pack.after_epoch()
    assert pack.checkpoints.epoch("k") == 0


def test_a_full_disk_is_told_and_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError("no space left on device")

    pack = Pack(tmp_path, 0)
    monkeypatch.setattr(Storage, "write", no_room)
    assert not pack.after_epoch()
    assert pack.notes == [("checkpoint-failed", "no space left on device")]


def test_a_refused_checkpoint_is_told_and_removed(tmp_path: Path) -> None:
    pack = Pack(tmp_path, 0)
    pack.after_epoch()
    pack.storage.write("checkpoints/k", b"sweeper-checkpoint 1 3 0\nhalf")
    assert pack.saver.load(["k"]) == {}
    assert pack.notes[0][0] == "checkpoint-refused" and "checksum" in pack.notes[0][1]
    assert pack.storage.read("checkpoints/k") is None


def test_a_checkpoint_of_another_ledger_is_stale(tmp_path: Path) -> None:
    pack = Pack(tmp_path, 0)
    Checkpoints(pack.storage, "another").save(state("k"))
    assert pack.saver.load(["k"]) == {}
    assert "stale" in pack.notes[0][1]


def test_a_checkpoint_of_another_run_is_stale(tmp_path: Path) -> None:
    pack = Pack(tmp_path, 0)
    pack.after_epoch()
    pack.storage.write("checkpoints/l", pack.storage.read("checkpoints/k") or b"")
    assert pack.saver.load(["k", "l"]).keys() == {"k"}
    assert "stale" in pack.notes[0][1]
