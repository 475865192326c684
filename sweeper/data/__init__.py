"""Clips, frozen-encoder latents and their cache.

To add a dataset: a class with the members of `clips.Dataset`, and its line in DATASETS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.names import unknown
from sweeper.data.clips import Dataset
from sweeper.data.folder.dataset import Folder
from sweeper.data.notes.dataset import Notes
from sweeper.data.nsynth.dataset import NSynth
from sweeper.errors import SweeperError
from sweeper.plugins import find
from sweeper.study.config import DataConfig

DATASETS: dict[str, Callable[[DataConfig, Path | None], Dataset]] = {
    "notes": Notes,
    "nsynth": NSynth,
    "folder": Folder,
}


def make_dataset(data: DataConfig, source: Path | None = None) -> Dataset:
    """The dataset that `data` names.

    Raises:
        SweeperError: there is none of that name.
    """
    find("datasets", data.dataset, DATASETS)
    if data.dataset not in DATASETS:
        raise SweeperError(unknown("dataset", data.dataset, DATASETS))
    return DATASETS[data.dataset](data, source)
