"""Tables of the results database, and the `results` view that users and figures read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Text, UniqueConstraint, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION = 1

TASKS = ("pitch", "instrument")
SUBSPACES = ("private", "shared", "overall")
ACCURACIES = tuple(f"{task}_{subspace}" for task in TASKS for subspace in SUBSPACES)


class Base(DeclarativeBase):
    """Base of every table."""


class Meta(Base):
    """One row: the version of this schema."""

    __tablename__ = "meta"

    schema_version: Mapped[int] = mapped_column(primary_key=True)


class Sweep(Base):
    """A named set of cells, and the options that a resume needs again."""

    __tablename__ = "sweeps"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    options: Mapped[str] = mapped_column(Text)  # JSON: grid, preset, seeds, dataset, encoder, …
    created: Mapped[datetime] = mapped_column(server_default=func.now())
    launched: Mapped[datetime] = mapped_column(server_default=func.now())  # "the latest sweep"


class Run(Base):
    """One resolved config. Any number of cells, of any sweep, may show the same run."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)  # SHA-256 of the canonical config
    config: Mapped[str] = mapped_column(Text)  # the JSON that was hashed, less the version
    created: Mapped[datetime] = mapped_column(server_default=func.now())


class CellRow(Base):
    """A grid point of a sweep, and the run that fills it."""

    __tablename__ = "cells"
    __table_args__ = (UniqueConstraint("sweep_id", "label"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    label: Mapped[str]
    kind: Mapped[str]
    principle: Mapped[str | None]
    objective: Mapped[str | None]
    lam: Mapped[float | None]
    seed: Mapped[int]


class Attempt(Base):
    """One try at a run. Rows are added and closed, never deleted."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id"))
    pack: Mapped[str]  # the pack, and so the Ray trial, that it was trained in
    state: Mapped[str]  # running, finished, diverged, failed, interrupted
    cause: Mapped[str | None]  # one line: why it did not finish
    traceback: Mapped[str | None] = mapped_column(Text)
    host: Mapped[str | None]
    device: Mapped[str | None]
    git_commit: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    versions: Mapped[str | None] = mapped_column(Text)  # JSON: sweeper, torch, ray, python
    started: Mapped[datetime] = mapped_column(server_default=func.now())
    ended: Mapped[datetime | None]
    seconds: Mapped[float | None]  # the pack's training and probing time, shared by its runs


class Epoch(Base):
    """Losses of one epoch of one attempt; NULL where the run has no such term."""

    __tablename__ = "epochs"

    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)  # from 1
    train_total: Mapped[float | None]
    train_rec: Mapped[float | None]
    train_dis: Mapped[float | None]
    valid_total: Mapped[float | None]
    valid_rec: Mapped[float | None]
    valid_dis: Mapped[float | None]


class Score(Base):
    """What a finished run scored. The primary key admits one row a run: exactly once."""

    __tablename__ = "scores"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"))
    mse: Mapped[float | None]  # on the downstream clips; NULL where no decoder is trained
    gamma: Mapped[float | None]  # weight of the reconstruction, frozen before training
    best_epoch: Mapped[int | None]  # from 1, by total validation loss
    valid_rec: Mapped[float | None]  # validation L_rec at the best epoch
    valid_size: Mapped[int]  # clips behind the validation accuracies
    test_size: Mapped[int]  # clips behind the test accuracies
    pitch_private: Mapped[float | None]
    pitch_shared: Mapped[float | None]
    pitch_overall: Mapped[float | None]
    instrument_private: Mapped[float | None]
    instrument_shared: Mapped[float | None]
    instrument_overall: Mapped[float | None]
    valid_pitch_private: Mapped[float | None]
    valid_pitch_shared: Mapped[float | None]
    valid_pitch_overall: Mapped[float | None]
    valid_instrument_private: Mapped[float | None]
    valid_instrument_shared: Mapped[float | None]
    valid_instrument_overall: Mapped[float | None]


# A cell is finished when its run has scores; otherwise it shows its run's latest attempt.
_STATE = """CASE WHEN scores.run_id IS NOT NULL THEN 'finished' ELSE COALESCE(
    (SELECT attempts.state FROM attempts WHERE attempts.run_id = cells.run_id
     ORDER BY attempts.id DESC LIMIT 1), 'pending') END"""

RESULTS_VIEW = f"""CREATE VIEW results AS SELECT
    sweeps.name AS sweep, cells.label, cells.kind, cells.principle, cells.objective,
    cells.lam, cells.seed, {_STATE} AS state, runs.key AS run_key,
    scores.mse, scores.gamma, scores.best_epoch, scores.test_size, scores.valid_size,
    {", ".join(f"scores.{name}" for name in ACCURACIES)},
    {", ".join(f"scores.valid_{name}" for name in ACCURACIES)},
    scores.pitch_private - scores.pitch_shared AS delta_pitch,
    scores.instrument_shared - scores.instrument_private AS delta_instrument
FROM cells
JOIN sweeps ON sweeps.id = cells.sweep_id
JOIN runs ON runs.id = cells.run_id
LEFT JOIN scores ON scores.run_id = cells.run_id"""
