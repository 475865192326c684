"""Forward and backward of the model's linear layers, hand-laid, for all runs of a pack.

Letters: K packed runs, c of them in a chunk, S subspaces, D features of a token, H hidden units,
L features of a latent token, R rows = T tokens × V views × B clips of a batch.

Activations lie feature-major, (K, features, R): the private and the shared encoder then are two
contiguous blocks of one buffer, so both are one batched product, and their latents stacked are
the decoder's input without a copy. Runs go through the layers a few at a time, because a chunk's
activations stay in the cache: on a Zen 4 core the products reach 98 GFLOP/s with 4 runs a chunk
and 75 with 24.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from models.multiview import Layout, Weights
from models.pack.products import Products

CHUNK = {"cpu": 4}  # runs that go through the layers together; elsewhere all that share a batch


@dataclass(frozen=True)
class Span:
    """Neighbouring runs of one stream, all with or all without a decoder."""

    start: int
    stop: int
    stream: int
    decoded: bool


def spans_of(streams: Sequence[int], decoded: int, chunk: int | None) -> list[Span]:
    """Cut the runs, the first `decoded` of which have a decoder, into chunks."""
    spans = []
    places = range(len(streams))
    for (stream, has_decoder), group in groupby(places, lambda i: (streams[i], i < decoded)):
        members = list(group)
        size = chunk or len(members)
        for start in range(0, len(members), size):
            own = members[start : start + size]
            spans.append(Span(own[0], own[-1] + 1, stream, has_decoder))
    return spans


class PackedModel:
    """The weights' buffers, the activations of one batch, and the chunks that fill them."""

    def __init__(
        self,
        layout: Layout,
        spans: Sequence[Span],
        rows: int,
        latent_relu: bool,
        like: Tensor,
        products: Products,
    ) -> None:
        """`like`: a tensor whose dtype and device the buffers take."""
        shape, runs = layout.shape, layout.runs
        streams = 1 + max(span.stream for span in spans)
        self.weights = like.new_zeros(layout.size)
        self.gradient = like.new_zeros(layout.size)
        self.x = like.new_empty(streams, rows, shape.features)
        self._x_columns = like.new_empty(streams, shape.features, rows)
        self._hidden = like.new_empty(runs, shape.subspaces * shape.hidden, rows)
        self.z = like.new_empty(runs, shape.subspaces * shape.latent, rows)
        self.dz = torch.zeros_like(self.z)
        self._distance = like.new_zeros(runs)  # Euclidean, of reconstruction and input
        self._latent_relu, self._products = latent_relu, products
        self._chunks = list(self._make_chunks(layout, spans))

    def encode(self) -> None:
        """Fill the latents z of the batch in x."""
        self._x_columns.copy_(self.x.mT)
        with self._products.chosen():
            for chunk in self._chunks:
                chunk.encode()

    def backward(self, rec_weights: Tensor) -> None:
        """Reconstruct, and fill the gradient of rec_weights · L_rec + what dz already holds.

        rec_weights (K,): γλ of each run.
        """
        # d mean(e²) / de = 2 e / elements
        scales = rec_weights * (2 / self.x[0].numel())
        with self._products.chosen():
            for chunk in self._chunks:
                chunk.backward(scales)

    def rec_losses(self, out: Tensor) -> None:
        """L_rec (K,) of the last backward pass: mean over elements and both views."""
        torch.div(self._distance.square(), self.x[0].numel(), out=out)

    def _make_chunks(self, layout: Layout, spans: Sequence[Span]) -> Iterator[_Chunk]:
        largest = max(span.stop - span.start for span in spans)
        shape, rows = layout.shape, self.x.shape[1]
        # One set of scratch buffers for all chunks: it never leaves the cache.
        scratch = {
            "dhidden": self.x.new_empty(largest, shape.subspaces * shape.hidden, rows),
            "wide": self.x.new_empty(largest, shape.hidden, rows),
            "dwide": self.x.new_empty(largest, shape.hidden, rows),
            "error": self.x.new_empty(largest, shape.features, rows),
        }
        weights, gradients = layout.views(self.weights), layout.views(self.gradient)
        for span in spans:
            runs = slice(span.start, span.stop)
            yield _Chunk(
                runs=runs,
                x=self.x[span.stream],
                x_columns=self._x_columns[span.stream],
                hidden=self._hidden[runs],
                z=self.z[runs],
                dz=self.dz[runs],
                distance=self._distance[runs],
                scratch={
                    name: buffer[: runs.stop - runs.start] for name, buffer in scratch.items()
                },
                layers={name: layer[runs] for name, layer in weights.items()},
                gradients={name: layer[runs] for name, layer in gradients.items()},
                subspaces=shape.subspaces,
                decoded=span.decoded,
                latent_relu=self._latent_relu,
                products=self._products,
            )


