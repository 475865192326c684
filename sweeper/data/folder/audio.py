"""An audio file of any form as the encoders take it: mono, 16 kHz, 4 seconds.

libsndfile and soxr are loaded when a file is read: nothing else needs them.
"""

from __future__ import annotations

import importlib.metadata
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError

SAMPLE_RATE = 16_000
SECONDS = 4
SAMPLES = SECONDS * SAMPLE_RATE
SPARE = 0.1  # seconds read beyond the cut, so that the resampler's filter meets no edge there


def readers() -> list[str]:
    """What decides the samples that a file comes to."""
    import soundfile

    return [
        f"libsndfile {soundfile.__libsndfile_version__}",
        f"soxr {importlib.metadata.version('soxr')}",
    ]


def check(path: Path) -> None:
    """SweeperError for what is no audio, as far as a look at its head tells."""
    import soundfile

    if not path.is_file():
        raise SweeperError(f"there is no file {path}; mend labels.csv")
    try:
        soundfile.info(path)
    except (soundfile.SoundFileError, TypeError, OSError) as error:  # TypeError: raw samples
        raise _unreadable(path) from error


def read(path: Path) -> NDArray[np.float32]:
    """(SAMPLES,) the mean of the channels from the beginning on, silence after the end.

    Raises:
        SweeperError: it is no audio, or damaged.
    """
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            frames = file.read(math.ceil((SECONDS + SPARE) * rate), "float32", always_2d=True)
        mono = frames.mean(axis=1)
        if rate != SAMPLE_RATE and len(mono):
            mono = soxr.resample(mono, rate, SAMPLE_RATE)
    except (soundfile.SoundFileError, TypeError, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path) from error
    if not np.isfinite(mono).all():
        raise SweeperError(f"{path} holds samples that are no numbers; save it anew")
    waveform = np.zeros(SAMPLES, np.float32)
    waveform[: len(mono)] = mono[:SAMPLES]
    return waveform


def _unreadable(path: Path) -> SweeperError:
    return SweeperError(
        f"{path} is no audio that can be read, or damaged; "
        f"save it as wav, flac, ogg or mp3, or take its line out of labels.csv"
    )
