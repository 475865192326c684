"""Notes in NSynth's layout, from archives to figures, through real Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeper.data.nsynth import layout

pytestmark = pytest.mark.cluster

# A principle of the user's own, whose code must reach the workers.
PLUGIN = """
from models.objectives import PRINCIPLES, Principle

PRINCIPLES["Own"] = Principle(
    sim=PRINCIPLES["Cosine"].sim, sep=lambda z1, z2, loss: (z1 * z2).mean((-2, -1)).square()
)
"""
GRID = """
plugins = ["own.py"]
principles = ["Own", "VICReg"]
objectives = ["SEP", "SIM+SEP"]
lambdas = [0.0, 0.6, 1.0]
baselines = ["encoder", "cl-pitch", "cl-instrument"]
[data]
train_clips = 60
valid_clips = 30
downstream_clips = 40
"""
WRITERS = {"wav": layout.unpacked, "archive": layout.packed}


def sweeper(place: Path, *arguments: str) -> None:
    """The command as a user types it, with a cache of its own."""
    own = {"SWEEPER_CACHE": str(place / "cache"), "RAY_ADDRESS": "local"}
    command = [sys.executable, "-m", "sweeper.cli", *arguments]
    done = subprocess.run(
        command, cwd=place, env={**os.environ, **own}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def studied(place: Path, write: str) -> tuple[pd.DataFrame, set[str]]:
    """The sweep's results without what names the files, and what `sweeper report` leaves."""
    for part, examples in (("train", layout.train()), ("test", layout.test())):
        WRITERS[write](place / "notes", part, examples, layout.audio(examples))
    (place / "grid.toml").write_text(GRID)
    (place / "own.py").write_text(PLUGIN)
    source = ("--dataset", "nsynth", "--data-root", "notes", "--db", "own.db", "--device", "cpu")
    sweeper(place, "launch", "--grid", "grid.toml", "--preset", "smoke", *source)
    sweeper(place, "export", "--db", "own.db", "--out", "cells.csv")
    sweeper(place, "report", "--db", "own.db", "--format", "png")
    cells = pd.read_csv(place / "cells.csv").drop(columns=["run_key", "latents"])
    return cells, {path.name for path in (place / "report").iterdir()}


def test_wav_files_and_packed_archives_come_to_the_same_numbers_and_figures(tmp_path: Path) -> None:
    found = []
    for write in WRITERS:
        (place := tmp_path / write).mkdir()
        found.append(studied(place, write))
    (of_wavs, files), (of_archives, others) = found
    pd.testing.assert_frame_equal(of_wavs, of_archives, check_exact=True)
    assert set(of_wavs["state"]) == {"finished"}
    assert {"figure-2.png", "figure-3.png", "figure-4.png", "table-1.csv"} <= files == others
