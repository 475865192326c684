"""Forward and backward of the model's linear layers, hand-laid, for all runs of a pack.

Letters: K packed runs, c of them in a chunk, S subspaces, D features of a token, H hidden units,
L features of a latent token, R rows = T tokens × V views × B clips of a batch. dy is dL/dy, the
derivative of a run's total loss (equation 5).

Activations lie feature-major, (K, features, R): the private and the shared encoder then are two
contiguous blocks of one buffer, so both are one batched product, and their latents stacked are
the decoder's input without a copy. Runs go through the layers a few at a time, because a chunk's
activations stay in the cache: on a Zen 4 core the products reach 98 GFLOP/s with 4 runs a chunk
and 75 with 24.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from models.multiview import Layout, ModelShape, Weights

CHUNK = {"cpu": 4}  # runs that go through the layers together; elsewhere all that share a batch


class Matmul:
    """Matrix products in one of spec.PRECISIONS."""

    def __init__(self, precision: str = "ieee") -> None:
        self._precision = precision

    def operands(self, weights: Tensor) -> Tensor:
        """What the weights are as operands: themselves, or a copy in bf16."""
        return weights.bfloat16() if self._precision == "bf16" else weights

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Within it CUDA's products are of this precision: torch has one switch for all."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self._precision == "tf32" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def write(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """out = left · right: two matrices, or two batches of them."""
        if self._precision == "bf16":
            out.copy_(left.bfloat16() @ right.bfloat16())
        else:
            multiply = torch.mm if left.ndim == 2 else torch.bmm
            multiply(left, right, out=out)

    def add(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """out += left · right, of batches of matrices."""
        if self._precision == "bf16":
            out.add_(left.bfloat16() @ right.bfloat16())
        else:
            out.baddbmm_(left, right)


class Linear:
    """A layer y = W·x + b of a chunk's runs, where they all read one x or each has its own.

    W is a matrix (out, in) where they share x, else a batch of them (n, out, in), one for each
    run or for each run's subspace; x and y, (c, features, R), are cut to match.
    """

    def __init__(
        self, name: str, weights: Weights, operands: Weights, gradients: Weights, matmul: Matmul
    ) -> None:
        """`weights`, `gradients`: the layers of the chunk's runs; `operands`: Matmul.operands."""
        self.weight, self.weight_gradient = operands[f"{name}.weight"], gradients[f"{name}.weight"]
        if name.startswith("encoder"):  # (c, S·H, D) or (c, S, L, H)
            self.weight = self.weight.flatten(0, 1)
            self.weight_gradient = self.weight_gradient.flatten(0, 1)
        sizes = self.weight.shape[:-1]
        self.bias = weights[f"{name}.bias"].view(*sizes, 1)
        self.bias_gradient = gradients[f"{name}.bias"].view(sizes)
        self._matmul = matmul

    def forward(self, x: Tensor, y: Tensor) -> None:
        """Write y = W·x + b."""
        y = self._outputs(y)
        self._matmul.write(self.weight, self._inputs(x), y)
        y.add_(self.bias)

    def backward(self, dy: Tensor, x: Tensor) -> None:
        """Write the gradients of W and b."""
        dy = self._outputs(dy)
        # db = Σ over rows of dy
        torch.sum(dy, -1, out=self.bias_gradient)
        # dW = dy · xᵀ
        self._matmul.write(dy, self._inputs(x).mT, self.weight_gradient)

    def input_gradient(self, dy: Tensor, dx: Tensor, add: bool = False) -> None:
        """Write or add dL/dx."""
        # dx = Wᵀ · dy
        multiply = self._matmul.add if add else self._matmul.write
        multiply(self.weight.mT, self._outputs(dy), self._inputs(dx))

    def _inputs(self, x: Tensor) -> Tensor:
        """(…, in, R)"""
        return x.view(*self.weight.shape[:-2], self.weight.shape[-1], -1)

    def _outputs(self, y: Tensor) -> Tensor:
        """(…, out, R)"""
        return y.view(*self.weight.shape[:-1], -1)


@dataclass(frozen=True)
class Span:
    """Neighbouring runs of one stream, all with or all without a decoder."""

    start: int
    stop: int
    stream: int
    has_decoder: bool


def spans_of(streams: Sequence[int], decoders: int, chunk: int | None) -> list[Span]:
    """Cut the runs, the first `decoders` of which have a decoder, into chunks."""
    spans = []
    places = range(len(streams))
    for (stream, has_decoder), group in groupby(places, lambda i: (streams[i], i < decoders)):
        members = list(group)
        size = chunk or len(members)
        for start in range(0, len(members), size):
            chunked = members[start : start + size]
            spans.append(Span(chunked[0], chunked[-1] + 1, stream, has_decoder))
    return spans


@dataclass(frozen=True)
class _Scratch:
    """Buffers that all chunks share, so that they never leave the cache."""

    dhidden: Tensor  # (c, S·H, R)
    wide: Tensor  # (c, H, R): the decoder's hidden units
    dwide: Tensor  # (c, H, R)
    error: Tensor  # (c, D, R)

    @classmethod
    def of(cls, shape: ModelShape, runs: int, rows: int, like: Tensor) -> _Scratch:
        sizes = (shape.subspaces * shape.hidden, shape.hidden, shape.hidden, shape.features)
        return cls(*(like.new_empty(runs, size, rows) for size in sizes))


