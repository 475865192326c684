"""Linear probes on the CPU by probe.c: all heads of a pack's runs, with dropout and without.

A run is a function of its own features and of the seed's draws: its bits depend neither on its
neighbours nor on the number of threads. Letters as in models/probes.py.
"""

from __future__ import annotations

import ctypes
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.adamw import BETAS, EPS
from models.native.build import AdamW, Head, built
from models.native.engine import elsewhere
from models.probes import (
    HEADS,
    Draws,
    Probed,
    ProbeSplit,
    ProbeTask,
    check,
    moments,
    train_probes,
)
from models.spec import ProbeSpec

PANEL = 32  # as in kernels.h
DRAWN = 2**24  # bytes of random bits at once, if a batch takes no more


def probe(
    features: Sequence[Tensor],
    tasks: Mapping[str, ProbeTask],
    split: ProbeSplit,
    spec: ProbeSpec,
    dropouts: Sequence[float],
    seed: int,
    on_epoch: Callable[[float], None] = lambda runs: None,
    native: bool = True,
) -> list[list[Probed]]:
    """For each rate of dropout what models.probes.train_probes says of each run with it.

    By torch where probe.c cannot be had, or is not wanted. `on_epoch` is told 1 in all for a run
    at all rates.
    """
    if not native or not features or elsewhere(features[0]):
        return [
            train_probes(
                features,
                tasks,
                split,
                dataclasses.replace(spec, dropout=dropout),
                seed,
                lambda runs: on_epoch(runs / len(dropouts)),
            )
            for dropout in dropouts
        ]
    check(features, tasks, split)
    pack = _Pack(features, tasks, split, spec, dropouts, Draws(seed))
    for _ in range(spec.epochs):
        pack.train_epoch()
        on_epoch(len(features) / spec.epochs)
    return pack.probed()


@dataclasses.dataclass(frozen=True)
class _Trained:
    """A head in training: what it is, and what it keeps."""

    name: str
    head: Head
    state: Tensor

    def addresses(self, place: Tensor) -> tuple[Any, int, int]:
        """Of both, and of memory for a batch."""
        return ctypes.byref(self.head), self.state.data_ptr(), place.data_ptr()


