"""Work of a run-step, counted from the shapes.

Letters: R rows = tokens × 2 views × pairs of a batch, D features, H hidden units, S subspaces,
L features of a latent token.

A layer of w weights costs 2·R·w operations forward, as many for its weights' gradient, and as
many for its input's gradient, which the first layers do not need. With W weights in all and W₁
of them in the first layers a run-step is 2·R·(3·W − W₁) operations, the losses left out:
0.109 GFLOP for 8 frames × 128 bands and 16 pairs.
"""

from __future__ import annotations

import math

from models.multiview import ModelShape

FORMULA = "2·R·(3·W − W₁): R rows, W weights, W₁ of them in the first layers; losses left out"

Product = tuple[int, int, int, int]  # b products of (m, k) and (k, n): b, m, n, k


def flops_of(shape: ModelShape, rows: int) -> int:
    """Operations of one run's step in its linear layers, decoder included."""
    weights = {name: math.prod(sizes) for name, sizes in shape.layers().items() if "weight" in name}
    return 2 * rows * (3 * sum(weights.values()) - weights["encoder1.weight"])


def products_of(shape: ModelShape, rows: int) -> list[Product]:
    """The matrix products of one run's step, as the trainer makes them."""
    joint = shape.subspaces * shape.latent
    layers = {  # products, outputs, inputs
        "encoder1": (1, shape.subspaces * shape.hidden, shape.features),
        "encoder2": (shape.subspaces, shape.latent, shape.hidden),
        "decoder1": (1, shape.hidden, joint),
        "decoder2": (1, shape.features, shape.hidden),
    }
    forward = [(b, out, rows, into) for b, out, into in layers.values()]
    weights = [(b, out, into, rows) for b, out, into in layers.values()]
    inputs = [(b, into, rows, out) for b, out, into in list(layers.values())[1:]]
    return [*forward, *weights, *inputs]
