"""Pre-training of the masked autoencoder, epoch by epoch, so that it can stop and go on.

Every random number is a function of the seed and the epoch, so what is interrupted and goes on
ends as what is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.encoders.mae import Normalised
from models.encoders.mae_network import MaskedAutoencoder, Shape

SMALLEST_DEVIATION = 1e-3  # nepers: a band in which nothing ever sounds
BETAS = (0.9, 0.95)  # He et al., 2022


@dataclass(frozen=True)
class Recipe:
    """How the autoencoder is trained."""

    epochs: int = 30
    batch: int = 64
    lr: float = 1.5e-3
    weight_decay: float = 0.05  # of matrices alone
    warm_up: float = 0.05  # of all steps; then half a cosine down to nothing
    seed: int = 0

    def check(self) -> None:
        """ValueError when there can be no such training."""
        if self.epochs < 1 or self.batch < 1:
            raise ValueError("pre-training takes at least one epoch, and one clip in a batch")


class Pretraining:
    """An autoencoder, its optimizer, and the frames (N, frames, bands) that it learns from."""

    def __init__(self, frames: NDArray[np.float16], shape: Shape, recipe: Recipe) -> None:
        recipe.check()
        if len(frames) < recipe.batch or frames.shape[1:] != (shape.frames, shape.bands):
            raise ValueError(
                f"pre-training needs at least {recipe.batch} clips of "
                f"{shape.frames} × {shape.bands}; got {frames.shape}"
            )
        self.epoch = 0
        self._frames, self._recipe = frames, recipe
        mean, deviation = statistics(frames)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._model = MaskedAutoencoder(shape)
        self._front = Normalised(self._model.encoder, mean, deviation)
        self._optimizer = _optimizer(self._model, recipe)

    @property
    def steps(self) -> int:
        """Of an epoch; the last partial batch is left out."""
        return len(self._frames) // self._recipe.batch

    def train_epoch(self) -> Iterator[float]:
        """One pass over the clips in a new order; the loss of every step, as it is made."""
        rng = np.random.default_rng((self._recipe.seed, self.epoch))
        order = rng.permutation(len(self._frames))[: self.steps * self._recipe.batch]
        for step, clips in enumerate(order.reshape(self.steps, -1)):
            self._set_rate(self.epoch * self.steps + step)
            yield self._step(torch.from_numpy(self._frames[np.sort(clips)]).float(), rng)
        self.epoch += 1

    def _step(self, frames: Tensor, rng: np.random.Generator) -> float:
        patches = self._model.encoder.shape.patches
        order = torch.from_numpy(rng.random((len(frames), patches)).argsort(1))
        with torch.autocast("cpu", torch.bfloat16):
            loss: Tensor = self._model(self._front.normalise(frames), order)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.item()

    def _set_rate(self, step: int) -> None:
        lr = self._recipe.lr * rate(step / (self._recipe.epochs * self.steps), self._recipe.warm_up)
        for group in self._optimizer.param_groups:
            group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """All that another `Pretraining` needs to go on."""
        return {
            "epoch": self.epoch,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave. Raises KeyError or RuntimeError: it is another's."""
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]

    def encoder(self) -> dict[str, Tensor]:
        """The tensors of the encoder by name, the decoder left behind; see `encoders.mae`."""
        return self._front.state_dict()


def rate(done: float, warm_up: float) -> float:
    """Share of the learning rate after this share of the steps."""
    if done < warm_up:
        return done / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (done - warm_up) / (1 - warm_up))


def statistics(frames: NDArray[np.float16]) -> tuple[Tensor, Tensor]:
    """Mean and deviation (bands,) of each band, over clips and frames."""
    rows = frames.reshape(-1, frames.shape[-1])
    mean = rows.mean(0, dtype=np.float64)
    square = np.mean([np.square(row, dtype=np.float64).mean(0) for row in frames], axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, SMALLEST_DEVIATION**2))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def _optimizer(model: MaskedAutoencoder, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [weight for weight in model.parameters() if weight.ndim == 2]
    others = [weight for weight in model.parameters() if weight.ndim != 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, recipe.lr, BETAS)
