"""AudioLDM's mel autoencoder (Liu et al., 2023), through `diffusers`: an extra.

Its front end is that of haoheliu/AudioLDM, audioldm/audio/{tools,stft}.py: the clip is centred and
scaled to a peak of 0.5, magnitudes (not powers) go through Slaney's mel filters, then a logarithm.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoders import hub
from models.encoders.pretrained import SAMPLE_RATE, SAMPLES, Pretrained, averaged

HOP, WINDOW, BANDS = 160, 1_024, 64
FRAMES = SAMPLES // HOP  # what the centred transform has beyond is cut
FLOOR = 1e-5
PEAK = 0.5
SUBFOLDER = "vae"


class AudioLDM(Pretrained):
    """Means of the posterior, scaled; frames of 40 ms averaged to (25, 128)."""

    name = "audioldm"
    weights = "cvssp/audioldm"
    licence = "CC BY-NC-SA 4.0"
    download = "222 MB"
    requires = ("diffusers",)
    published_shape = (25, 128)

    def __init__(self, weights: str | None = None) -> None:
        """See `Pretrained`. ValueError: diffusers is missing."""
        if importlib.util.find_spec("diffusers") is None:
            raise ValueError("audioldm needs diffusers; pip install 'sweeper[audioldm]'")
        super().__init__(weights)

    @functools.cached_property
    def path(self) -> Path:
        """The autoencoder's directory, in all of AudioLDM or by itself."""
        path = Path(self.weights).expanduser()
        if not path.exists():  # of the hub's files the autoencoder's alone
            path = hub.fetch(self.weights, [f"{SUBFOLDER}/{own}" for own in self.patterns])
        inner = path / SUBFOLDER
        return inner if inner.is_dir() else path

    def load(self, path: Path) -> Any:
        """See `Pretrained`."""
        return load_autoencoder(path)

    def inputs(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Pretrained`."""
        return np.stack([log_mel(waveform) for waveform in waveforms])

    def latents(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """See `Pretrained`. Features of a token: channel by channel, its 16 bands."""
        mean = model.encode(inputs[:, None]).latent_dist.mean  # (N, 8, T / 4, 16)
        frames = mean.float() * model.config.scaling_factor
        return averaged(frames.transpose(2, 3).flatten(1, 2))


def load_autoencoder(path: Path) -> Any:
    """The autoencoder of a directory.

    Raises:
        ValueError: it holds another model, or lacks some weights.
    """
    from diffusers import AutoencoderKL

    config = AutoencoderKL.load_config(path, local_files_only=True)
    if config.get("_class_name") != "AutoencoderKL" or config.get("in_channels") != 1:
        raise ValueError(f"{path} holds no autoencoder of mel spectrograms")
    try:
        model, info = AutoencoderKL.from_pretrained(
            path, local_files_only=True, output_loading_info=True, low_cpu_mem_usage=False
        )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{path} holds no weights for audioldm: {reason}") from error
    if missing := info["missing_keys"]:
        raise ValueError(f"{path} lacks {min(missing)} ({len(missing)} such)")
    return model


def log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Waveform (64000,) -> natural logarithms (FRAMES, BANDS)."""
    centred = waveform - waveform.mean()
    scaled = PEAK * centred / (np.abs(centred).max() + 1e-8)
    padded = np.pad(scaled, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:FRAMES]
    window, filters = _basis()
    magnitudes = np.abs(np.fft.rfft(frames * window))
    mel: NDArray[np.float32] = np.log(np.maximum(magnitudes @ filters, FLOOR)).astype(np.float32)
    return mel


@functools.cache
def _basis() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Periodic Hann window (WINDOW,); filters (WINDOW / 2 + 1, BANDS) of equal area."""
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(
        WINDOW // 2 + 1, BANDS, 0, SAMPLE_RATE / 2, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    return np.hanning(WINDOW + 1)[:-1], filters
