"""One training step of a pack, and many of them for one launch: CUDA graphs.

A packed step is some four hundred small kernels, most of them the objectives', however many runs
it has; launched one by one they leave a GPU idle.

Letters: K packed runs, S subspaces, L features and T tokens of a latent, V = 2 views, B clips of
a batch, D features of a token.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models.adamw import FlatAdamW
from models.multiview import ModelShape
from models.pack.layers import PackedModel
from models.pack.loss import PackedObjectives

# Steps of one graph: enough to hide the launch, few enough to capture in a moment.
LONGEST = 25


class PackStep:
    """One step of every run: a function of buffers that stay where they are, and of nothing else.

    It asks the host nothing, brings no number from it, and finds its batch by a counter on the
    device. `losses` (steps, 2, K) are L_rec and L_dis of the epoch's steps so far.
    """

    def __init__(
        self,
        latents: Tensor,  # (N, T, D)
        steps: int,  # of an epoch
        shape: ModelShape,
        model: PackedModel,
        objectives: PackedObjectives,
        optimizer: FlatAdamW,
        rec_weights: Tensor,  # (K,) γλ of each run
    ) -> None:
        self._latents, self._rec_weights = latents, rec_weights
        self._model, self._objectives, self._optimizer = model, objectives, optimizer
        streams, rows, features = model.x.shape
        runs, tokens = len(rec_weights), latents.shape[1]
        self._x = model.x.view(streams, tokens, rows // tokens, features)  # (…, T, V·B, D)
        sizes = (runs, shape.subspaces, shape.latent, tokens, 2, -1)  # (K, S, L, T, V, B)
        self._z, self._dz = model.z.view(sizes), model.dz.view(sizes)
        device = latents.device
        self._clips = torch.zeros(streams, steps, rows // tokens, dtype=torch.long, device=device)
        self._number = torch.zeros(1, dtype=torch.long, device=device)
        self._step_losses = latents.new_zeros(1, 2, runs)
        self.losses = latents.new_zeros(steps, 2, runs)

    def begin(self, clips: Tensor) -> None:
        """Start an epoch of batches `clips` (streams, steps, V·B)."""
        self._clips.copy_(clips)
        self._number.zero_()

    def __call__(self) -> None:
        """The epoch's next step."""
        self._gather()
        rec, dis = self._step_losses[0]
        self._model.encode()
        self._objectives(self._z, self._dz, dis)
        self._model.backward(self._rec_weights)
        self._model.rec_losses(rec)
        self._optimizer.step()
        self.losses.index_copy_(0, self._number, self._step_losses)
        self._number.add_(1)

    def _gather(self) -> None:
        batch = self._clips.index_select(1, self._number).squeeze(1)  # (streams, V·B)
        for clips, x in zip(batch, self._x, strict=True):
            x.copy_(self._latents.index_select(0, clips).transpose(0, 1))


def graph_length(steps: int) -> int:
    """The most steps of one graph, so that whole graphs make an epoch of so many steps."""
    return max(length for length in range(1, LONGEST + 1) if steps % length == 0)


class StepGraph:
    """Calls a step `length` times: on CUDA captured once and replayed, elsewhere one by one.

    Written after "Whole-network capture" in PyTorch's notes on CUDA. Tested against a double of
    torch.cuda (tests/models/pack/cuda_double.py); it has not run on a GPU yet.
    """

    def __init__(self, step: Callable[[], None], length: int, device: torch.device) -> None:
        """`step`: a function of buffers that stay where they are, such as PackStep."""
        self._step, self._length = step, length
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._warm = False
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self._stream is None:
            self._run()
        elif not self._warm:
            self._warm_up(self._stream)
        else:
            if self._graph is None:
                self._graph = self._captured(self._stream)
            self._graph.replay()

    def _run(self) -> None:
        for _ in range(self._length):
            self._step()

    def _warm_up(self, stream: torch.cuda.Stream) -> None:
        """The first steps, launched one by one, on the stream that will be captured.

        Libraries make their handles and workspaces there, which a capture must not. The steps
        count like any others, so that warming up leaves no trace in a result.
        """
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._run()
        torch.cuda.current_stream().wait_stream(stream)
        self._warm = True

    def _captured(self, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
        """The steps recorded; none of them runs."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self._run()
        return graph
