"""Log-mel energies: the frozen encoder that needs no weights."""

from __future__ import annotations

import functools
import hashlib

import numpy as np
from numpy.typing import NDArray

VERSION = 1
SAMPLE_RATE = 16_000
SAMPLES = 4 * SAMPLE_RATE
STRETCHES = 8  # T
BANDS = 128  # D
# 128 ms: the longest window that still tells the attack from what follows; at 64 ms the lowest
# octave of the piano is blurred.
WINDOW = 2_048
HOP = 1_000  # half a window: Welch's overlap for Hann
FLOOR = 1e-12  # of full scale: about the noise of 16-bit audio in one band


class LogMel:
    """Logarithm of mel-band power, averaged over 8 equal stretches of a clip of 4 seconds."""

    name = "logmel"
    licence = "MIT"  # this package's: there are no weights
    download = ""
    sample_rate = SAMPLE_RATE
    shape = (STRETCHES, BANDS)
    pool = "flatten"

    @property
    def fingerprint(self) -> str:
        """Digest of the version and of every setting."""
        settings = (VERSION, SAMPLE_RATE, SAMPLES, STRETCHES, BANDS, WINDOW, HOP, FLOOR)
        return hashlib.sha256(repr((self.name, *settings)).encode()).hexdigest()

    def encode(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Waveforms (N, 64000), full scale 1 -> natural logarithms (N, 8, 128)."""
        if waveforms.ndim != 2 or waveforms.shape[1] != SAMPLES:
            raise ValueError(f"logmel takes waveforms (N, {SAMPLES}), not {waveforms.shape}")
        latents = np.empty((len(waveforms), *self.shape), np.float32)
        for waveform, out in zip(waveforms, latents, strict=True):
            # The mean over frames commutes with the mel sum, and is cheaper before it.
            power = _power(waveform).reshape(STRETCHES, -1, WINDOW // 2 + 1).mean(1)
            out[:] = np.log(_mel(power) + FLOOR)
        return latents


def log_mel_frames(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Waveform (64000,), full scale 1 -> natural logarithms (SAMPLES / HOP, BANDS), unaveraged."""
    frames: NDArray[np.float32] = np.log(_mel(_power(waveform)) + FLOOR)
    return frames


def _mel(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spectra (T, WINDOW / 2 + 1) -> sums (T, BANDS) under the filters.

    Over their few non-zero weights: less work than a matrix product, and its last bit does not
    depend on how many threads BLAS has.
    """
    bins, weights, starts = _sparse_filters()
    sums: NDArray[np.float32] = np.add.reduceat(power[:, bins] * weights, starts, axis=1)
    return sums


@functools.cache
def _sparse_filters() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Bins and weights, band after band, and where each band starts."""
    filters = mel_filters().T
    bands, bins = np.nonzero(filters)
    return bins, filters[bands, bins], np.searchsorted(bands, np.arange(BANDS))


def _power(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spectrogram (SAMPLES / HOP, WINDOW / 2 + 1); a sine of full scale has a peak of 1/4."""
    before = (WINDOW - HOP) // 2  # centres every frame on its hop
    padded = np.pad(waveform, (before, WINDOW - HOP - before))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = np.fft.rfft(frames * _window()).astype(np.complex64, copy=False)
    return spectrum.real**2 + spectrum.imag**2


@functools.cache
def _window() -> NDArray[np.float32]:
    """Periodic Hann window of sum 1."""
    hann: NDArray[np.float32] = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    return hann / np.float32(hann.sum())


@functools.cache
def mel_filters() -> NDArray[np.float32]:
    """Triangular filters (WINDOW / 2 + 1, BANDS), peak 1, on Slaney's mel scale, 0 to 8 kHz."""
    from transformers.audio_utils import mel_filter_bank  # 0.4 s, of a process that encodes

    bank = mel_filter_bank(
        WINDOW // 2 + 1, BANDS, 0, SAMPLE_RATE / 2, SAMPLE_RATE, mel_scale="slaney"
    )
    filters: NDArray[np.float32] = bank.astype(np.float32)
    return filters
