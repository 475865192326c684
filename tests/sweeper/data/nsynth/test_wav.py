"""The wav reader on files of every kind: samples, or the one error that leaves a note out."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sweeper.data.nsynth import wav
from tests.sweeper.data.nsynth import layout

NOTE = layout.tone(60, 0)
HEADER = 44
# What breaks readers: nothing, the largest, the signs, and a chunk that ends outside the file.
SIZES = (0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def outcome(raw: bytes) -> str:
    """Raises whatever else but ValueError the reader raises."""
    try:
        samples = wav.samples(raw)
    except ValueError as error:
        assert "\n" not in str(error) and str(error)
        return "refused"
    assert samples.shape == (64_000,) and samples.dtype == np.int16
    return "read"


def test_a_note_is_read_to_the_bit() -> None:
    np.testing.assert_array_equal(wav.samples(NOTE), np.frombuffer(NOTE[HEADER:], "<i2"))


def test_every_one_of_thousands_of_damaged_headers_is_read_or_refused() -> None:
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(8_000):
        raw = bytearray(NOTE)
        for at in rng.integers(0, HEADER, rng.integers(1, 5)):
            raw[at] = rng.integers(256)
        if rng.random() < 0.3:
            at = int(rng.integers(0, HEADER - 4))
            raw[at : at + 4] = struct.pack("<I", SIZES[rng.integers(len(SIZES))])
        length = len(raw) if rng.random() < 0.6 else int(rng.integers(0, 2 * HEADER))
        outcomes.add(outcome(bytes(raw[:length])))
    assert outcomes == {"read", "refused"}


def test_chunks_of_every_size_before_the_samples_are_read_or_refused() -> None:
    rng = np.random.default_rng(1)
    for _ in range(2_000):
        name, size = rng.bytes(4), SIZES[rng.integers(len(SIZES))]
        chunk = name + struct.pack("<I", size) + rng.bytes(int(rng.integers(0, 20)))
        at = (12, 36)[rng.integers(2)]  # before the format, and before the samples
        outcome(NOTE[:at] + chunk + NOTE[at:])


@pytest.mark.parametrize("size", [wav.FILE_BYTES, wav.MOST_BYTES])
def test_a_file_of_a_size_that_a_note_may_have_is_read(size: int) -> None:
    wav.check_size(size)


def test_a_larger_one_is_not() -> None:
    with pytest.raises(ValueError, match="3000000000 bytes instead of 128044"):
        wav.check_size(3_000_000_000)
