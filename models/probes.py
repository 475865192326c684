"""Linear probes (paper, section 3.4) on the frozen features of all runs of a pack together.

Letters: K runs, G blocks of features (private and shared, or one), N clips, B clips of a batch,
F features of a block, C outputs of all tasks together, M heads = blocks + 1, or 1 with one block.

The logits of a head on the concatenation are the sum of the logits of its blocks, so a block's
weights are one (F, 2·C) matrix: C columns for the head on the block alone, C for the head on all
blocks. Two products a run and step thus serve all six heads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.adamw import FlatAdamW

HEADS = {1: ("overall",), 2: ("private", "shared", "overall")}  # by number of blocks

# A unit that hardly moves is dead: dividing by its deviation would blow up rounding errors.
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class ProbeSpec:
    """How the heads are trained."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.5


@dataclass(frozen=True)
class ProbeTask:
    """What a head predicts."""

    labels: NDArray[Any]  # (N,) from 0 to classes − 1
    classes: int


@dataclass(frozen=True)
class Split:
    """Clips (indices into N) for training, for choosing the epoch, and for the reported score."""

    train: NDArray[Any]
    valid: NDArray[Any]
    test: NDArray[Any]


def train_probes(
    features: Sequence[Tensor],
    tasks: Mapping[str, ProbeTask],
    split: Split,
    spec: ProbeSpec,
    seed: int,
) -> list[dict[str, float]]:
    """Accuracies of the heads of each run, in order.

    `features`: (G, N, F) for each run, all of one shape; two blocks are private and shared, one
    has only `overall` heads. A run's scores are `pitch_private` … for the test clips and
    `valid_pitch_private` … for the validation clips, at the epoch with the best validation
    accuracy of that head (the earliest of equals). Batches, dropout masks and first weights are
    functions of the seed alone. ValueError when labels or the split do not fit.
    """
    _check(features, tasks, split)
    x = _standardised(torch.stack(list(features)).float(), split.train)
    trainer = _Trainer(x, tasks, split, spec, seed)
    for _ in range(spec.epochs):
        trainer.train_epoch()
        trainer.choose()
    return trainer.scores()


