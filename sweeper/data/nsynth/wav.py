"""NSynth's form of audio: mono 16-bit wav, 16 kHz, 4 seconds."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
SAMPLES = 4 * SAMPLE_RATE
FILE_BYTES = 44 + 2 * SAMPLES  # of a file with nothing but the header and the samples


def samples(raw: bytes) -> NDArray[np.int16]:
    """The samples (64000,) of a wav file.

    Raises:
        ValueError: it is no such file; the message says what it is instead.
    """
    with _open(raw) as file:
        _check(file)
        frames = file.readframes(SAMPLES)
    if len(frames) < 2 * SAMPLES:
        raise ValueError(f"cut short: {len(frames) // 2} of {SAMPLES} samples")
    return np.frombuffer(frames, "<i2")


def _open(raw: bytes) -> wave.Wave_read:
    if not raw:
        raise ValueError("empty")
    try:
        return wave.Wave_read(io.BytesIO(raw))
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no PCM wav file ({error or 'cut short'})") from error


def _check(file: wave.Wave_read) -> None:
    found = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth(), file.getnframes())
    if found != (SAMPLE_RATE, 1, 16, SAMPLES):
        rate, channels, bits, length = found
        raise ValueError(
            f"{rate} Hz, {channels} channels, {bits} bits, {length} samples "
            f"instead of {SAMPLE_RATE} Hz, 1, 16, {SAMPLES}"
        )
