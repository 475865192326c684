"""A trained run's encoders, to use on latents of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from models.evaluation import BLOCK
from models.multiview import Weights, decode, encode, pool
from models.shape import ModelShape
from models.spec import ModelSpec


class Encoders(nn.Module):
    """The private and the shared encoder of a run, and its decoder if it has one.

    Called with latents (N, T, D) of N clips, standardised as `Sweep.latents` has them and of any
    float dtype, it gives what the probes were trained on: features (S, N, F), float32, private
    first and then shared (`private, shared = encoders(x)`); of the contrastive baselines, whose
    encoder is one, S is 1. F is T·L where clips are flattened, and L where tokens are averaged;
    L is half of D, for S = 1 all of it. Latents and features have no unit.

    Its parameters are the layers of models.shape.ModelShape; they are frozen until
    `requires_grad_()`. On a CPU with `torch.set_num_threads(1)`, as where it was trained, features
    are those of the probes to the bit.

    >>> encoders = sweeper.open().encoder("Cosine SEP λ=0.6")
    >>> encoders
    Encoders(private and shared, 8 → 8 → 4 a token, flatten, with a decoder)
    """

    def __init__(self, layers: Mapping[str, Tensor], model: ModelSpec) -> None:
        """`layers` by their names in models.shape.ModelShape; the pooling of `model` is one."""
        super().__init__()
        for name, layer in layers.items():
            self.register_parameter(
                name.replace(".", "_"), nn.Parameter(layer, requires_grad=False)
            )
        subspaces, latent, hidden = layers["encoder2.weight"].shape
        features = layers["encoder1.weight"].shape[1]
        self.shape = ModelShape(subspaces, features, hidden, latent)
        self.has_decoder = "decoder1.weight" in layers
        self._model, self._names = model, list(layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Features (S, N, F) of latents (N, T, D)."""
        blocks = (pool(z, self._model.pool) for z in self._encoded(latents))
        return torch.cat(list(blocks), dim=1)

    def tokens(self, latents: Tensor) -> Tensor:
        """The same before tokens are pooled: (S, N, T, L)."""
        return torch.cat(list(self._encoded(latents)), dim=1)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """Latents (N, T, D) as the decoder gives them back. ValueError where there is none."""
        if not self.has_decoder:
            raise ValueError(
                "this run has no decoder: at λ = 0 and in the baselines none is trained"
            )
        return torch.cat([decode(self._weights, z) for z in self._encoded(latents)])

    def extra_repr(self) -> str:
        which = "private and shared" if self.shape.subspaces == 2 else "one encoder"
        sizes = f"{self.shape.features} → {self.shape.hidden} → {self.shape.latent} a token"
        decoder = "with a decoder" if self.has_decoder else "no decoder"
        return f"{which}, {sizes}, {self._model.pool}, {decoder}"

    def _encoded(self, latents: Tensor) -> Iterator[Tensor]:
        """(S, n, T, L) a block of clips, as the probes' were."""
        for x in torch.split(latents.float(), BLOCK):
            yield encode(self._weights, x, self.shape, self._model)

    @property
    def _weights(self) -> Weights:
        return {name: self.get_parameter(name.replace(".", "_")) for name in self._names}
