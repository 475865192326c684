"""Packed predictions: back as they were, and small."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.predictions import pack, stored, unpack

CLASS = st.integers(0, 300)


@given(st.lists(st.tuples(CLASS, CLASS), max_size=50))
def test_what_was_said_comes_back(pairs: list[tuple[int, int]]) -> None:
    said, labels = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    assert unpack(stored(pack(said, labels)), labels).tolist() == said.tolist()


def test_classes_as_older_databases_hold_them_are_read() -> None:
    old = zlib.compress(np.array([1, 2, 300], "<u2").tobytes(), 9)
    assert unpack(old, [7, 7, 7]).tolist() == [1, 2, 300]


def test_seven_in_ten_right_of_88_classes_take_less_than_their_bytes() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 88, 1_752)
    said = np.where(random.random(1_752) < 0.7, labels, random.integers(0, 88, 1_752))
    assert len(stored(pack(said, labels))) < 0.6 * 1_752


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x07abc", b"\x01abc", b"x\x9cabc"])
def test_bytes_that_are_no_predictions_are_told(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="no packed predictions"):
        unpack(damaged, [1, 2])


def test_predictions_of_other_clips_are_told() -> None:
    with pytest.raises(ValueError, match="of 2 clips, and there are 3"):
        unpack(stored(pack([1, 2], [1, 2])), [1, 2, 3])
