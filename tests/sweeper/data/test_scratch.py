"""A build that was killed goes on where it stopped, and ends as if it never had been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sweeper.data import cache
from sweeper.data.build import build
from sweeper.data.clips import SPLITS, Clips
from sweeper.data.latents import fingerprint, prepare
from sweeper.data.notes import dataset as notes
from sweeper.data.notes.render import Note
from sweeper.data.scratch import JOURNAL, SCRATCH

from .conftest import TINY
from .test_build import Mean, Numbers

SIZES = {"train": 200, "valid": 50, "downstream": 100}
LAST = 1 << 30


class Counting(Mean):
    """Counts what it encodes; breaks off before batch `stop`."""

    def __init__(self, stop: int = LAST) -> None:
        self.stop, self.batches, self.clips = stop, 0, 0

    def encode(self, waveforms: np.ndarray) -> np.ndarray:
        if self.batches == self.stop:
            raise KeyboardInterrupt
        self.batches += 1
        self.clips += len(waveforms)
        return super().encode(waveforms)


def make(path: Path, encoder: Counting) -> dict[str, Clips]:
    return build(Numbers(), encoder, SIZES, path, 1, lambda *_: None)


def contents(path: Path) -> dict[str, bytes]:
    return {split: (path / f"{split}.npy").read_bytes() for split in SPLITS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counting, dict[str, Clips]]:
    path, encoder = tmp_path_factory.mktemp("whole"), Counting()
    return path, encoder, make(path, encoder)


@pytest.mark.parametrize("stop", range(1, 14, 3))
def test_stopping_before_any_batch_changes_nothing_and_redoes_nothing(
    whole: tuple[Path, Counting, dict[str, Clips]], tmp_path: Path, stop: int
) -> None:
    path, uninterrupted, labels = whole
    first, second = Counting(stop), Counting()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, first)
    again = make(tmp_path, second)
    assert first.batches + second.batches == uninterrupted.batches
    assert contents(tmp_path) == contents(path)
    for split in SPLITS:
        for mine, its in zip(again[split].columns, labels[split].columns, strict=True):
            np.testing.assert_array_equal(mine, its)


def test_a_line_cut_short_costs_one_batch(
    whole: tuple[Path, Counting, dict[str, Clips]], tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    journal = tmp_path / SCRATCH / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-9])
    encoder = Counting()
    make(tmp_path, encoder)
    assert encoder.batches == 1
    make(tmp_path, encoder)
    assert encoder.batches == 1
    assert contents(tmp_path) == contents(whole[0])


@pytest.mark.parametrize("line", ["null", "7", "[" * 100_000, '[["a"], [true], 1]', '["a", {}, 1]'])
def test_a_line_of_something_else_counts_for_nothing(
    whole: tuple[Path, Counting, dict[str, Clips]], tmp_path: Path, line: str
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    journal = tmp_path / SCRATCH / JOURNAL
    journal.write_text(f"{line}\n{journal.read_text()}")
    encoder = Counting()
    make(tmp_path, encoder)
    assert encoder.batches == 0


def test_a_line_with_another_number_of_clips_costs_one_batch(
    whole: tuple[Path, Counting, dict[str, Clips]], tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    journal = tmp_path / SCRATCH / JOURNAL
    first, *rest = journal.read_text().splitlines()
    batch, audible, checksum = json.loads(first)
    journal.write_text("\n".join([json.dumps([batch, audible[1:], checksum]), *rest]))
    encoder = Counting()
    make(tmp_path, encoder)
    assert encoder.batches == 1
    assert contents(tmp_path) == contents(whole[0])


def test_latents_that_were_altered_since_are_made_again(
    whole: tuple[Path, Counting, dict[str, Clips]], tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    raw = tmp_path / SCRATCH / "train.npy"
    damaged = bytearray(raw.read_bytes())
    damaged[-5] ^= 255
    raw.write_bytes(damaged)
    encoder = Counting()
    make(tmp_path, encoder)
    assert encoder.batches == 1
    assert contents(tmp_path) == contents(whole[0])


@pytest.mark.parametrize("kept", [0, 100, 900])
def test_a_file_that_lost_its_end_is_made_again(
    whole: tuple[Path, Counting, dict[str, Clips]], tmp_path: Path, kept: int
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    raw = tmp_path / SCRATCH / "train.npy"
    raw.write_bytes(raw.read_bytes()[:kept])
    make(tmp_path, Counting())
    assert contents(tmp_path) == contents(whole[0])


KILLED = """
import sys
from sweeper.data.latents import prepare
from tests.sweeper.data.conftest import TINY

prepare(TINY, workers=1, progress=lambda done, *_: print(done, flush=True))
"""


def test_a_kill_in_the_midst_leaves_no_latents_and_the_next_try_the_right_ones(
    built: Path, cache_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, root = [sys.executable, "-c", KILLED], Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0  # a batch is done
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(FileNotFoundError):
        cache.read(fingerprint(TINY))
    rendered = 0

    def render(font: bytes, notes: Sequence[Note]) -> np.ndarray:
        nonlocal rendered
        rendered += len(notes)
        return real(font, notes)

    real = notes.render.render
    monkeypatch.setattr(notes.render, "render", render)
    latents = prepare(TINY, workers=1)
    assert rendered < 100  # which is all
    assert not list(cache_of_its_own.rglob(SCRATCH))
    original = built / "latents" / latents.fingerprint
    for split in SPLITS:
        mine, its = (folder / f"{split}.npy" for folder in (latents.path, original))
        assert mine.read_bytes() == its.read_bytes()
