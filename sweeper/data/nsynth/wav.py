"""NSynth's form of audio: mono 16-bit wav, 16 kHz, 4 seconds."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
SAMPLES = 4 * SAMPLE_RATE
FILE_BYTES = 44 + 2 * SAMPLES  # of a file with nothing but the header and the samples
MOST_BYTES = 64 << 20  # of what is read at all: such a file is no note, however it is packed

# What `wave` raises where a header lies; of its chunks' sizes, RuntimeError.
MALFORMED = (wave.Error, EOFError, RuntimeError, struct.error, OverflowError, ZeroDivisionError)


def samples(raw: bytes) -> NDArray[np.int16]:
    """The samples (64000,) of a wav file.

    Raises:
        ValueError: it is no such file; the message says what it is instead.
    """
    if not raw:
        raise ValueError("empty")
    try:
        with wave.open(io.BytesIO(raw)) as file:
            _check(file)
            frames = file.readframes(SAMPLES)
    except MALFORMED as error:
        raise ValueError(f"no PCM wav file ({str(error) or 'cut short'})") from error
    if len(frames) < 2 * SAMPLES:
        raise ValueError(f"cut short: {len(frames) // 2} of {SAMPLES} samples")
    return np.frombuffer(frames, "<i2")


def check_size(size: int) -> None:
    """ValueError where a file is too large to be a note; asked for before it is read."""
    if size > MOST_BYTES:
        raise ValueError(f"{size} bytes instead of {FILE_BYTES}")


def _check(file: wave.Wave_read) -> None:
    form = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth(), file.getnframes())
    if form != (SAMPLE_RATE, 1, 16, SAMPLES):
        rate, channels, bits, length = form
        raise ValueError(
            f"{rate} Hz, {channels} channels, {bits} bits, {length} samples "
            f"instead of {SAMPLE_RATE} Hz, 1, 16, {SAMPLES}"
        )
