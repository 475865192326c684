"""Linear probes (paper, section 3.4) on the frozen features of all runs of a pack together.

Letters: K runs, G blocks of features (private and shared, or one), N clips, B clips of a batch,
F features of a block, C outputs of all tasks together, M heads = blocks + 1, or 1 with one block.

The logits of a head on the concatenation are the sum of the logits of its blocks, so a block's
weights are one (F, 2·C) matrix: C columns for the head on the block alone, C for the head on all
blocks. Two products a run and step thus serve all six heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.adamw import FlatAdamW
from models.spec import ProbeSpec

HEADS = {1: ("overall",), 2: ("private", "shared", "overall")}  # by number of blocks

# A unit that hardly moves is dead: dividing by its deviation would blow up rounding errors.
SMALLEST_DEVIATION = 1e-6

# Runs probed at once: on a CPU as many as keep weights and moments in the cache, elsewhere as many
# as have so many bytes of features. Probing takes about four times their bytes.
CHUNK = {"cpu": 4}
CHUNK_BYTES = 2**30

_PROBES = 2  # a stream of random numbers apart from those of pairs


@dataclass(frozen=True)
class ProbeTask:
    """What a head predicts."""

    labels: NDArray[Any]  # (N,) from 0 to classes − 1
    classes: int


@dataclass(frozen=True)
class ProbeSplit:
    """Clips (indices into N) for training, for choosing the epoch, and for the reported score."""

    train: NDArray[Any]
    valid: NDArray[Any]
    test: NDArray[Any]


@dataclass(frozen=True)
class Probed:
    """What the probes of one run said, by head: `pitch_private`, `valid_pitch_private`, …

    Without a prefix of the test clips, with `valid_` of the validation clips.
    """

    accuracies: dict[str, float]
    classes: dict[str, NDArray[np.int64]]  # predicted, one a clip of the part, in its order
    # (G, F, tasks): Σ over its classes of the head on all blocks' weights of a feature, unsigned
    importance: NDArray[np.float64]


def train_probes(
    features: Sequence[Tensor],
    tasks: Mapping[str, ProbeTask],
    split: ProbeSplit,
    spec: ProbeSpec,
    seed: int,
    on_epoch: Callable[[float], None] = lambda runs: None,
) -> list[Probed]:
    """What the heads of each run say, in order.

    `on_epoch` is told after each epoch how much probing that was: 1 is all of one run's.

    `features`: (G, N, F) for each run, all of one shape; two blocks are private and shared, one
    has only `overall` heads. A head speaks at the epoch with its best validation accuracy (the
    earliest of equals). Batches, dropout masks and first weights are functions of the seed alone.
    ValueError when labels or the split do not fit.
    """
    check(features, tasks, split)
    torch.set_flush_denormal(True)  # AdamW's moments of dead units: see models.pack.trainer
    probed = []
    size = runs_at_once(features[0].device.type, features[0].numel())
    for start in range(0, len(features), size):
        x = torch.stack(list(features[start : start + size])).float()
        heads = _Heads(_standardised(x, split.train), tasks, split, spec, Draws(seed))
        for _ in range(spec.epochs):
            heads.train_epoch()
            heads.choose()
            on_epoch(len(x) / spec.epochs)
        probed += heads.probed()
    return probed


def runs_at_once(device: str, numbers: int) -> int:
    """How many runs with so many numbers of features each are probed together."""
    fit = max(1, CHUNK_BYTES // (4 * numbers))  # as float32
    return CHUNK.get(device, fit)


class Draws:
    """The random numbers of probing: functions of the seed, so the same for all its runs."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng((_PROBES, seed))

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers from −1 to 1, float32."""
        return torch.from_numpy(self._generator.uniform(-1, 1, tuple(shape)).astype(np.float32))

    def order(self, clips: Tensor) -> Tensor:
        """The clips in the order of an epoch."""
        order = torch.from_numpy(self._generator.permutation(len(clips)))
        return clips[order.to(clips.device)]

    def bits(self, shape: Sequence[int]) -> NDArray[np.uint16]:
        """Sixteen random bits an element: thirty times faster than torch's bernoulli."""
        drawn = self._generator.bytes(2 * math.prod(shape))
        return np.frombuffer(drawn, dtype=np.uint16).reshape(shape)

    def dropout_mask(self, shape: Sequence[int], dropout: float) -> Tensor:
        """Inverted dropout: zeros with this probability (to 2⁻¹⁶), else 1 / (1 − dropout)."""
        kept = self.bits(shape) >= round(dropout * 2**16)
        return torch.from_numpy(kept).float().div_(1 - dropout)


