"""A double of torch.cuda's streams and graphs, for tensors on the CPU.

What a GPU does to a step, and a CPU does not, is imitated where it can be seen in numbers:

- Capturing runs nothing: buffers that were there before hold what they held.
- A replay does again what was captured, to the same tensors, with the numbers that Python had then.
- What a capture allocates lies in the graph's pool, where anything may stand between replays: NaN.
- While a graph is captured, to wait for the device or to bring numbers from the host is an error.
- A stream that touches what another one wrote, or writes what another one read, without having
  waited for it, races: an error. Streams of a capture are branches of its graph, and race likewise;
  the stream that is captured waits for all of them in the end.

Speed, memory, cuBLAS's choice of kernels and rounding in other orders are a GPU's alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# What waits for the device, depends on its numbers, or brings some from the host. Not
# scalar_tensor, which clamp's gradient uses: on CUDA it is filled by a kernel.
FORBIDDEN = {
    "_local_scalar_dense",
    "item",
    "equal",
    "nonzero",
    "masked_select",
    "lift_fresh",
    "lift_fresh_copy",
    "is_nonzero",
}


class CaptureError(RuntimeError):
    """What a capture does not permit."""


class RaceError(RuntimeError):
    """Two streams use a tensor, and nothing orders them."""


class Use(NamedTuple):
    """What an operation touches: the places of tensors, which are their storages'."""

    places: set[int]
    written: list[Tensor]


class Call(NamedTuple):
    """An operation of a graph, and the tensors that it made."""

    function: Any
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    use: Use
    made: list[Tensor | None]  # None: a view of an argument, or the argument itself
    stream: str


class Wait(NamedTuple):
    """A stream of a graph that goes on after another one."""

    waiting: str
    other: str


class Stream:
    """A queue of work, known by its name."""

    def __init__(self, double: CudaDouble, name: str) -> None:
        self._double, self.name = double, name

    def wait_stream(self, other: Stream) -> None:
        self._double.order(self.name, other.name)


