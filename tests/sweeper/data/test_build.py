"""Drawing and writing, on a dataset whose every clip is a known number."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from sweeper.data.build import build
from sweeper.data.clips import Clips, Dataset
from sweeper.data.workers import encoding
from sweeper.errors import SweeperError


class Numbers(Dataset):
    """Clip i has the constant waveform 1 + i; every seventh is silent."""

    sample_rate = 16_000

    def recipe(self) -> dict[str, object]:
        return {}

    def candidates(self, split: str) -> Clips:
        index = np.arange(300) + {"train": 0, "valid": 1_000, "downstream": 2_000}[split]
        return Clips(index % 88, index % 10, index, np.full(300, 100))

    def waveforms(self, clips: Clips) -> np.ndarray:
        loud = (clips.program % 7 != 0) * (1.0 + clips.program)
        return np.repeat(loud[:, None], 4, axis=1).astype(np.float32)


class Mean:
    name, sample_rate, shape, pool, fingerprint = "mean", 16_000, (2, 3), "mean", ""

    def encode(self, waveforms: np.ndarray) -> np.ndarray:
        return np.broadcast_to(waveforms[:, :1, None], (len(waveforms), 2, 3)).copy()


def run(path: Path, **sizes: int) -> tuple[dict[str, Clips], dict[str, np.ndarray]]:
    sizes = {"train": 200, "valid": 50, "downstream": 100, **sizes}
    labels = build(Numbers(), Mean(), sizes, path, 1, lambda *_: None)
    return labels, {split: np.load(path / f"{split}.npy") for split in sizes}


def test_silent_clips_are_replaced_so_that_the_counts_hold(tmp_path: Path) -> None:
    labels, latents = run(tmp_path)
    for split, clips in (("train", 200), ("valid", 50), ("downstream", 100)):
        assert latents[split].shape == (clips, 2, 3)
        assert len(np.unique(labels[split].program)) == clips
        assert (labels[split].program % 7 != 0).all()


def test_every_row_holds_the_latents_of_the_clip_that_its_labels_name(tmp_path: Path) -> None:
    labels, latents = run(tmp_path)
    train = 1.0 + labels["train"].program
    for split in labels:
        expected = (1.0 + labels[split].program - train.mean()) / train.std()
        expected = np.broadcast_to(expected[:, None, None], latents[split].shape)
        np.testing.assert_allclose(latents[split], expected, rtol=2**-11, atol=1e-5)  # float16


def test_latents_are_standardised_with_the_training_clips_alone(tmp_path: Path) -> None:
    _, latents = run(tmp_path)
    train = latents["train"].astype(np.float64)
    np.testing.assert_allclose(train.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(train.std((0, 1)), 1, atol=1e-4)
    assert latents["downstream"].mean() > 3


def test_more_clips_than_exist_are_refused_with_the_maximum(tmp_path: Path) -> None:
    audible = sum(program % 7 != 0 for program in range(300))
    with pytest.raises(SweeperError, match=f"only {audible} exist; ask for at most {audible}"):
        run(tmp_path, train=300)
    run(tmp_path, train=audible)


def test_progress_counts_every_clip_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    sizes = {"train": 40, "valid": 10, "downstream": 10}
    build(Numbers(), Mean(), sizes, tmp_path, 1, lambda *report: seen.append(report))
    done = [report[0] for report in seen]
    assert done == sorted(done)
    assert seen[-1][:2] == (60, 60)


class Deadly(Numbers):
    def waveforms(self, clips: Clips) -> np.ndarray:
        os._exit(9)


def test_a_worker_that_dies_is_one_clear_line() -> None:
    clips = Numbers().candidates("train")
    with (
        pytest.raises(SweeperError, match="a process that renders clips died"),
        encoding(Deadly(), Mean(), workers=2) as run,
    ):
        list(run([clips, clips]))


UNGUARDED = """
from sweeper.data.latents import prepare
from tests.sweeper.data.conftest import TINY
prepare(TINY, workers=2)
"""


def test_workers_that_cannot_even_start_are_reported_and_not_waited_for() -> None:
    """A script from standard input cannot be imported by the workers."""
    done = subprocess.run(
        [sys.executable, "-"],
        input=UNGUARDED,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert "SweeperError: a process that renders clips died" in done.stderr


def test_workers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = PREPARING.format(file=tmp_path / "workers")
    parent = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "workers").exists():
        time.sleep(0.05)
    workers = [psutil.Process(int(pid)) for pid in (tmp_path / "workers").read_text().split()]
    parent.kill()
    parent.wait()
    assert len(workers) == 2
    assert not psutil.wait_procs(workers, timeout=10)[1]


PREPARING = """
import os, psutil
from sweeper.study.config import DataConfig
from sweeper.data.latents import prepare

def report(*_):
    children = psutil.Process().children()
    workers = [str(child.pid) for child in children if "spawn_main" in str(child.cmdline())]
    with open("{file}.new", "w") as file:
        file.write(" ".join(workers))
    os.replace("{file}.new", "{file}")

prepare(DataConfig(), workers=2, progress=report)
"""
