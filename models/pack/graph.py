"""Many steps for one launch: CUDA graphs.

A packed step is some two hundred small kernels; launched one by one they leave a GPU idle.
Written after "Whole-network capture" in PyTorch's notes on CUDA. The order of its calls is tested
against a stand-in for torch.cuda; it has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

# Steps of one graph: enough to hide the launch, few enough to capture in a moment.
LONGEST = 25


def graph_length(steps: int) -> int:
    """The most steps of one graph, so that whole graphs make an epoch of so many steps."""
    return max(length for length in range(1, LONGEST + 1) if steps % length == 0)


class StepGraph:
    """Calls a step `length` times: on CUDA captured once and replayed, elsewhere one by one.

    The step must be a function of buffers that stay where they are (models.pack.step).
    """

    def __init__(self, step: Callable[[], None], length: int, device: torch.device) -> None:
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
