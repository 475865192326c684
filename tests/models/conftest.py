"""Small clips and runs that the tests of the trainer share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.pack.runs import PackRun
from models.pairs import LabelledLatents
from models.spec import LossSpec

PRINCIPLES = ("InfoNCE", "Cosine", "VICReg")
OBJECTIVES = ("SIM", "SEP", "SIM+SEP")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Two cores are shared by whoever runs tests."""
    torch.set_num_threads(1)


def make_clips(count: int, seed: int, tokens: int = 3, features: int = 8) -> LabelledLatents:
    """Clips whose latents are the sum of a family's, a pitch's and noise."""
    generator = np.random.default_rng(seed)
    family, pitch = generator.integers(0, 3, count), generator.integers(60, 66, count)
    world = np.random.default_rng(0)  # the same families and pitches in every set of clips
    families, pitches = world.normal(size=(2, 100, tokens, features))
    noise = generator.normal(size=(count, tokens, features))
    latents = families[family] + pitches[pitch] + 0.3 * noise
    return LabelledLatents(torch.from_numpy(latents), family, pitch)


@pytest.fixture
def train() -> LabelledLatents:
    return make_clips(44, seed=1)


@pytest.fixture
def valid() -> LabelledLatents:
    return make_clips(26, seed=2)


@pytest.fixture
def grid() -> Callable[[int], list[PackRun]]:
    """All cells of a seed at three values of λ, reconstruction-only once."""

    def runs(seed: int = 0) -> list[PackRun]:
        cells = [
            PackRun(
                key=f"{principle} {objective} {lam} seed {seed}",
                seed=seed,
                principle=principle,
                objective=objective,
                lam=lam,
                loss=LossSpec(gamma="init-ratio"),
            )
            for principle in PRINCIPLES
            for objective in OBJECTIVES
            for lam in (0.0, 0.6)
        ]
        return [*cells, PackRun(key=f"reconstruction seed {seed}", seed=seed, lam=1.0)]

    return runs
