"""`sweeper encoders pretrain`: it makes a file, goes on when stopped, and refuses what is in the
way. Rendering is tested once, on a handful of notes; elsewhere the frames are made up."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from models.encoders.mae_network import Shape
from models.encoders.mae_pretraining import Pretraining, Recipe
from sweeper.commands import pretrain as module
from sweeper.commands.pretrain import PretrainRequest, checkpoint, drawn, frames_of, pretrain
from sweeper.data.clips import Clips
from sweeper.data.notes.dataset import Notes
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig

SMALL = Shape(width=16, depth=1, heads=2, decoder_width=8, decoder_heads=2)


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainRequest:
    torch.set_num_threads(1)
    frames = np.random.default_rng(0).normal(-20, 3, (8, 64, 128)).astype(np.float16)
    monkeypatch.setattr(module, "frames_of", lambda *_: frames)
    return PretrainRequest(tmp_path / "mae.safetensors", 8, Recipe(epochs=3, batch=4), SMALL)


def rows(clips: Clips) -> set[tuple[int, ...]]:
    return set(zip(*(column.tolist() for column in clips.columns), strict=True))


def run(request: PretrainRequest) -> tuple[int, str]:
    text = io.StringIO()
    return pretrain(request, Console(file=text, width=200)), text.getvalue()


def test_a_stopped_pretraining_goes_on_to_the_very_same_file(
    request_: PretrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(request_)[0] == 0
    stopped = dataclasses.replace(request_, out=tmp_path / "stopped.safetensors")
    train_epoch = Pretraining.train_epoch

    def interrupted(self: Pretraining) -> Iterator[float]:
        for loss in train_epoch(self):
            if self.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield loss

    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "train_epoch", interrupted)
        code, text = run(stopped)
    assert code == 128 + signal.SIGINT and "goes on" in text
    assert checkpoint(stopped.out).exists() and not stopped.out.exists()
    code, text = run(stopped)
    assert code == 0 and "epoch 1/3" not in text and "epoch 2/3" in text
    assert stopped.out.read_bytes() == request_.out.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mae.safetensors",
        "stopped.safetensors",
    ]


def test_a_file_that_is_made_is_not_made_again(request_: PretrainRequest) -> None:
    run(request_)
    made = request_.out.stat().st_mtime_ns
    code, text = run(request_)
    assert code == 0 and "nothing to do" in text
    assert request_.out.stat().st_mtime_ns == made


def test_another_commands_file_or_checkpoint_is_left_alone(request_: PretrainRequest) -> None:
    run(request_)
    other = dataclasses.replace(request_, recipe=Recipe(epochs=3, batch=4, seed=1))
    content = request_.out.read_bytes()
    with pytest.raises(SweeperError, match="made with other recipe; delete it"):
        run(other)
    assert request_.out.read_bytes() == content
    request_.out.write_text("notes of mine")
    with pytest.raises(SweeperError, match="in the way"):
        run(request_)
    request_.out.unlink()
    checkpoint(request_.out).write_bytes(b"PK cut short")
    with pytest.raises(SweeperError, match="damaged; delete it"):
        run(request_)
    assert checkpoint(request_.out).read_bytes() == b"PK cut short"


def test_bad_input_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    for request, words in (
        (PretrainRequest(tmp_path / "no" / "x"), "directory that exists"),
        (PretrainRequest(tmp_path), "directory that exists"),
        (PretrainRequest(tmp_path / "x", clips=10), "10 clips are too few"),
        (PretrainRequest(tmp_path / "x", recipe=Recipe(epochs=0)), "at least one epoch"),
    ):
        with pytest.raises(SweeperError, match=words):
            run(request)


def test_the_notes_are_training_candidates_and_too_many_are_refused() -> None:
    notes = Notes(DataConfig())
    clips = drawn(notes, 880)
    assert rows(clips) <= rows(notes.candidates("train"))
    assert np.bincount(clips.family).tolist() == [88] * 10
    with pytest.raises(SweeperError, match=r"only \d+ exist"):
        drawn(notes, 10**6)


def test_rendered_frames_are_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    notes = Notes(DataConfig())
    frames = frames_of(notes, 4, lambda *_: None)
    assert frames.shape[1:] == (64, 128) and frames.dtype == np.float16
    monkeypatch.setattr(module, "encoding", None)  # not needed again
    np.testing.assert_array_equal(frames_of(notes, 4, lambda *_: None), frames)