class PackedModel:
    """The weights' buffers, the activations of one batch, and the chunks that fill them."""

    def __init__(
        self,
        layout: Layout,
        spans: Sequence[Span],
        rows: int,
        latent_relu: bool,
        like: Tensor,
        matmul: Matmul,
    ) -> None:
        """`like`: a tensor whose dtype and device the buffers take."""
        shape, runs = layout.shape, layout.runs
        streams = 1 + max(span.stream for span in spans)
        self.weights = like.new_zeros(layout.size)
        self.gradient = like.new_zeros(layout.size)
        # Copied once a step, not once a product.
        self._operands = matmul.operands(self.weights)
        self.layers, self.gradients = layout.views(self.weights), layout.views(self.gradient)
        self.operands = layout.views(self._operands)
        self.x = like.new_empty(streams, rows, shape.features)
        self.x_columns = like.new_empty(streams, shape.features, rows)
        self.hidden = like.new_empty(runs, shape.subspaces * shape.hidden, rows)
        self.z = like.new_empty(runs, shape.subspaces * shape.latent, rows)
        self.dz = torch.zeros_like(self.z)
        self.distance = like.new_zeros(runs)  # Euclidean, of reconstruction and input
        self.latent_relu, self.matmul = latent_relu, matmul
        scratch = _Scratch.of(shape, max(span.stop - span.start for span in spans), rows, like)
        self._chunks = [_Chunk(self, span, scratch) for span in spans]

    def encode(self) -> None:
        """Fill the latents z of the batch in x."""
        self.x_columns.copy_(self.x.mT)
        if self._operands is not self.weights:
            self._operands.copy_(self.weights)
        with self.matmul.chosen():
            for chunk in self._chunks:
                chunk.encode()

    def backward(self, rec_weights: Tensor) -> None:
        """Reconstruct, and fill the gradient of rec_weights · L_rec + what dz already holds.

        rec_weights (K,): γλ of each run.
        """
        # d mean(e²) / de = 2 e / elements
        scales = rec_weights * (2 / self.x[0].numel())
        with self.matmul.chosen():
            for chunk in self._chunks:
                chunk.backward(scales)

    def rec_losses(self, out: Tensor) -> None:
        """L_rec (K,) of the last backward pass: mean over elements and both views."""
        torch.div(self.distance.square(), self.x[0].numel(), out=out)


class _Chunk:
    """A few neighbouring runs: their layers, and views of the model's buffers, cut once."""

    def __init__(self, model: PackedModel, span: Span, scratch: _Scratch) -> None:
        runs, count = slice(span.start, span.stop), span.stop - span.start
        weights, operands, gradients = (
            {name: layer[runs] for name, layer in layers.items()}
            for layers in (model.layers, model.operands, model.gradients)
        )
        self.encoder1, self.encoder2, self.decoder1, self.decoder2 = (
            Linear(name, weights, operands, gradients, model.matmul)
            for name in ("encoder1", "encoder2", "decoder1", "decoder2")
        )
        self._runs, self._has_decoder, self._latent_relu = runs, span.has_decoder, model.latent_relu
        self._x, self._x_columns = model.x[span.stream], model.x_columns[span.stream]
        self._hidden, self._z, self._dz = model.hidden[runs], model.z[runs], model.dz[runs]
        self._distance = model.distance[runs]
        self._dhidden, self._wide = scratch.dhidden[:count], scratch.wide[:count]
        self._dwide, self._error = scratch.dwide[:count], scratch.error[:count]

    def encode(self) -> None:
        """z = e(x)"""
        self.encoder1.forward(self._x_columns, self._hidden)
        self._hidden.relu_()
        self.encoder2.forward(self._hidden, self._z)
        if self._latent_relu:
            self._z.relu_()

    def backward(self, scales: Tensor) -> None:
        """All gradients of the chunk's runs; `scales` (K,) times the error is dL/d(error)."""
        if self._has_decoder:
            self._reconstruct()
            self._error.mul_(scales[self._runs, None, None])
            self._decoder_backward()
        self._encoder_backward()

    def _reconstruct(self) -> None:
        """error = d(z) − x"""
        self.decoder1.forward(self._z, self._wide)
        self._wide.relu_()
        self.decoder2.forward(self._wide, self._error)
        self._error.sub_(self._x_columns)
        torch.linalg.vector_norm(self._error, dim=(1, 2), out=self._distance)

    def _decoder_backward(self) -> None:
        self.decoder2.backward(self._error, self._wide)
        self.decoder2.input_gradient(self._error, self._dwide)
        _relu_backward(self._dwide, self._wide)
        self.decoder1.backward(self._dwide, self._z)
        # dz = (1 − λ)·dL_dis/dz, which stands there already, + γλ·dL_rec/dz
        self.decoder1.input_gradient(self._dwide, self._dz, add=True)

    def _encoder_backward(self) -> None:
        if self._latent_relu:
            _relu_backward(self._dz, self._z)
        self.encoder2.backward(self._dz, self._hidden)
        self.encoder2.input_gradient(self._dz, self._dhidden)
        _relu_backward(self._dhidden, self._hidden)
        self.encoder1.backward(self._dhidden, self._x.mT)


def _relu_backward(gradient: Tensor, activation: Tensor) -> None:
    """Zero the gradient in place where the activation is zero."""
    # dx = dy where y > 0, else 0
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