class CudaDouble(TorchDispatchMode):
    """The streams and graphs of a device, while it is the context."""

    def __init__(self) -> None:
        super().__init__()
        self._now = "default"
        self._tape: list[Call | Wait] | None = None  # of the graph that is being captured
        self._pool: dict[int, Tensor] = {}  # place → bytes that it allocated
        self._before: dict[int, tuple[Tensor, Tensor]] = {}  # place → bytes, and what they held
        # Streams, and how many operations of each other one they have waited for.
        self._known: dict[str, dict[str, int]] = {"default": {}}
        self._done = {"default": 0}
        self._writer: dict[int, tuple[str, int]] = {}  # place → stream, and its operation
        self._readers: dict[int, dict[str, int]] = {}
        self.replays = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Puts the double in the place of torch.cuda's."""
        patch.setattr(torch.cuda, "Stream", lambda device: self._stream(f"side {len(self._known)}"))
        patch.setattr(torch.cuda, "current_stream", lambda: Stream(self, self._now))
        patch.setattr(torch.cuda, "stream", self._on)
        patch.setattr(torch.cuda, "graph", self._captured)
        patch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(self))

    def order(self, waiting: str, other: str) -> None:
        """The one stream goes on after all that the other has been given so far."""
        if self._tape is not None:
            self._tape.append(Wait(waiting, other))
            return
        for stream, done in {**self._known[other], other: self._done[other]}.items():
            known = self._known[waiting]
            known[stream] = max(done, known.get(stream, 0))

    def __torch_dispatch__(
        self, function: Any, _types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        options = options or {}
        use = _use(function, arguments, options)
        if self._tape is None:
            self._touch(function, use)
        elif _is_forbidden(function.overloadpacket.__name__, options):
            raise CaptureError(f"{function} while a graph is captured")
        else:
            self._keep(use.written)
        out = function(*arguments, **options)
        made = [None if _place(tensor) in use.places else tensor for tensor in _tensors(out)]
        for tensor in made:
            if tensor is not None:
                self._writer.pop(_place(tensor), None)  # what lay there before is gone
                self._readers.pop(_place(tensor), None)
                if self._tape is not None:
                    self._pool[_place(tensor)] = _bytes(tensor)
        if self._tape is not None:
            self._tape.append(Call(function, arguments, options, use, made, self._now))
        return out

    def replay(self, graph: Graph) -> None:
        """All calls of a graph again: those of its own stream on the current one."""
        self.replays += 1
        names = {graph.stream: self._now}
        for step in graph.tape:
            if isinstance(step, Wait):
                self.order(*(names.get(stream, stream) for stream in step))
                continue
            with self._on(self._stream(names.get(step.stream, step.stream))):
                self._touch(step.function, step.use)
                out = step.function(*step.arguments, **step.options)
                for kept, tensor in zip(step.made, _tensors(out), strict=True):
                    if kept is not None:
                        kept.copy_(tensor)
        _poison(graph.pool)

    def _stream(self, name: str) -> Stream:
        self._known.setdefault(name, {})
        self._done.setdefault(name, 0)
        return Stream(self, name)

    @contextmanager
    def _on(self, stream: Stream) -> Iterator[None]:
        before, self._now = self._now, stream.name
        try:
            yield
        finally:
            self._now = before

    @contextmanager
    def _captured(self, graph: Graph, stream: Stream) -> Iterator[None]:
        for one in self._known:  # torch.cuda.graph waits for the device
            for other in self._known:
                self.order(one, other)
        self._tape, self._pool, self._before = graph.tape, graph.pool, {}
        graph.stream = stream.name
        try:
            with self._on(stream):
                yield
        finally:
            self._tape = None
            for now, before in self._before.values():
                now.copy_(before)
            _poison(graph.pool)
        if loose := graph.loose():
            raise CaptureError(f"the capture does not wait for {', '.join(loose)}")

    def _keep(self, written: list[Tensor]) -> None:
        """What they hold, where they are not the graph's own."""
        for tensor in written:
            if (place := _place(tensor)) not in self._pool and place not in self._before:
                now = _bytes(tensor)
                self._before[place] = (now, now.clone())

    def _touch(self, function: Any, use: Use) -> None:
        """An operation of the current stream. RaceError where another one's is in its way."""
        now, known = self._now, self._known[self._now]
        written = {_place(tensor) for tensor in use.written}
        self._done[now] += 1
        for place in use.places:
            users = [self._writer[place]] if place in self._writer else []
            if place in written:
                users += self._readers.pop(place, {}).items()
            for stream, done in users:
                if stream != now and known.get(stream, 0) < done:
                    raise RaceError(f"{function} on {now} does not wait for {stream}")
            if place in written:
                self._writer[place] = (now, self._done[now])
            else:
                self._readers.setdefault(place, {})[now] = self._done[now]


class Graph:
    """Calls that were captured, and the memory that is theirs."""

    def __init__(self, double: CudaDouble) -> None:
        self._double = double
        self.tape: list[Call | Wait] = []
        self.pool: dict[int, Tensor] = {}
        self.stream = ""  # that was captured

    def loose(self) -> list[str]:
        """Streams that its own has not waited for since they were last given something."""
        given = dict[str, None]()
        for step in self.tape:
            if isinstance(step, Call):
                given[step.stream] = None
            elif step.waiting == self.stream:
                given.pop(step.other, None)
        return [stream for stream in given if stream != self.stream]

    def replay(self) -> None:
        with torch.no_grad(), torch.utils._python_dispatch._disable_current_modes():
            self._double.replay(self)


def _is_forbidden(name: str, options: Mapping[str, Any]) -> bool:
    return name in FORBIDDEN or (name == "_to_copy" and "device" in options)


def _use(function: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Use:
    values = {**dict(zip(_names(function), arguments, strict=False)), **options}
    written = [t for name in _writes(function) if name in values for t in _tensors(values[name])]
    return Use({_place(tensor) for tensor in _tensors(values.values())}, written)


@functools.cache
def _names(function: Any) -> list[str]:
    return [argument.name for argument in function._schema.arguments]


@functools.cache
def _writes(function: Any) -> list[str]:
    """The arguments that an operation changes in place."""
    arguments = function._schema.arguments
    return [a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write]


def _tensors(values: Any) -> list[Tensor]:
    """A tensor, or those among values and lists of them."""
    if isinstance(values, Tensor):
        return [values] if values.untyped_storage().nbytes() else []
    if isinstance(values, str) or not isinstance(values, Iterable):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _bytes(tensor: Tensor) -> Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def _poison(pool: Mapping[int, Tensor]) -> None:
    for place in pool.values():
        place.fill_(255)  # NaN, or −1
