"""Presets: how large a study is. `paper` is sections 3.1 to 3.4 of the paper; the others are the
same code with fewer clips and epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

from analysis.factors import Factors
from models.names import unknown
from models.spec import LossSpec, ModelSpec, ProbeSpec, TrainingSpec
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig


@dataclass(frozen=True)
class Preset:
    """Everything of a run config but the grid point and the seed."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelSpec = field(default_factory=ModelSpec)
    loss: LossSpec = field(default_factory=LossSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    probe: ProbeSpec = field(default_factory=ProbeSpec)
    factors: Factors = field(default_factory=Factors)  # what the study asks


PRESETS = {
    # Of the encoders that need no download, the one that does best (`sweeper encoders compare`).
    "paper": Preset(data=DataConfig(encoder="mae")),
    # Minutes on two cores: fewer clips and epochs, a learning rate to match.
    "quick": Preset(
        data=DataConfig(train_clips=4_000, valid_clips=1_000, downstream_clips=4_400),
        training=TrainingSpec(epochs=8, lr=1e-3),
        probe=ProbeSpec(epochs=40, lr=3e-3),
    ),
    # Seconds: for tests and for trying the command line.
    "smoke": Preset(
        data=DataConfig(train_clips=400, valid_clips=200, downstream_clips=400),
        training=TrainingSpec(epochs=2, lr=1e-3),
        probe=ProbeSpec(epochs=3, lr=3e-3),
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name."""
    if name not in PRESETS:
        raise SweeperError(unknown("preset", name, PRESETS))
    return PRESETS[name]
