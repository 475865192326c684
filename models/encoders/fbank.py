"""Kaldi's filter bank, as torchaudio computes it and AudioMAE and AST were trained on it.

Povey et al., 2011; torchaudio.compliance.kaldi.fbank with a Hann window, 128 bands, no dither and
no energy. AudioMAE adds one step: the mean of the whole waveform is taken off first.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
FRAME, HOP, FFT = 400, 160, 512
BANDS = 128
LOWEST = 20.0  # Hz
PREEMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)

Floats = NDArray[np.float64]


def fbank(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Waveform (samples,), full scale 1 -> natural logarithms (frames, 128).

    In double precision: next to a loud tone, single precision moves the quiet bands by 1e-2.
    """
    centred = waveform.astype(np.float64) - waveform.mean(dtype=np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(centred, FRAME)[::HOP]
    frames = frames - frames.mean(1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft((frames - PREEMPHASIS * before) * np.hanning(FRAME), FFT)
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(np.maximum(power @ _filters(), FLOOR)).astype(np.float32)


@functools.cache
def _filters() -> Floats:
    """(FFT / 2 + 1, BANDS): triangles of peak 1 on the mel scale, 20 Hz to 8 kHz."""
    edges = np.linspace(_mel(np.array(LOWEST)), _mel(np.array(SAMPLE_RATE / 2)), BANDS + 2)
    bins = _mel(np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def _mel(hertz: Floats) -> Floats:
    return 1127 * np.log1p(hertz / 700)