class _Trainer:
    def __init__(
        self,
        x: Tensor,  # (K, G, N, F)
        tasks: Mapping[str, ProbeTask],
        split: Split,
        spec: ProbeSpec,
        seed: int,
    ) -> None:
        self._spec, self._tasks = spec, tasks
        self._parts = {
            name: torch.as_tensor(part, device=x.device, dtype=torch.long)
            for name, part in (("train", split.train), ("valid", split.valid), ("test", split.test))
        }
        self._x = x
        self._runs, self._blocks, _, self._features = x.shape
        self._labels = [
            torch.as_tensor(task.labels, device=x.device, dtype=torch.long)
            for task in tasks.values()
        ]
        self._classes = [task.classes for task in tasks.values()]
        self._generator = torch.Generator().manual_seed(seed)
        self._heads = HEADS[self._blocks]
        self._set_up_weights()
        shape = (self._runs, len(self._heads), len(tasks))
        self._best_accuracy = x.new_full(shape, -1.0)

    def _set_up_weights(self) -> None:
        outputs, heads = sum(self._classes), len(self._heads)
        own = outputs if heads == 1 else 2 * outputs
        sizes = (self._runs, self._blocks, self._features, own), (self._runs, heads, 1, outputs)
        count = [math.prod(size) for size in sizes]
        flat = self._x.new_zeros(sum(count))
        gradient = torch.zeros_like(flat)
        self._flat, self._best = flat, torch.zeros_like(flat)
        self._w, self._b = _views(flat, count, sizes)
        self._dw, self._db = _views(gradient, count, sizes)
        self._draw_weights(outputs)
        self._optimizer = FlatAdamW(flat, gradient, self._spec.lr, self._spec.weight_decay)

    def _draw_weights(self, outputs: int) -> None:
        """nn.Linear's bounds, the same draw for every run."""
        alone, joint = (
            1 / math.sqrt(width) for width in (self._features, self._blocks * self._features)
        )
        scale = torch.full((self._w.shape[-1],), joint)
        scale[:-outputs] = alone
        self._w.copy_(self._uniform(self._w.shape[1:]) * scale)
        biases = self._uniform(self._b.shape[1:])
        biases[:-1] *= alone
        biases[-1] *= joint
        self._b.copy_(biases)

    def _uniform(self, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=self._generator) * 2 - 1

    def train_epoch(self) -> None:
        """One pass over the probe-train clips, the last partial batch included."""
        train = self._parts["train"]
        order = train[torch.randperm(len(train), generator=self._generator).to(train.device)]
        for batch in torch.split(order, self._spec.batch):
            self._step(batch)

    def _step(self, batch: Tensor) -> None:
        x = self._x[:, :, batch]  # (K, G, B, F)
        x *= self._dropout_mask(len(batch))
        dlogits = self._softmax_errors(_logits(x, self._w, self._b), batch)  # (K, M, B, C)
        torch.sum(dlogits, 2, keepdim=True, out=self._db)
        own, joint = dlogits[:, :-1], dlogits[:, -1:]
        if self._blocks > 1:
            joint = torch.cat((own, joint.expand_as(own)), dim=-1)
        torch.bmm(x.flatten(0, 1).mT, joint.flatten(0, 1), out=self._dw.flatten(0, 1))
        self._optimizer.step()

    def _dropout_mask(self, size: int) -> Tensor:
        """Inverted dropout (G, B, F): one mask for all runs and heads."""
        keep = 1 - self._spec.dropout
        mask = torch.empty(self._blocks, size, self._features)
        return mask.bernoulli_(keep, generator=self._generator).div_(keep).to(self._x.device)

    def _softmax_errors(self, logits: Tensor, batch: Tensor) -> Tensor:
        """Gradient of the mean cross-entropy of each head, in place of the logits (K, M, B, C)."""
        for part, labels in self._by_task(logits):
            part.copy_(part.softmax(-1))
            target = labels[batch][:, None].expand(*part.shape[:-1], 1)
            part.scatter_add_(-1, target, part.new_full((), -1.0).expand(target.shape))
        return logits.div_(len(batch))

    def _by_task(self, logits: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(torch.split(logits, self._classes, dim=-1), self._labels, strict=True)

    def choose(self) -> None:
        """Keep the weights of each head whose validation accuracy is its best so far."""
        accuracy = self._accuracy(self._flat, "valid")
        better = accuracy > self._best_accuracy
        self._best_accuracy = torch.where(better, accuracy, self._best_accuracy)
        classes = torch.tensor(self._classes, device=better.device)
        columns = better.repeat_interleave(classes, dim=2)[:, :, None]  # (K, M, 1, C)
        own, joint = columns[:, :-1], columns[:, -1:]
        if self._blocks > 1:
            joint = torch.cat((own, joint.expand_as(own)), dim=-1)
        for best, current, mask in zip(
            self._split_flat(self._best), (self._w, self._b), (joint, columns), strict=True
        ):
            torch.where(mask, current, best, out=best)

    def _split_flat(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        shapes = self._w.shape, self._b.shape
        return _views(flat, [math.prod(shape) for shape in shapes], shapes)

    def _accuracy(self, flat: Tensor, part: str) -> Tensor:
        """Accuracies (K, M, tasks) of weights on a part of the clips."""
        clips = self._parts[part]
        logits = _logits(self._x[:, :, clips], *self._split_flat(flat))
        right = [
            (own.argmax(-1) == labels[clips]).float().mean(-1)
            for own, labels in self._by_task(logits)
        ]
        return torch.stack(right, dim=-1)

    def scores(self) -> list[dict[str, float]]:
        """Test and validation accuracies of the chosen weights, by name, for each run."""
        tables = {"": self._accuracy(self._best, "test"), "valid_": self._best_accuracy}
        return [
            {
                f"{prefix}{task}_{head}": float(table[run, place, number])
                for prefix, table in tables.items()
                for number, task in enumerate(self._tasks)
                for place, head in enumerate(self._heads)
            }
            for run in range(self._runs)
        ]


def _logits(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Logits (K, M, B, C) of features (K, G, B, F)."""
    outputs = b.shape[-1]
    own = torch.bmm(x.flatten(0, 1), w.flatten(0, 1)).view(*x.shape[:3], -1)
    joint = own[..., -outputs:].sum(1, keepdim=True)
    if x.shape[1] > 1:
        joint = torch.cat((own[..., :outputs], joint), dim=1)
    return joint.add_(b)


def _views(
    flat: Tensor, counts: Sequence[int], shapes: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    w, b = torch.split(flat, list(counts))
    return w.view(tuple(shapes[0])), b.view(tuple(shapes[1]))


def _standardised(x: Tensor, train: NDArray[Any]) -> Tensor:
    """Features (K, G, N, F) with the mean and deviation of the probe-train clips taken out."""
    own = x[:, :, torch.as_tensor(train, device=x.device, dtype=torch.long)]
    mean, deviation = own.mean(2, keepdim=True), own.std(2, keepdim=True)
    return x.sub_(mean).div_(deviation.clamp(min=SMALLEST_DEVIATION))


def _check(features: Sequence[Tensor], tasks: Mapping[str, ProbeTask], split: Split) -> None:
    shapes = {tuple(own.shape) for own in features}
    blocks, clips = next(iter(shapes), (0, 0))[:2]
    if len(shapes) != 1 or blocks not in HEADS:
        raise ValueError(f"probes need features of one shape (1 or 2, N, F); got {sorted(shapes)}")
    if min(len(split.train) - 1, len(split.valid), len(split.test)) < 1:
        raise ValueError("a probe split has an empty part; use more downstream clips")
    for name, task in tasks.items():
        if len(task.labels) != clips:
            raise ValueError(f"task {name} has {len(task.labels)} labels for {clips} clips")
        if not 0 <= int(np.min(task.labels)) <= int(np.max(task.labels)) < task.classes:
            raise ValueError(f"labels of task {name} are not all from 0 to {task.classes - 1}")