class _Heads:
    """All heads of a few runs."""

    def __init__(
        self,
        x: Tensor,  # (K, G, N, F)
        tasks: Mapping[str, ProbeTask],
        split: ProbeSplit,
        spec: ProbeSpec,
        draws: Draws,
    ) -> None:
        self._x, self._spec, self._tasks, self._draws = x, spec, list(tasks), draws
        self._classes = [task.classes for task in tasks.values()]
        self._train, self._valid, self._test = (
            _indices(clips, x) for clips in (split.train, split.valid, split.test)
        )
        self._labels = [_indices(task.labels, x) for task in tasks.values()]
        self._names = HEADS[x.shape[1]]
        self._set_up_weights()
        self._best_accuracy = x.new_full((len(x), len(self._names), len(tasks)), -1.0)

    def _set_up_weights(self) -> None:
        runs, blocks, _, features = self._x.shape
        outputs, heads = sum(self._classes), len(self._names)
        self._shapes = (
            (runs, blocks, outputs * min(heads, 2), features),
            (runs, heads, 1, outputs),
        )
        flat = self._x.new_empty(sum(math.prod(shape) for shape in self._shapes))
        gradient = torch.zeros_like(flat)
        self._flat, self._best = flat, torch.zeros_like(flat)
        self._w, self._b = self._views(flat)
        self._dw, self._db = self._views(gradient)
        # nn.Linear's bounds: 1 / sqrt(inputs of the head)
        alone, joint = 1 / math.sqrt(features), 1 / math.sqrt(blocks * features)
        self._w[:, :, :-outputs], self._w[:, :, -outputs:] = alone, joint
        self._b[:, :-1], self._b[:, -1:] = alone, joint
        for weights in (self._w, self._b):
            weights.mul_(self._draws.uniform(weights.shape[1:]).to(flat.device))
        self._optimizer = FlatAdamW(flat, gradient, self._spec.lr, self._spec.weight_decay)

    def _views(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (K, G, 2·C or C, F) and biases (K, M, 1, C) in a flat buffer."""
        w, b = torch.split(flat, [math.prod(shape) for shape in self._shapes])
        return w.view(self._shapes[0]), b.view(self._shapes[1])

    def train_epoch(self) -> None:
        """One pass over the probe-train clips, the last partial batch included."""
        for batch in torch.split(self._draws.order(self._train), self._spec.batch):
            self._step(batch)

    def _step(self, batch: Tensor) -> None:
        x = self._gathered(batch)
        _, blocks, size, features = x.shape
        mask = self._draws.dropout_mask((blocks, size, features), self._spec.dropout)
        x.mul_(mask.to(x.device))
        dlogits = self._softmax_errors(_logits(x, self._w, self._b), batch)  # (K, M, B, C)
        # db = Σ over clips of dlogits
        torch.sum(dlogits, 2, keepdim=True, out=self._db)
        # dW = dlogitsᵀ · x, a block's logits beside those of the head on all blocks, their sum
        douts = _spread_over_blocks(dlogits, blocks).flatten(0, 1)  # (K·G, B, 2·C)
        torch.bmm(douts.mT, x.flatten(0, 1), out=self._dw.flatten(0, 1))
        self._optimizer.step()

    def _gathered(self, clips: Tensor) -> Tensor:
        """Copies (K, G, B, F) of some clips' features."""
        return self._x.flatten(0, 1).index_select(1, clips).view(*self._x.shape[:2], len(clips), -1)

    def _softmax_errors(self, logits: Tensor, batch: Tensor) -> Tensor:
        """Gradient of the mean cross-entropy of each head, in place of the logits (K, M, B, C)."""
        # dlogits = (softmax(logits) − one-hot label) / B
        for of_task, labels in self._by_task(logits):
            of_task.copy_(of_task.softmax(-1))
            target = labels[batch][:, None].expand(*of_task.shape[:-1], 1)
            of_task.scatter_add_(-1, target, of_task.new_full((), -1.0).expand(target.shape))
        return logits.div_(len(batch))

    def _by_task(self, logits: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(torch.split(logits, self._classes, dim=-1), self._labels, strict=True)

    def choose(self) -> None:
        """Keep the weights of each head whose validation accuracy is its best so far."""
        accuracy = self._accuracy(self._flat, self._valid)
        better = accuracy > self._best_accuracy
        self._best_accuracy = torch.where(better, accuracy, self._best_accuracy)
        classes = torch.tensor(self._classes, device=better.device)
        outputs = better.repeat_interleave(classes, dim=2)[:, :, None]  # (K, M, 1, C)
        rows = _spread_over_blocks(outputs, self._w.shape[1]).mT  # (K, G, 2·C, 1)
        best_w, best_b = self._views(self._best)
        torch.where(rows, self._w, best_w, out=best_w)
        torch.where(outputs, self._b, best_b, out=best_b)

    def _accuracy(self, flat: Tensor, clips: Tensor) -> Tensor:
        """Accuracies (K, M, tasks) of weights on some clips."""
        logits = _logits(self._gathered(clips), *self._views(flat))
        right = [
            (of_task.argmax(-1) == labels[clips]).float().mean(-1)
            for of_task, labels in self._by_task(logits)
        ]
        return torch.stack(right, dim=-1)

    def probed(self) -> list[Probed]:
        """What the chosen weights say of test and validation clips, for each run."""
        runs = [Probed({}, {}, importance) for importance in self._importance()]
        for prefix, clips in {"": self._test, "valid_": self._valid}.items():
            logits = _logits(self._gathered(clips), *self._views(self._best))
            for task, (of_task, labels) in zip(self._tasks, self._by_task(logits), strict=True):
                said = of_task.argmax(-1)  # (K, M, clips)
                right = (said == labels[clips]).float().mean(-1).tolist()
                for run, classes, accuracies in zip(runs, said.cpu().numpy(), right, strict=True):
                    names = [f"{prefix}{task}_{head}" for head in self._names]
                    run.accuracies.update(zip(names, accuracies, strict=True))
                    run.classes.update(zip(names, classes, strict=True))
        return runs

    def _importance(self) -> NDArray[np.float64]:
        """(K, G, F, tasks) of the chosen weights."""
        joint = self._views(self._best)[0][:, :, -sum(self._classes) :]  # (K, G, C, F)
        by_task = torch.split(joint.abs(), self._classes, dim=2)
        summed = torch.stack([of_task.sum(2) for of_task in by_task], dim=-1)
        importance: NDArray[np.float64] = summed.double().cpu().numpy()
        return importance


def _logits(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Logits (K, M, B, C) of features (K, G, B, F)."""
    outputs = b.shape[-1]
    of_blocks = torch.bmm(x.flatten(0, 1), w.flatten(0, 1).mT).view(*x.shape[:3], -1)
    joint = of_blocks[..., -outputs:].sum(1, keepdim=True)
    if x.shape[1] > 1:
        joint = torch.cat((of_blocks[..., :outputs], joint), dim=1)
    return joint.add_(b)


def _spread_over_blocks(heads: Tensor, blocks: int) -> Tensor:
    """What concerns each block, of (K, M, …, C): its own head beside the head on all blocks."""
    if blocks == 1:
        return heads
    alone, joint = heads[:, :-1], heads[:, -1:]
    return torch.cat((alone, joint.expand_as(alone)), dim=-1)


def _indices(numbers: NDArray[Any], like: Tensor) -> Tensor:
    return torch.as_tensor(numbers, device=like.device, dtype=torch.long)


def _standardised(x: Tensor, train: NDArray[Any]) -> Tensor:
    """Features (K, G, N, F) with the mean and deviation of the probe-train clips taken out."""
    mean, deviation = moments(x, train)
    return x.sub_(mean).div_(deviation)


def moments(x: Tensor, train: NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Mean and deviation (…, 1, F) of the probe-train clips of features (…, N, F)."""
    trained = x.index_select(-2, _indices(train, x))
    deviation = trained.std(-2, keepdim=True)
    return trained.mean(-2, keepdim=True), deviation.clamp(min=SMALLEST_DEVIATION)


def check(features: Sequence[Tensor], tasks: Mapping[str, ProbeTask], split: ProbeSplit) -> None:
    """ValueError when labels or the split do not fit."""
    shapes = {tuple(of_run.shape) for of_run in features}
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
