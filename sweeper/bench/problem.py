"""What every method trains: the same runs, clips, first weights and batches.

Letters: N clips, T tokens, D features of a token, B pairs of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.multiview import ModelShape
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.pairs import LabelledLatents, batches, training_pairs
from models.spec import LossSpec, ModelSpec, TrainingSpec
from sweeper.study.config import RunConfig
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import make_packs
from sweeper.study.presets import Preset

MODEL = ModelSpec(pool="flatten")
_FAMILIES, _PITCHES = 10, 88
_NOISE = 0.5
_TRAIN, _VALID = 1, 2  # seeds of the clips


@dataclass(frozen=True)
class Problem:
    """Runs and the sizes of their data. The default data are 8 frames × 128 bands."""

    runs: tuple[PackRun, ...]
    tokens: int = 8
    features: int = 128
    batch_pairs: int = 16
    steps: int = 32  # of an epoch
    lr: float = 1e-4
    weight_decay: float = 1e-3
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    @property
    def rows(self) -> int:
        """Tokens of both views of a batch."""
        return self.tokens * 2 * self.batch_pairs

    @property
    def shape(self) -> ModelShape:
        return ModelShape.of(self.runs[0].kind, self.features, MODEL)

    def clips(self) -> LabelledLatents:
        """The training clips; the same for all problems of equal sizes."""
        return synthetic_clips(self.steps * self.batch_pairs, self.tokens, self.features, _TRAIN)

    def trainer(self, native: bool = True, precision: str = "ieee") -> PackTrainer:
        """Ours, from the first weights; its steps are torch's if not `native`.

        It validates on one batch an epoch: baselines do not.
        """
        valid = synthetic_clips(self.batch_pairs, self.tokens, self.features, _VALID)
        training = TrainingSpec(
            batch_pairs=self.batch_pairs,
            lr=self.lr,
            weight_decay=self.weight_decay,
            precision=precision,
        )
        return PackTrainer(
            self.runs,
            self.clips(),
            valid,
            MODEL,
            training,
            device=self.device,
            dtype=self.dtype,
            native=native,
        )

    def latents(self) -> Tensor:
        """Latents (N, T, D) of the training clips, as the baselines take them."""
        return self.clips().latents.to(self.device, self.dtype)

    def batches(self, run: PackRun, epoch: int) -> Tensor:
        """Clips (steps, 2, B) of an epoch of a run, counted from 0."""
        clips = self.clips()
        sampler = clips.sampler(run.pairing)
        pairs = training_pairs(sampler, run.seed, epoch)
        return torch.from_numpy(batches(pairs, self.batch_pairs))


def synthetic_clips(count: int, tokens: int, features: int, seed: int) -> LabelledLatents:
    """Standardised latents (count, tokens, features): a family's, a pitch's, and noise."""
    generator = np.random.default_rng(seed)
    # Few clips have few families, so that every clip has a partner.
    family = np.arange(count) % max(1, min(_FAMILIES, count // 8))
    pitch = generator.integers(0, _PITCHES, count)
    world = np.random.default_rng(0)
    families, pitches = world.normal(size=(2, _PITCHES, tokens, features))
    latents = families[family] + pitches[pitch]
    latents += _NOISE * generator.normal(size=latents.shape)
    latents /= math.sqrt(2 + _NOISE**2)
    return LabelledLatents(torch.from_numpy(latents.astype(np.float32)), family, pitch)


def grid_runs(count: int) -> list[RunConfig]:
    """Runs of the paper's grid that have both losses (0 < λ < 1): 36 a seed, γ = 1."""
    study = Preset(loss=LossSpec(gamma="fixed:1"))
    per_seed = [cell for cell in load_grid("full").cells(1) if cell.lam and cell.lam < 1]
    seeds = math.ceil(count / len(per_seed))
    cells = [cell for cell in load_grid("full").cells(seeds) if cell.lam and cell.lam < 1]
    return [run_config(cell, study) for cell in cells[:count]]


def auto_packs(count: int, slots: int) -> list[tuple[PackRun, ...]]:
    """Runs of the grid, packed as `--pack auto` would for so many slots."""
    return [tuple(map(pack_run, pack.runs)) for pack in make_packs(grid_runs(count), slots)]


def pack_run(config: RunConfig) -> PackRun:
    """The trainer's view of a run of the grid, named for a reader."""
    assert config.loss is not None and config.lam is not None
    return PackRun(
        key=f"{config.principle} {config.objective} λ={config.lam:g} seed {config.seed}",
        seed=config.seed,
        principle=config.principle,
        objective=config.objective,
        lam=config.lam,
        loss=config.loss,
    )


def equal_runs(count: int) -> tuple[PackRun, ...]:
    """Runs of equal cost, for comparing packs of different sizes: one objective, many λ."""
    return tuple(
        PackRun(
            key=f"Cosine SIM+SEP, number {number}",
            principle="Cosine",
            objective="SIM+SEP",
            lam=(number + 1) / (count + 1),
            loss=LossSpec(gamma="fixed:1"),
        )
        for number in range(count)
    )