class _Chunk:
    """A few neighbouring runs: views of the pack's buffers, cut once, and the products."""

    def __init__(
        self,
        *,
        runs: slice,
        x: Tensor,  # (R, D)
        x_columns: Tensor,  # (D, R)
        hidden: Tensor,  # (c, S·H, R)
        z: Tensor,  # (c, S·L, R)
        dz: Tensor,  # (c, S·L, R)
        distance: Tensor,  # (c,)
        scratch: dict[str, Tensor],
        layers: Weights,
        gradients: Weights,
        subspaces: int,
        decoded: bool,
        latent_relu: bool,
        products: Products,
    ) -> None:
        count = len(z)
        self.runs = runs
        self._x, self._x_columns = x, x_columns
        self._hidden, self._z, self._dz, self._distance = hidden, z, dz, distance
        self._dhidden, self._wide = scratch["dhidden"], scratch["wide"]
        self._dwide, self._error = scratch["dwide"], scratch["error"]
        self._decoded, self._latent_relu = decoded, latent_relu
        self._write, self._add = products.write, products.add

        def in_one(block: Tensor) -> Tensor:
            """(c, n, m) as one matrix of c·n rows: all runs of a chunk share its right factor."""
            return block.view(-1, block.shape[-1])

        def by_subspace(block: Tensor) -> Tensor:
            """(c, S·n, R) or (c, S, n, m) as c·S matrices."""
            return block.view(count * subspaces, -1, block.shape[-1])

        self._hidden_s, self._dhidden_s = by_subspace(hidden), by_subspace(self._dhidden)
        self._z_s, self._dz_s = by_subspace(z), by_subspace(dz)
        self._hidden_1, self._dhidden_1 = in_one(hidden), in_one(self._dhidden)
        self._w1 = in_one(layers["encoder1.weight"])
        self._dw1 = in_one(gradients["encoder1.weight"])
        self._w2 = by_subspace(layers["encoder2.weight"])
        self._dw2 = by_subspace(gradients["encoder2.weight"])
        self._w3, self._dw3 = layers["decoder1.weight"], gradients["decoder1.weight"]
        self._w4, self._dw4 = layers["decoder2.weight"], gradients["decoder2.weight"]
        biases = ("encoder1.bias", "encoder2.bias", "decoder1.bias", "decoder2.bias")
        self._b1, self._b2, self._b3, self._b4 = (layers[name][..., None] for name in biases)
        self._db1, self._db2, self._db3, self._db4 = (gradients[name] for name in biases)

    def encode(self) -> None:
        self._write(self._w1, self._x_columns, self._hidden_1)  # (c·S·H, R)
        self._hidden.add_(self._b1).relu_()
        self._write(self._w2, self._hidden_s, self._z_s)  # (c·S, L, R)
        self._z.add_(self._b2)
        if self._latent_relu:
            self._z.relu_()

    def backward(self, scales: Tensor) -> None:
        if self._decoded:
            self._reconstruct()
            self._error.mul_(scales[self.runs, None, None])
            self._decoder_backward()
        self._encoder_backward()

    def _reconstruct(self) -> None:
        self._write(self._w3, self._z, self._wide)  # (c, H, R)
        self._wide.add_(self._b3).relu_()
        self._write(self._w4, self._wide, self._error)  # (c, D, R)
        self._error.add_(self._b4).sub_(self._x_columns)
        torch.linalg.vector_norm(self._error, dim=(1, 2), out=self._distance)

    def _decoder_backward(self) -> None:
        torch.sum(self._error, -1, out=self._db4)
        self._write(self._error, self._wide.mT, self._dw4)  # (c, D, H)
        self._write(self._w4.mT, self._error, self._dwide)  # (c, H, R)
        _relu_backward(self._dwide, self._wide)
        torch.sum(self._dwide, -1, out=self._db3)
        self._write(self._dwide, self._z.mT, self._dw3)  # (c, H, S·L)
        self._add(self._w3.mT, self._dwide, self._dz)  # (c, S·L, R)

    def _encoder_backward(self) -> None:
        if self._latent_relu:
            _relu_backward(self._dz, self._z)
        torch.sum(self._dz, -1, out=self._db2)
        self._write(self._dz_s, self._hidden_s.mT, self._dw2)  # (c·S, L, H)
        self._write(self._w2.mT, self._dz_s, self._dhidden_s)  # (c·S, H, R)
        _relu_backward(self._dhidden, self._hidden)
        torch.sum(self._dhidden, -1, out=self._db1)
        self._write(self._dhidden_1, self._x, self._dw1)  # (c·S·H, D)


def _relu_backward(gradient: Tensor, activation: Tensor) -> None:
    """Zero the gradient in place where the activation is zero."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