class _Pack:
    """The heads of all runs of a pack, at each rate of dropout."""

    def __init__(
        self,
        features: Sequence[Tensor],  # (G, N, F)
        tasks: Mapping[str, ProbeTask],
        split: ProbeSplit,
        spec: ProbeSpec,
        dropouts: Sequence[float],
        draws: Draws,
    ) -> None:
        library = built().library
        assert library is not None
        self._library, self._spec, self._draws = library, spec, draws
        self._x = [of_run.float().contiguous() for of_run in features]
        self._blocks, _, self._width = self._x[0].shape
        self._tasks = tasks
        self._labels = torch.stack([torch.as_tensor(task.labels).long() for task in tasks.values()])
        self._classes = torch.tensor([task.classes for task in tasks.values()], dtype=torch.int32)
        self._clips = {
            part: torch.as_tensor(getattr(split, part)).long()
            for part in ("train", "valid", "test")
        }
        self._moments = [self._padded_moments(x, split) for x in self._x]
        self._batches = 0  # trained on
        first = self._first_weights()
        self._units = [
            [
                self._heads(x, of_run, dropout, first)
                for x, of_run in zip(self._x, self._moments, strict=True)
            ]
            for dropout in dropouts
        ]
        self._all = [heads for of_rate in self._units for heads in of_rate]
        self._workplaces: SimpleQueue[Tensor] = SimpleQueue()
        heads = self._units[0][0]
        size = max(library.probe_batch_bytes(ctypes.byref(trained.head)) for trained in heads)
        self._threads = min(torch.get_num_threads(), len(self._x) * len(dropouts))
        for _ in range(self._threads):
            self._workplaces.put(torch.empty(size, dtype=torch.uint8))

    def _padded_moments(self, x: Tensor, split: ProbeSplit) -> Tensor:
        """Mean and inverse deviation (2, G, F) of a run's features, F a whole number of panels."""
        mean, deviation = moments(x, split.train)
        padding = -self._width % PANEL
        both = torch.stack((mean, 1 / deviation))[:, :, 0]
        return torch.nn.functional.pad(both, (0, padding)).contiguous()

    def _first_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weights (C, blocks, F) and biases (C,) of each head, as models.probes draws them."""
        outputs, names = int(self._classes.sum()), HEADS[self._blocks]
        rows = outputs * min(len(names), 2)
        weights = self._draws.uniform((self._blocks, rows, self._width))
        biases = self._draws.uniform((len(names), 1, outputs))
        made = []
        for place, bias in enumerate(biases):
            joint = place == len(names) - 1
            own = weights[:, -outputs:] if joint else weights[place : place + 1, :outputs]
            bound = 1 / math.sqrt(self._width * len(own))  # nn.Linear's
            made.append(((own * bound).transpose(0, 1).contiguous(), bias[0] * bound))
        return made

    def _heads(
        self, x: Tensor, of_run: Tensor, dropout: float, first: Sequence[tuple[Tensor, Tensor]]
    ) -> list[_Trained]:
        made = []
        names = HEADS[self._blocks]
        for place, (name, (weights, bias)) in enumerate(zip(names, first, strict=True)):
            block = 0 if name == names[-1] else place
            head = Head(
                x[block].data_ptr(),
                of_run[0, block].data_ptr(),
                of_run[1, block].data_ptr(),
                self._labels.data_ptr(),
                self._classes.data_ptr(),
                x.shape[1],
                weights.shape[1],
                self._width,
                len(self._tasks),
                self._spec.batch,
                self._blocks,
                block,
                dropout,
                AdamW(self._spec.lr, self._spec.weight_decay, *BETAS, EPS),
            )
            state = torch.empty(self._library.probe_bytes(ctypes.byref(head)), dtype=torch.uint8)
            self._library.probe_load(
                ctypes.byref(head), state.data_ptr(), weights.data_ptr(), bias.data_ptr()
            )
            made.append(_Trained(name, head, state))
        return made

    def train_epoch(self) -> None:
        """One pass over the probe-train clips, and the choice of the best weights so far."""
        order, batch = self._draws.order(self._clips["train"]), self._spec.batch
        of_batch = 2 * batch * self._blocks * self._width  # bytes
        for clips in torch.split(order, batch * max(1, DRAWN // of_batch)):
            drawn = [
                self._draws.bits((self._blocks * len(one) * self._width,))
                for one in torch.split(clips, batch)
            ]
            self._each(partial(self._train, clips=clips, bits=np.concatenate(drawn)), self._all)
            self._batches += len(drawn)
        self._each(self._choose, self._all)

    def _train(
        self, heads: Sequence[_Trained], place: Tensor, clips: Tensor, bits: NDArray[np.uint16]
    ) -> None:
        for trained in heads:
            self._library.probe_train(
                *trained.addresses(place),
                self._batches,
                clips.data_ptr(),
                len(clips),
                bits.ctypes.data,
            )

    def _choose(self, heads: Sequence[_Trained], place: Tensor) -> None:
        clips = self._clips["valid"]
        said = torch.empty(len(self._tasks), len(clips), dtype=torch.long)
        for trained in heads:
            self._library.probe_choose(
                *trained.addresses(place), clips.data_ptr(), len(clips), said.data_ptr()
            )

    def _each(self, work: Callable[[list[_Trained], Tensor], Any], units: list[Any]) -> list[Any]:
        """What `work` makes of the heads of each run and rate, on all threads."""

        def with_place(heads: list[_Trained]) -> Any:
            place = self._workplaces.get()
            done = work(heads, place)
            self._workplaces.put(place)
            return done

        if self._threads == 1:
            return list(map(with_place, units))
        with ThreadPoolExecutor(self._threads) as executor:
            return list(executor.map(with_place, units))

    def probed(self) -> list[list[Probed]]:
        """By rate and run, what the chosen weights say of test and validation clips."""
        return [self._each(self._say, of_rate) for of_rate in self._units]

    def _say(self, heads: Sequence[_Trained], place: Tensor) -> Probed:
        accuracies, classes = {}, {}
        for trained in heads:
            for prefix, part in {"": "test", "valid_": "valid"}.items():
                clips = self._clips[part]
                said = torch.empty(len(self._tasks), len(clips), dtype=torch.long)
                self._library.probe_say(
                    *trained.addresses(place), clips.data_ptr(), len(clips), said.data_ptr()
                )
                for task, of_task, labels in zip(self._tasks, said, self._labels, strict=True):
                    name = f"{prefix}{task}_{trained.name}"
                    accuracies[name] = (of_task == labels[clips]).float().mean().item()
                    classes[name] = of_task.numpy()
        return Probed(accuracies, classes, self._importance(heads[-1]))

    def _importance(self, joint: _Trained) -> NDArray[np.float64]:
        """(G, F, tasks) of the chosen weights of the head on all blocks."""
        weights = torch.empty(int(self._classes.sum()), self._blocks, self._width)
        self._library.probe_kept(
            ctypes.byref(joint.head), joint.state.data_ptr(), weights.data_ptr()
        )
        by_task = torch.split(weights.abs(), self._classes.tolist())
        importance: NDArray[np.float64] = (
            torch.stack([of_task.sum(0) for of_task in by_task], dim=-1).double().numpy()
        )
        return importance
