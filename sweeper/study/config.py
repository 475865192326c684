"""Run configs: frozen, complete, hashed.

A run's key is the SHA-256 of the canonical JSON of its full resolved config. Fields that play
no part in a run (the principle at λ = 1, the temperature of a VICReg run) are resolved to None,
so that equal trainings have equal keys: the nine λ = 1 cells of a seed are one run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Part of every key: raise it when the same config would train to another result.
RESULT_VERSION = 1

KINDS = ("multiview", "encoder", "cl-pitch", "cl-instrument")
BASELINES = ("encoder", "cl-pitch", "cl-instrument")


# Rules for γ: L_rec at initialisation, at convergence (known from the reconstruction-only run of
# the same seed), or the geometric mean of the two. `fixed:x` needs neither.
REFERRING_GAMMAS = ("geometric-ratio", "converged-ratio")
GAMMAS = ("init-ratio", *REFERRING_GAMMAS)


@dataclass(frozen=True)
class DataConfig:
    """Clips and the latents that a frozen encoder makes of them."""

    dataset: str = "notes"
    encoder: str = "logmel"
    train_clips: int = 10_000
    valid_clips: int = 5_000
    downstream_clips: int = 4_096
    fingerprint: str = ""  # digest of everything that made the latents: audio, splits, encoder


@dataclass(frozen=True)
class ModelConfig:
    """Two-layer encoders and decoder (paper, section 2.1)."""

    hidden: int | None = None  # None: as wide as the latents (H = D)
    latent_activation: str = "none"  # or "relu", on the encoders' output
    pool: str = "encoder"  # "flatten" | "mean" | "encoder": as the frozen encoder advises


@dataclass(frozen=True)
class LossConfig:
    """Objectives (paper, section 2.2) and the weight of the reconstruction (equation 5)."""

    temperature: float | None = 1.0  # InfoNCE-SIM
    epsilon: float | None = 1e-6  # clamp of the logarithms
    vicreg: tuple[float, float, float] | None = (
        25.0,
        25.0,
        1.0,
    )  # invariance, variance, covariance
    gamma: str | None = "geometric-ratio"  # one of GAMMAS, or "fixed:x"


@dataclass(frozen=True)
class TrainingConfig:
    epochs: int = 100
    batch_pairs: int = 16
    lr: float = 1e-4
    weight_decay: float = 1e-3
    precision: str = "ieee"  # of the layers' products; or "tf32" (on a GPU alone), "bf16"


@dataclass(frozen=True)
class ProbeConfig:
    """Linear heads on frozen features (paper, section 3.4)."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.5


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a result; `resolved` before it is hashed."""

    kind: str
    seed: int
    principle: str | None
    objective: str | None
    lam: float | None
    data: DataConfig
    model: ModelConfig | None
    loss: LossConfig | None
    training: TrainingConfig | None
    probe: ProbeConfig

    @cached_property
    def key(self) -> str:
        """SHA-256 of the resolved config, 64 hex digits."""
        document = {"result_version": RESULT_VERSION, **dataclasses.asdict(self.resolved())}
        return hashlib.sha256(canonical_json(document).encode()).hexdigest()

    def resolved(self) -> RunConfig:
        """The same run with every field that cannot change its result set to None."""
        if self.kind == "encoder":
            return dataclasses.replace(
                self, principle=None, objective=None, lam=None, model=None, loss=None, training=None
            )
        if self.kind in ("cl-pitch", "cl-instrument"):
            loss = dataclasses.replace(self._loss, vicreg=None, gamma=None, epsilon=None)
            return dataclasses.replace(
                self, principle="InfoNCE", objective=None, lam=None, loss=loss
            )
        if self.lam == 1:
            return dataclasses.replace(self, principle=None, objective=None, loss=None, lam=1.0)
        return dataclasses.replace(self, loss=self._resolved_loss(), lam=float(self.lam or 0))

    @property
    def _loss(self) -> LossConfig:
        return self.loss or LossConfig()

    def _resolved_loss(self) -> LossConfig:
        loss = self._loss
        return dataclasses.replace(
            loss,
            temperature=loss.temperature if self.principle == "InfoNCE" else None,
            epsilon=None if self.principle == "VICReg" else loss.epsilon,
            vicreg=loss.vicreg if self.principle == "VICReg" else None,
            gamma=loss.gamma if self.lam else None,  # λ = 0: no reconstruction to weigh
        )

    def to_json(self) -> str:
        return canonical_json(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        raw = json.loads(text)
        loss = raw["loss"]
        if loss is not None and loss["vicreg"] is not None:
            loss["vicreg"] = tuple(loss["vicreg"])
        return cls(
            **{
                **raw,
                "data": DataConfig(**raw["data"]),
                "model": _maybe(ModelConfig, raw["model"]),
                "loss": _maybe(LossConfig, loss),
                "training": _maybe(TrainingConfig, raw["training"]),
                "probe": ProbeConfig(**raw["probe"]),
            }
        )


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """What sets two configs apart, field by field: `training.epochs 2 → 3`."""
    before, after = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    names = dict.fromkeys([*before, *after])
    return [
        f"{name} {before.get(name)} → {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def canonical_json(document: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal documents give equal text."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _maybe(cls: type[Any], raw: dict[str, Any] | None) -> Any:
    return None if raw is None else cls(**raw)
