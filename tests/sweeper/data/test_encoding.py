"""Clips are read by workers, ahead of the network, which runs on one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders.audiomae import AudioMAE
from sweeper.data.build import CHUNK
from sweeper.data.clips import SPLITS
from sweeper.data.latents import prepare
from sweeper.data.workers import _ahead, encoding
from sweeper.study.config import DataConfig
from tests.sweeper.data.nsynth import layout

from .test_build import Mean, Numbers

TOTAL = 130


class Where(Mean):
    """Latents that say which process ran the front end, and which the network."""

    def front(self, waveforms: np.ndarray) -> np.ndarray:
        return np.full((len(waveforms), 1), os.getpid(), np.float32)

    def network(self, inputs: np.ndarray) -> np.ndarray:
        return np.stack([inputs, np.full_like(inputs, os.getpid())], axis=1)


def test_the_front_end_runs_on_the_workers_and_the_network_here(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)  # the workers import this file
    clips = Numbers().candidates("train").take(np.arange(4))
    with encoding(Numbers(), Where(), workers=2) as run:
        latents = [latents for latents, _ in run([clips] * 5)]
    fronts, networks = np.concatenate(latents)[..., 0].T
    assert os.getpid() not in fronts
    assert set(networks) == {os.getpid()}


class Pool:
    """Counts what it was given; all is done at once."""

    def __init__(self) -> None:
        self.given = 0

    def submit(self, _function: object, clips: int) -> Future[int]:
        self.given += 1
        (future := Future[int]()).set_result(clips)
        return future


def test_reading_is_never_more_than_so_many_chunks_ahead_and_keeps_the_order() -> None:
    pool = Pool()
    for taken, clips in enumerate(_ahead(pool, 3, range(20))):  # type: ignore[arg-type]
        assert clips == taken
        assert pool.given == min(20, taken + 4)


def data(tmp_path: Path) -> tuple[DataConfig, Path]:
    """60 + 30 + 40 notes in NSynth's layout, and a small network in AudioMAE's."""
    from sweeper.bench.encoding import write_checkpoint

    for part, examples in (("train", layout.train()), ("test", layout.test())):
        layout.unpacked(tmp_path, part, examples, layout.audio(examples))
    checkpoint = write_checkpoint(tmp_path / "pretrained.pth", blocks=1)
    return DataConfig("nsynth", f"audiomae:{checkpoint}", 60, 30, 40), tmp_path


PREPARING = """
import sys
from pathlib import Path
from models.encoders.audiomae import AudioMAE
from sweeper.study.config import DataConfig
from sweeper.data.latents import prepare

network = AudioMAE.network

def announced(self, inputs):
    print("encoding", len(inputs), flush=True)
    return network(self, inputs)

AudioMAE.network = announced
if __name__ == "__main__":
    prepare(
        DataConfig("nsynth", f"audiomae:{sys.argv[1]}/pretrained.pth", 60, 30, 40),
        workers=int(sys.argv[2]),
        source=Path(sys.argv[1]),
        progress=lambda done, _, what: "listing" in what or print("done", done, flush=True),
    )
"""


@pytest.mark.faults
@pytest.mark.parametrize("line", [4, 5])  # a batch is done, the next is begun
def test_a_kill_costs_one_batch_of_encoding_at_most_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the process that is killed, as of this one
    torch.set_num_threads(1)
    config, root = data(tmp_path)
    (script := tmp_path / "preparing.py").write_text(PREPARING)
    begun = killed_at_line(line, [sys.executable, str(script), str(root), "2"])
    encoded = []
    network = AudioMAE.network
    monkeypatch.setattr(
        AudioMAE, "network", lambda self, i: encoded.append(len(i)) or network(self, i)
    )
    again = prepare(config, workers=1, source=root)
    assert begun + sum(encoded[1:]) <= TOTAL + CHUNK  # the first, of one clip, asks for the shape
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "whole"))
    whole = prepare(config, workers=2, source=root)
    for split in SPLITS:
        mine, its = (latents.path / f"{split}.npy" for latents in (again, whole))
        assert mine.read_bytes() == its.read_bytes()


def killed_at_line(line: int, command: list[str]) -> int:
    """Clips whose encoding had begun when the process was killed."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in range(line + 1)]
        os.kill(process.pid, signal.SIGKILL)
        said += [words.split() for words in process.stdout]
    assert process.returncode == -signal.SIGKILL
    whole = [words for words in said[1:] if len(words) == 2]  # the last may be cut
    return sum(int(count) for what, count in whole if what == "encoding")
