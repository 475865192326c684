"""A study of toy size: random latents in the cache under their real key, and grids over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sweeper.data import cache
from sweeper.data.clips import COLUMNS, FAMILIES, Clips
from sweeper.data.latents import fingerprint
from sweeper.data.splits import divide  # noqa: F401  (loaded before processes fork)
from sweeper.study.config import DataConfig

CLIPS = {"train": 40, "valid": 36, "downstream": 60}
T, D = 1, 8

GRID = """
principles = ["Cosine"]
objectives = ["SEP", "SIM"]
lambdas = [0.0, 0.6, 1.0]
baselines = ["encoder"]
[data]
train_clips = 40
valid_clips = 36
downstream_clips = 60
[training]
epochs = {epochs}
[probe]
epochs = 1
"""


def grid_file(directory: Path, epochs: int = 4, text: str = GRID) -> Path:
    """A grid of six runs (and its baseline's) over toy data."""
    path = directory / "toy.toml"
    path.write_text(text.format(epochs=epochs))
    return path


def make_latents() -> None:
    """Puts random latents where `prepare` looks for those of the toy grid."""
    data = DataConfig(train_clips=40, valid_clips=36, downstream_clips=60)
    key = fingerprint(data)
    if cache.directory(key).exists():
        return
    rng = np.random.default_rng(0)
    with cache.writing(key, 0) as path:
        for split, clips in CLIPS.items():
            np.save(path / f"{split}.npy", rng.normal(size=(clips, T, D)).astype(np.float32))
        labels = {split: _labels(clips) for split, clips in CLIPS.items()}
        cache.write_labels(path, labels, np.arange(CLIPS["downstream"]) % 3)
        cache.write_meta(path, {"fingerprint": key, "shape": [T, D], "pool": "flatten"})


def _labels(clips: int) -> Clips:
    """Families and pitches such that every clip has partners of either kind."""
    number = np.arange(clips)
    columns = {
        "family": number % 4 % len(FAMILIES),
        "pitch": number // 4 % 5,
        "velocity": 25 * (1 + number // 3 % 3),
    }
    return Clips(*(columns.get(name, np.zeros(clips, np.int64)) for name in COLUMNS))
