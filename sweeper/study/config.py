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

from analysis.factors import PAPER
from models.spec import CL, LossSpec, ModelSpec, ProbeSpec, TrainingSpec, number
from sweeper.errors import SweeperError

# Part of every key: raise it when the same config would train to another result.
RESULT_VERSION = 1

# Fields (`field` or `section.field`) that came after the first keys, with the values that runs had
# before: such a value is left out of the key, so that a new field renames no run that is trained.
LATER_FIELDS = {
    "principle_code": None,
    "data.split": "clip",
    "loss.options": None,
    "share": PAPER.share,
    "differ": PAPER.differ,
    "tasks": PAPER.tasks,
}

# What reading a document raises that is none.
NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

MOST_CLIPS = 10_000_000
SPLITS_BY = ("note", "clip")


@dataclass(frozen=True)
class DataConfig:
    """Clips and the latents that a frozen encoder makes of them."""

    dataset: str = "notes"
    encoder: str = "logmel"
    train_clips: int = 10_000
    valid_clips: int = 5_000
    downstream_clips: int = 4_096
    # How downstream clips are divided for the probes: by "note", so that none is tested on a note
    # (instrument and pitch) that it was trained on at another velocity, or by "clip".
    split: str = "note"
    fingerprint: str = ""  # digest of everything that made the latents: audio, splits, encoder

    def check(self) -> None:
        """ValueError for a name that is none, or a number of clips that nobody has."""
        for name, value in (("data.dataset", self.dataset), ("data.encoder", self.encoder)):
            if not isinstance(value, str) or not value:
                raise ValueError(f"{name} = {value!r}: a name is expected")
        if self.split not in SPLITS_BY:
            raise ValueError(f"unknown split '{self.split}' in [data]; choose note or clip")
        for name in ("train_clips", "valid_clips", "downstream_clips"):
            number(f"data.{name}", getattr(self, name), 1, MOST_CLIPS, whole=True)


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a result; `resolved` before it is hashed."""

    kind: str
    seed: int
    principle: str | None
    objective: str | None
    lam: float | None
    data: DataConfig
    model: ModelSpec | None
    loss: LossSpec | None
    training: TrainingSpec | None
    probe: ProbeSpec
    principle_code: str | None = None  # of a principle that is not as shipped: study/code.py
    # What the views of a pair share, and in what they differ; the paper's where that plays no part.
    share: str = PAPER.share
    differ: str = PAPER.differ
    tasks: tuple[str, ...] = PAPER.tasks  # that are probed

    @cached_property
    def key(self) -> str:
        """SHA-256 of the resolved config, 64 hex digits."""
        return _digest(self.resolved()._document())

    @property
    def former_key(self) -> str | None:
        """The key before `training.precision` existed; None where there was no such run."""
        document = self.resolved()._document()
        training = document["training"]
        if training is None or training.pop("precision") != TrainingSpec.precision:
            return None
        return _digest(document)

    def resolved(self) -> RunConfig:
        """The same run with every field that cannot change its result set to None."""
        if self.kind != "multiview" and (self.share, self.differ) != (PAPER.share, PAPER.differ):
            return dataclasses.replace(self, share=PAPER.share, differ=PAPER.differ).resolved()
        if self.kind == "encoder":
            untrained = dict.fromkeys(
                ("principle", "objective", "lam", "model", "loss", "training", "principle_code")
            )
            return dataclasses.replace(self, **untrained)  # type: ignore[arg-type]
        if self.kind.startswith(CL):
            loss = dataclasses.replace(
                self._loss, vicreg=None, gamma=None, epsilon=None, options=None
            )
            return dataclasses.replace(
                self, principle="InfoNCE", objective=None, lam=None, loss=loss
            )
        if self.lam == 1:
            alone = dict.fromkeys(("principle", "objective", "loss", "principle_code"))
            return dataclasses.replace(self, lam=1.0, **alone)  # type: ignore[arg-type]
        return dataclasses.replace(self, loss=self._resolved_loss(), lam=float(self.lam or 0))

    @property
    def _loss(self) -> LossSpec:
        return self.loss or LossSpec()

    def _resolved_loss(self) -> LossSpec:
        loss = self._loss
        return dataclasses.replace(
            loss,
            temperature=loss.temperature if self.principle == "InfoNCE" else None,
            epsilon=None if self.principle == "VICReg" else loss.epsilon,
            vicreg=loss.vicreg if self.principle == "VICReg" else None,
            gamma=loss.gamma if self.lam else None,  # λ = 0: no reconstruction to weigh
            options=loss.options or None,
        )

    def to_json(self) -> str:
        return canonical_json(self._document())

    def _document(self) -> dict[str, Any]:
        """All fields, less those of LATER_FIELDS that are as all were before there was a choice."""
        document = {name: _fields_of(getattr(self, name)) for name in _NAMES}
        for name, default in LATER_FIELDS.items():
            section, _, field = name.rpartition(".")
            fields = document[section] if section else document
            if fields is not None and fields[field] == default:
                del fields[field]
        return document

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """What `to_json` made. Raises SweeperError on anything else."""
        try:
            return cls._from_document(json.loads(text))
        except NONSENSE as error:
            raise SweeperError(
                f"a stored run config is damaged, or of a newer sweeper ({type(error).__name__}: "
                f"{error}); upgrade, or move the database away and run `sweeper recover`"
            ) from None

    @classmethod
    def _from_document(cls, raw: Any) -> RunConfig:
        for name, before in LATER_FIELDS.items():
            section, _, field = name.rpartition(".")
            fields = raw[section] if section else raw
            if fields is not None:
                fields.setdefault(field, before)
        loss = raw["loss"]
        if loss is not None and loss["vicreg"] is not None:
            loss["vicreg"] = tuple(loss["vicreg"])
        if loss is not None and loss["options"] is not None:
            loss["options"] = tuple((name, value) for name, value in loss["options"])
        return cls(
            **{
                **raw,
                "tasks": tuple(raw["tasks"]),
                "data": DataConfig(**raw["data"]),
                "model": _maybe(ModelSpec, raw["model"]),
                "loss": _maybe(LossSpec, loss),
                "training": _maybe(TrainingSpec, raw["training"]),
                "probe": ProbeSpec(**raw["probe"]),
            }
        )


def _digest(document: dict[str, Any]) -> str:
    versioned = {"result_version": RESULT_VERSION, **document}
    return hashlib.sha256(canonical_json(versioned).encode()).hexdigest()


_NAMES = [field.name for field in dataclasses.fields(RunConfig)]


def _fields_of(value: Any) -> Any:
    """A section as a dict, anything else as it is; `asdict` copies deeply, ten times as slow."""
    return dict(vars(value)) if dataclasses.is_dataclass(value) else value


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """What sets two configs apart, field by field: `training.epochs 2 → 3`."""
    changed = changes(dataclasses.asdict(old), dataclasses.asdict(new))
    return [f"{name} {before} → {after}" for name, (before, after) in changed.items()]


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Field (`section.field`) → what it was and what it is, of those that two documents differ in.

    A field that one of them lacks is None there.
    """
    before, after = _flat(old), _flat(new)
    both = {name: (before.get(name), after.get(name)) for name in [*before, *after]}
    return {name: (was, now) for name, (was, now) in both.items() if was != now}


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
