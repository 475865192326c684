"""AudioMAE (Huang et al., 2022): a ViT over 16 × 16 patches of a filter bank, from AudioSet.

Loads the published `pretrained.pth`, or the port to timm's layout (`pytorch_model.bin`). The
weights are CC BY-NC 4.0. Size and depth are read off the checkpoint: ViT-B has D = 768 and 12
blocks.

The network takes 1024 frames and a clip of 4 s has 398: it is padded as in pre-training, with zeros
before the normalisation, and the tokens that hold padding alone are dropped afterwards. Token
8t + f is patch f of the 8 in frequency; they are averaged, so that T is time (25 tokens of 160 ms).
The position embedding is stored on another grid than the tokens': never resize it.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoders.fbank import BANDS, fbank
from models.encoders.pretrained import TOKENS, Pretrained

FRAMES, PATCH = 1_024, 16
ACROSS = BANDS // PATCH  # patches in frequency
POSITIONS = FRAMES // PATCH * ACROSS + 1  # with the class token
MEAN, DEVIATION = -4.2677393, 4.5689974  # of AudioSet; divided by twice the deviation
HEAD = 64  # features of an attention head
EPSILON = 1e-6
FILES = ("pytorch_model.bin", "pretrained.pth", "model.safetensors")
UNUSED = ("decoder_", "mask_token", "head.", "fc_norm.")


class AudioMAE(Pretrained):
    """Latents (25, 768) of AudioMAE's encoder, after its last LayerNorm."""

    name = "audiomae"
    weights = "gaunernst/vit_base_patch16_1024_128.audiomae_as2m"
    licence = "CC BY-NC 4.0"  # the repository's LICENSE; its README and the port's card lack NC
    download = "343 MB"
    published_shape = (TOKENS, 768)
    patterns = FILES

    def load(self, path: Path) -> ViT:
        """See `Pretrained`."""
        if path.is_dir():
            present = [path / name for name in FILES if (path / name).is_file()]
            if not present:
                raise ValueError(f"{path} holds none of {', '.join(FILES)}")
            path = present[0]
        state = {k: v for k, v in read_checkpoint(path).items() if not k.startswith(UNUSED)}
        return build(state, path)

    def inputs(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Pretrained`."""
        return np.stack([fbank(waveform)[:FRAMES] for waveform in waveforms])

    def latents(self, model: ViT, inputs: Tensor) -> Tensor:
        """See `Pretrained`."""
        tokens: Tensor = model(normalised(inputs))[:, 1 : 1 + TOKENS * ACROSS]  # (N, 200, D)
        return tokens.reshape(len(tokens), TOKENS, ACROSS, -1).mean(2)


def normalised(banks: Tensor) -> Tensor:
    """Filter banks (N, frames, BANDS) -> (N, FRAMES, BANDS): padded, then normalised."""
    padded = F.pad(banks, (0, 0, 0, FRAMES - banks.shape[1]))
    return (padded - MEAN) / (2 * DEVIATION)


class Block(nn.Module):
    """A transformer block, LayerNorm first; parameters named as in timm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)}
        )
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(N, tokens, D) -> the same."""
        x = x + self._attention(self.norm1(x))
        out: Tensor = self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))
        return x + out

    def _attention(self, x: Tensor) -> Tensor:
        heads = self.attn["qkv"](x).unflatten(2, (3, -1, HEAD))  # (N, tokens, 3, heads, HEAD)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.attn["proj"](mixed.transpose(1, 2).flatten(2))
        return out


class ViT(nn.Module):
    """AudioMAE's encoder; parameters named as in timm."""

    def __init__(self, width: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, POSITIONS, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, PATCH, PATCH)})
        self.blocks = nn.Sequential(*(Block(width, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, banks: Tensor) -> Tensor:
        """(N, FRAMES, BANDS) -> (N, POSITIONS, D)."""
        patches = self.patch_embed["proj"](banks[:, None]).flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(banks), -1, -1)
        x = torch.cat([first, patches], dim=1) + self.pos_embed
        out: Tensor = self.norm(self.blocks(x))
        return out


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Raises:
        ValueError: the file is none, or is cut short.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):  # of its training
            document = torch.load(path, map_location="cpu", weights_only=True)
        return dict(document.get("model", document))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, AttributeError) as error:
        raise ValueError(f"{path} is no checkpoint, or is cut short; download it again") from error


def build(state: dict[str, Tensor], path: Path) -> ViT:
    """The encoder that these tensors belong to.

    Raises:
        ValueError: they are another model's.
    """
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    try:
        width = state["pos_embed"].shape[-1]
        hidden = state["blocks.0.mlp.fc1.weight"].shape[0]
        with torch.device("meta"):
            model = ViT(width, hidden, depth)
        _check(state, model)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not AudioMAE's pre-trained checkpoint: {_plainly(error)}"
        ) from error
    model.load_state_dict(state, assign=True)
    return model.float()


def _check(state: dict[str, Tensor], model: ViT) -> None:
    expected = model.state_dict()
    if model.norm.weight.shape[0] % HEAD:
        raise ValueError(f"its width is no multiple of {HEAD}")
    for what, names in (
        ("lacks", expected.keys() - state.keys()),
        ("has an unknown", state.keys() - expected.keys()),
    ):
        if names:
            raise ValueError(f"it {what} {min(names)} ({len(names)} such)")
    for name, tensor in expected.items():
        if tensor.shape != state[name].shape:
            raise ValueError(f"{name} is {tuple(state[name].shape)}, not {tuple(tensor.shape)}")


def _plainly(error: KeyError | ValueError) -> str:
    return f"it lacks {error.args[0]}" if isinstance(error, KeyError) else str(error)
