"""When a pack's runs are saved, and what a bad checkpoint or a full disk does to them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

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

    def __init__(self, directory: Path, seconds: float, background: bool = False) -> None:
        self.storage = Storage(str(directory))
        self.checkpoints = Checkpoints(self.storage, "ledger")
        self.asked: bytes | None = None
        self.notes: list[tuple[str, str]] = []
        self.saver = Saver(
            self.checkpoints,
            seconds,
            lambda: self.asked,
            lambda kind, detail: self.notes.append((kind, detail)),
            background,
        )

    def after_epoch(self, epoch: int = 3) -> bool:
        return self.saver.after_epoch(lambda: [state("k", epoch)])


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


class Slow:
    """A storage that writes when it is let, from whatever thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.may_write, write = threading.Event(), Storage.write

        def wait_and_write(*arguments: Any) -> None:
            assert self.may_write.wait(20)
            if error:
                raise error
            write(*arguments)

        monkeypatch.setattr(Storage, "write", wait_and_write)


def test_training_goes_on_while_a_checkpoint_is_written_and_one_is_written_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, pack = Slow(monkeypatch), Pack(tmp_path, 0, background=True)
    assert not pack.after_epoch(1) and not pack.after_epoch(2)
    assert pack.checkpoints.epoch("k") == 0
    slow.may_write.set()
    pack.saver.settle()
    assert pack.checkpoints.epoch("k") == 1
    pack.after_epoch(3)
    pack.saver.settle()
    assert pack.checkpoints.epoch("k") == 3


@pytest.mark.parametrize(("asked", "left"), [(SAVE_AND_STOP, 2), (FENCED, 1)])
def test_a_pack_that_stops_waits_for_what_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bytes, left: int
) -> None:
    slow, pack = Slow(monkeypatch), Pack(tmp_path, 0, background=True)
    pack.after_epoch(1)
    pack.asked = asked
    threading.Timer(0.05, slow.may_write.set).start()
    assert pack.after_epoch(2)
    assert pack.checkpoints.epoch("k") == left


def test_what_is_older_is_not_written_to_its_end_when_a_pack_is_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, pack, saved = Slow(monkeypatch), Pack(tmp_path, 0, background=True), Checkpoints.save
    written: list[tuple[str, int]] = []

    def save(checkpoints: Checkpoints, one: RunState) -> None:
        saved(checkpoints, one)
        written.append((one.key, one.epoch))

    monkeypatch.setattr(Checkpoints, "save", save)
    pack.saver.after_epoch(lambda: [state("k", 1), state("l", 1)])
    pack.asked = SAVE_AND_STOP
    threading.Timer(0.05, slow.may_write.set).start()
    pack.saver.after_epoch(lambda: [state("k", 2), state("l", 2)])
    assert written == [("k", 1), ("k", 2), ("l", 2)]


@pytest.mark.parametrize("error", [OSError("no space left on device"), RuntimeError("a bug")])
def test_what_fails_in_the_background_is_told_or_raised_as_in_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    slow, pack = Slow(monkeypatch, error), Pack(tmp_path, 0, background=True)
    slow.may_write.set()
    pack.after_epoch()
    if isinstance(error, OSError):
        pack.saver.settle()
        assert pack.notes == [("checkpoint-failed", "no space left on device")]
    else:
        with pytest.raises(RuntimeError, match="a bug"):
            pack.saver.settle()
