"""How much memory packed runs take, and how many fit."""

from __future__ import annotations

from models.multiview import Layout, ModelShape

_WEIGHTS = 5  # buffers of a run's size: weights, gradient, two moments, best weights
_LATENTS = 6  # copies of the latents that the objectives and their gradients make, at most
_USED = 0.8  # share of the memory to fill; the rest is the allocator's, the graph's and cuBLAS's
_FLOAT = 4  # bytes


def bytes_per_run(shape: ModelShape, rows: int) -> int:
    """Bytes of a run with a decoder that trains on batches of `rows` tokens."""
    weights = Layout(shape, 1, 1).size
    hidden, latent = shape.subspaces * shape.hidden, shape.subspaces * shape.latent
    # Encoders' and decoder's hidden units and their gradients, latents and theirs, the error.
    activations = 2 * hidden + 2 * shape.hidden + (2 + _LATENTS) * latent + shape.features
    return _FLOAT * (_WEIGHTS * weights + activations * rows)


def largest_pack(shape: ModelShape, rows: int, memory: int) -> int:
    """How many runs, at least one, fit in so many bytes."""
    return max(1, int(_USED * memory / bytes_per_run(shape, rows)))
