"""Work beside other work on a GPU: streams, which a graph that is captured keeps as branches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


class Branches:
    """A stream for each piece of work; on a CPU one piece comes after another.

    Tested against a double of torch.cuda (tests/models/pack/cuda_double.py); it has not run on a
    GPU yet.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self._streams: list[torch.cuda.Stream] = []
        if device.type == "cuda":
            self._streams = [torch.cuda.Stream(device) for _ in range(count)]  # type: ignore[no-untyped-call]

    def each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterable[Made]:
        """What `work` makes of each item, in order: for the current stream, which waits for all.

        `work` writes to nothing that another piece uses.
        """
        if not self._streams:
            return map(work, items)
        current, made = torch.cuda.current_stream(), []
        for stream, item in zip(self._streams, items, strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                made.append(work(item))
        for stream in self._streams:
            current.wait_stream(stream)
        return made
