"""How large a model is; needs no torch. The letters are those of multiview.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.spec import ModelSpec


@dataclass(frozen=True)
class ModelShape:
    """Sizes of one model."""

    subspaces: int  # S
    features: int  # D
    hidden: int  # H
    latent: int  # L

    @classmethod
    def of(cls, kind: str, features: int, spec: ModelSpec) -> ModelShape:
        """Two encoders of half the width, or one of full width for a contrastive baseline."""
        if kind == "multiview" and features % 2:
            raise ValueError(f"latents of {features} features do not split into two halves")
        subspaces = 2 if kind == "multiview" else 1
        return cls(subspaces, features, spec.hidden or features, features // subspaces)

    def layers(self, decoder: bool = True) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in flat order."""
        joint = self.subspaces * self.latent
        encoder = {
            "encoder1.weight": (self.subspaces * self.hidden, self.features),
            "encoder1.bias": (self.subspaces * self.hidden,),
            "encoder2.weight": (self.subspaces, self.latent, self.hidden),
            "encoder2.bias": (joint,),
        }
        return encoder | (
            {
                "decoder1.weight": (self.hidden, joint),
                "decoder1.bias": (self.hidden,),
                "decoder2.weight": (self.features, self.hidden),
                "decoder2.bias": (self.features,),
            }
            if decoder
            else {}
        )

    def size(self, decoder: bool = True) -> int:
        """How many parameters there are."""
        return sum(map(math.prod, self.layers(decoder).values()))
