"""The weights that a run leaves: found again to the bit, or refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from sweeper.storage.files import Storage
from sweeper.storage.weights import (
    BadWeightsError,
    RunWeights,
    find_weights,
    kept,
    leave_weights,
    remove_weights,
)
from sweeper.study.grid import Cell, run_config
from sweeper.study.presets import PRESETS

RUN = run_config(Cell("multiview", 0, "Cosine", "SEP", 0.6), PRESETS["smoke"])
LAYERS = {
    "encoder1.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "encoder1.bias": np.full(2, -0.0, np.float32),
}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path))
    leave_weights(storage, "pack 1", RunWeights(RUN, "mean", LAYERS))
    return storage


def path(storage: Storage) -> Path:
    return Path(storage.root, "weights", f"{RUN.key}.safetensors")


def test_what_was_left_is_found_and_any_reader_of_safetensors_reads_it(storage: Storage) -> None:
    found = find_weights(storage, RUN.key)
    assert found is not None
    pack, weights = found
    assert (pack, weights.run, weights.pool) == ("pack 1", RUN, "mean")
    assert {name: layer.tobytes() for name, layer in weights.layers.items()} == {
        name: layer.tobytes() for name, layer in LAYERS.items()
    }
    with safe_open(path(storage), "numpy") as file:
        assert set(file.keys()) == set(LAYERS)
    assert kept(storage) == {RUN.key: path(storage).stat().st_size}
    remove_weights(storage, RUN.key)
    assert find_weights(storage, RUN.key) is None and not kept(storage)


def test_another_runs_weights_are_refused(storage: Storage) -> None:
    path(storage).rename(path(storage).with_name(f"{'0' * 64}.safetensors"))
    with pytest.raises(BadWeightsError, match="of another run"):
        find_weights(storage, "0" * 64)


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: struct.pack("<Q", 2) + b"{}",  # whole, and holds nothing of ours
        flipped(-1),
        flipped(0),
        flipped(200),
    ],
)
def test_what_was_cut_short_or_altered_is_refused(
    storage: Storage, damage: Callable[[bytes], bytes]
) -> None:
    path(storage).write_bytes(damage(path(storage).read_bytes()))
    with pytest.raises(BadWeightsError):
        find_weights(storage, RUN.key)
