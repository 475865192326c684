"""Our own small masked autoencoder, pre-trained on rendered notes; its weights are in the package.

`sweeper encoders pretrain` makes such weights. The network is mae_network.py; it sees the frames of
`logmel`, 64 ms of hop and 128 ms of window, each band standardised with the pre-training clips'
mean and deviation. Latents (8, 128): one vector for every half second.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from models.encoders.logmel import log_mel_frames
from models.encoders.mae_network import PatchEncoder, Shape, patchify, shape_from
from models.encoders.pretrained import Pretrained

FORMAT = "sweeper-mae 1"
SHIPPED = str(files("models.encoders") / "weights" / "mae.safetensors")


class MAE(Pretrained):
    """Latents (8, 128): means of the ViT's normalised outputs over each half second."""

    name = "mae"
    weights = SHIPPED
    licence = "MIT"
    download = ""  # it comes with the package
    published_shape = (8, 128)
    pool = "flatten"
    patterns = ("*.safetensors",)

    def load(self, path: Path) -> Normalised:
        """See `Pretrained`."""
        state, about = read(path)
        encoder = PatchEncoder(shape_from(about["shape"]))
        bands = encoder.shape.bands
        model = Normalised(encoder, torch.zeros(bands), torch.ones(bands))
        model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        return model

    def inputs(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Pretrained`."""
        return np.stack([log_mel_frames(waveform) for waveform in waveforms])

    def latents(self, model: Normalised, inputs: Tensor) -> Tensor:
        """See `Pretrained`."""
        latents: Tensor = model(inputs)
        return latents


class Normalised(nn.Module):
    """The encoder and the statistics (bands,) of the frames that it was trained on."""

    def __init__(self, encoder: PatchEncoder, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def normalise(self, frames: Tensor) -> Tensor:
        """(N, frames, bands) -> the same."""
        return (frames - self.mean) / self.deviation

    def forward(self, frames: Tensor) -> Tensor:
        """Log-mel frames (N, frames, bands) -> latents (N, T, D)."""
        out: Tensor = self.encoder(patchify(self.normalise(frames), self.encoder.shape))
        return out


def pack(state: Mapping[str, Tensor], shape: Shape, made: Mapping[str, Any]) -> bytes:
    """A file of weights: matrices in half precision; `made` says by what they were made (JSON)."""
    half = {name: tensor.half() if tensor.ndim == 2 else tensor for name, tensor in state.items()}
    about = json.dumps({"shape": dataclasses.asdict(shape), "made": made}, sort_keys=True)
    # One entry: safetensors writes several in any order, and equal weights should be equal files.
    return save({name: tensor.contiguous() for name, tensor in half.items()}, {FORMAT: about})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file, and its `shape` and what it was `made` by.

    Raises:
        ValueError: it is another model's.
        OSError, SafetensorError: it cannot be read.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if FORMAT not in metadata:
            raise ValueError(f"{path} holds no weights that `sweeper encoders pretrain` made")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, json.loads(metadata[FORMAT])
