"""The multi-view autoencoder (paper, section 2.1): its shapes, weights and plain forward pass.

Letters: K packed runs, S subspaces (private and shared; 1 in the contrastive baselines), D
features of a token, H hidden units, L features of a latent token, N clips, T tokens.
A run's weights are one vector; those of a pack are one flat buffer, layer after layer, each
layer a contiguous (K, …) view. A run's vector is thus the flat buffer of a pack of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.shape import ModelShape as ModelShape
from models.spec import POOLINGS, ModelSpec

Weights = dict[str, Tensor]

DECODER_LAYERS = ("decoder1", "decoder2")


@dataclass(frozen=True)
class Layout:
    """Where each layer of each run lies in a pack's flat buffer.

    The first `decoders` of the `runs` have a decoder; the others (λ = 0) have none.
    """

    shape: ModelShape
    runs: int
    decoders: int

    @property
    def size(self) -> int:
        return sum(count * math.prod(shape) for _, count, shape in self._layers())

    def views(self, flat: Tensor) -> Weights:
        """Each layer as a (runs or decoders, …) view of the flat buffer."""
        views, start = {}, 0
        for name, count, shape in self._layers():
            stop = start + count * math.prod(shape)
            views[name] = flat[start:stop].view(count, *shape)
            start = stop
        return views

    def take(self, flat: Tensor, run: int) -> Tensor:
        """One run's vector, a copy."""
        return torch.cat([layer.flatten() for layer in self._rows(flat, run)])

    def put(self, flat: Tensor, run: int, vector: Tensor) -> None:
        """Write one run's vector into the flat buffer."""
        rows = list(self._rows(flat, run))
        layers = torch.split(vector, [row.numel() for row in rows])
        for row, layer in zip(rows, layers, strict=True):
            row.copy_(layer.view_as(row))

    def _rows(self, flat: Tensor, run: int) -> Iterator[Tensor]:
        return (layer[run] for layer in self.views(flat).values() if run < len(layer))

    def _layers(self) -> Iterator[tuple[str, int, tuple[int, ...]]]:
        for name, shape in self.shape.layers().items():
            decoder = name.startswith(DECODER_LAYERS)
            yield name, self.decoders if decoder else self.runs, shape


def weights_of(vector: Tensor, shape: ModelShape, decoder: bool) -> Weights:
    """One run's layers as views of its vector."""
    layers = Layout(shape, 1, int(decoder)).views(vector)
    return {name: layer[0] for name, layer in layers.items() if len(layer)}


def initial_vector(shape: ModelShape, decoder: bool, seed: int) -> Tensor:
    """A run's first weights, float32 on the CPU: a function of seed and shape alone.

    They are those of nn.Linear modules built in the order private, shared, decoder after
    torch.manual_seed(seed), so every run of a seed starts from the same encoders.
    """
    generator = torch.Generator().manual_seed(seed)
    vector = torch.empty(Layout(shape, 1, int(decoder)).size)
    weights = weights_of(vector, shape, decoder)
    first = weights["encoder1.weight"].view(shape.subspaces, shape.hidden, shape.features)
    for subspace in range(shape.subspaces):
        bias1 = weights["encoder1.bias"].view(shape.subspaces, -1)[subspace]
        bias2 = weights["encoder2.bias"].view(shape.subspaces, -1)[subspace]
        _draw_linear(first[subspace], bias1, generator)
        _draw_linear(weights["encoder2.weight"][subspace], bias2, generator)
    for layer in DECODER_LAYERS if decoder else ():
        _draw_linear(weights[f"{layer}.weight"], weights[f"{layer}.bias"], generator)
    return vector


def encode(weights: Weights, x: Tensor, shape: ModelShape, spec: ModelSpec) -> Tensor:
    """Latents (S, N, T, L) of one run for clips x (N, T, D)."""
    rows = x.reshape(-1, shape.features)
    hidden = functional.linear(rows, weights["encoder1.weight"], weights["encoder1.bias"]).relu_()
    hidden = hidden.view(-1, shape.subspaces, shape.hidden)
    biases = weights["encoder2.bias"].view(shape.subspaces, shape.latent)
    z = torch.stack(
        [
            functional.linear(hidden[:, subspace], weight, bias)
            for subspace, (weight, bias) in enumerate(
                zip(weights["encoder2.weight"], biases, strict=True)
            )
        ]
    )
    if spec.latent_activation == "relu":
        z.relu_()
    return z.view(shape.subspaces, *x.shape[:2], shape.latent)


def decode(weights: Weights, z: Tensor) -> Tensor:
    """Reconstruction (N, T, D) of one run from its latents (S, N, T, L)."""
    joint = torch.cat(tuple(z), dim=-1)  # (N, T, S·L)
    hidden = functional.linear(joint, weights["decoder1.weight"], weights["decoder1.bias"])
    return functional.linear(hidden.relu_(), weights["decoder2.weight"], weights["decoder2.bias"])


def pool(z: Tensor, how: str) -> Tensor:
    """One vector a clip, (…, F), of latents (…, T, L), by one of POOLINGS."""
    if how not in POOLINGS:
        raise ValueError(f"cannot pool by '{how}'; choose flatten or mean")
    return z.mean(-2) if how == "mean" else z.flatten(-2)


def _draw_linear(weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
    """nn.Linear.reset_parameters, from a generator of its own."""
    torch.nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(weight.shape[1])
    bias.uniform_(-bound, bound, generator=generator)
