"""A compact masked autoencoder of log-mel frames, in AudioMAE's design.

He et al., 2022; Huang et al., 2022 (AudioMAE). Letters: N clips, P patches, T stretches of time,
D width. A clip's frames are cut into patches; most are hidden; a ViT (blocks of `transformers`)
sees the others, and a light decoder tells what the hidden ones hold. The latents of a stretch are
the mean of the ViT's outputs for its patches, none hidden.

Two things are not as in AudioMAE. A patch spans all bands: with square ones, whose mean over
frequency has to tell where each of them was, as short a training finds hardly any pitch. And its
values are not normalised once more, so that a note's level is part of the task.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-6
TEMPERATURE = 10_000.0  # of the sine positions, as in AudioMAE


@dataclass(frozen=True)
class Shape:
    """Everything that decides the network but its weights."""

    frames: int = 64
    bands: int = 128
    patch_frames: int = 2
    patch_bands: int = 128
    stretches: int = 8  # T
    width: int = 128  # D
    depth: int = 4
    heads: int = 4
    decoder_width: int = 96
    decoder_depth: int = 1
    decoder_heads: int = 3
    hidden_share: float = 0.75  # of the patches

    @property
    def grid(self) -> tuple[int, int]:
        """Patches in time and in frequency."""
        return self.frames // self.patch_frames, self.bands // self.patch_bands

    @property
    def patches(self) -> int:
        """P"""
        return self.grid[0] * self.grid[1]

    @property
    def values(self) -> int:
        """Of a patch."""
        return self.patch_frames * self.patch_bands

    @property
    def visible(self) -> int:
        """Patches that the ViT sees in training."""
        return max(1, round(self.patches * (1 - self.hidden_share)))

    def check(self) -> None:
        """ValueError when there can be no such network."""
        if self.frames % self.patch_frames or self.bands % self.patch_bands:
            raise ValueError(f"patches do not tile {self.frames} × {self.bands} values")
        if self.grid[0] % self.stretches:
            raise ValueError(
                f"{self.stretches} stretches are no division of {self.grid[0]} patches"
            )
        for width, heads in ((self.width, self.heads), (self.decoder_width, self.decoder_heads)):
            if width % 4 or width % heads:
                raise ValueError(f"width {width} is no multiple of 4 and of its {heads} heads")
        if not 0 < self.hidden_share < 1:
            raise ValueError(f"the share of hidden patches is {self.hidden_share}, not in (0, 1)")


class PatchEncoder(nn.Module):
    """The ViT: patches in, latents out. The part that is kept."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        shape.check()
        self.shape = shape
        self.embed = nn.Linear(shape.values, shape.width)
        self.positions: Tensor
        self.register_buffer("positions", positions(*shape.grid, shape.width), persistent=False)
        self.blocks = blocks(shape.width, shape.heads, shape.depth)
        self.norm = nn.LayerNorm(shape.width, eps=EPSILON)

    def tokens(self, patches: Tensor, kept: Tensor | None = None) -> Tensor:
        """Patches (N, P, values), and which of them are seen (N, visible); -> (N, visible, D)."""
        x = self.embed(patches) + self.positions
        out: Tensor = self.norm(self.blocks(x if kept is None else pick(x, kept)))
        return out

    def forward(self, patches: Tensor) -> Tensor:
        """Patches (N, P, values) -> latents (N, T, D)."""
        tokens = self.tokens(patches)
        return tokens.reshape(len(tokens), self.shape.stretches, -1, self.shape.width).mean(2)


class MaskedAutoencoder(nn.Module):
    """The encoder and the decoder that it is trained with."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = PatchEncoder(shape)
        width = shape.decoder_width
        self.narrow = nn.Linear(shape.width, width)
        self.hidden = nn.Parameter(torch.empty(1, 1, width))
        self.positions: Tensor
        self.register_buffer("positions", positions(*shape.grid, width), persistent=False)
        self.blocks = blocks(width, shape.decoder_heads, shape.decoder_depth)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.predict = nn.Linear(width, shape.values)
        self.apply(_initialise)
        nn.init.normal_(self.hidden, std=0.02)

    def forward(self, frames: Tensor, order: Tensor) -> Tensor:
        """Mean squared error of the hidden patches.

        Frames (N, frames, bands); `order` (N, P): for each clip its patches in some order, of
        which the first are seen.
        """
        shape = self.encoder.shape
        patches = patchify(frames, shape)
        kept, hidden = order[:, : shape.visible], order[:, shape.visible :]
        predicted = self.decode(self.encoder.tokens(patches, kept), kept, hidden)
        return F.mse_loss(predicted.float(), pick(patches, hidden))

    def decode(self, tokens: Tensor, kept: Tensor, hidden: Tensor) -> Tensor:
        """Tokens (N, visible, D) of the patches `kept` -> those `hidden` (N, hidden, values)."""
        seen = self.narrow(tokens) + self.positions[0][kept]
        unseen = self.hidden + self.positions[0][hidden]
        x = self.norm(self.blocks(torch.cat((seen, unseen), dim=1))[:, seen.shape[1] :])
        out: Tensor = self.predict(x)
        return out


def pick(x: Tensor, which: Tensor) -> Tensor:
    """Of x (N, P, …) the rows `which` (N, n) of each clip: (N, n, …)."""
    return x.gather(1, which[..., None].expand(-1, -1, x.shape[-1]))


def blocks(width: int, heads: int, depth: int) -> nn.Sequential:
    """That many transformer layers, LayerNorm first."""
    from transformers import ViTMAEConfig
    from transformers.models.vit_mae.modeling_vit_mae import ViTMAELayer

    config = ViTMAEConfig(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        layer_norm_eps=EPSILON,
        attn_implementation="sdpa",
    )
    return nn.Sequential(*(ViTMAELayer(config) for _ in range(depth)))


def positions(rows: int, columns: int, width: int) -> Tensor:
    """Fixed sines and cosines (1, rows · columns, width): half for the row, half for the column."""
    omega = TEMPERATURE ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.flatten()[:, None] * omega for place in (row, column)]
    waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
    return torch.cat(waves, dim=1)[None].float()


def patchify(frames: Tensor, shape: Shape) -> Tensor:
    """(N, frames, bands) -> (N, P, values); patch t · across + f is row t, column f of the grid."""
    stretches, across = shape.grid
    cut = frames.view(len(frames), stretches, shape.patch_frames, across, shape.patch_bands)
    return cut.transpose(2, 3).reshape(len(frames), shape.patches, shape.values)


def shape_from(raw: dict[str, float]) -> Shape:
    """The shape that `dataclasses.asdict` made this of.

    Raises:
        ValueError: it is something else.
    """
    if raw.keys() != {field.name for field in dataclasses.fields(Shape)}:
        raise ValueError(f"its shape has {sorted(raw)}")
    return Shape(**raw)  # type: ignore[arg-type]  # ints and one float, as they were written


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
