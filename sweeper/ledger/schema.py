"""Tables of the results database; view.py has the `results` view over them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, String, Text, UniqueConstraint, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.expression import ColumnElement

# The last of the migrations (migrations/versions): what a new database starts with.
SCHEMA_VERSION = "0004"

TASKS = ("pitch", "instrument")
SUBSPACES = ("private", "shared", "overall")
PARTS = {"": "test", "valid_": "validation"}  # by the prefix of their columns in `results`
ACCURACIES = tuple(f"{task}_{subspace}" for task in TASKS for subspace in SUBSPACES)


# The database's clock, the only one that leases are timed by.
NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "extract(epoch FROM clock_timestamp())::double precision",
}


class db_now(ColumnElement[float]):
    """Seconds since 1970 as the database tells them."""

    inherit_cache = True
    type = Float()


@compiles(db_now)
def _compile(_element: db_now, compiler: Any, **_options: Any) -> str:
    return NOW[compiler.dialect.name]


class Base(DeclarativeBase):
    """Base of every table."""


class SchemaVersion(Base):
    """One row: the last migration that this database has seen.

    Alembic's own table, but not by its own name, which Optuna's storage has in the same database.
    """

    __tablename__ = "schema_version"

    version_num: Mapped[str] = mapped_column(String(32), primary_key=True)


class Meta(Base):
    """One row: which ledger this is, so that its checkpoints are never taken for another's."""

    __tablename__ = "meta"

    ledger: Mapped[str] = mapped_column(String(32), primary_key=True)  # a UUID, 32 hex digits
    created: Mapped[datetime] = mapped_column(server_default=func.now())


class Sweep(Base):
    """A named set of cells, and the options that a resume needs again."""

    __tablename__ = "sweeps"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    options: Mapped[str] = mapped_column(Text)  # JSON: grid, preset, seeds, dataset, encoder, …
    launch: Mapped[int]  # grows with every launch of any sweep: "the latest" without a clock
    created: Mapped[datetime] = mapped_column(server_default=func.now())
    launched: Mapped[datetime] = mapped_column(server_default=func.now())
    note: Mapped[str | None] = mapped_column(Text)  # the user's own, by --note
    git_commit: Mapped[str | None]  # of the repository that the user launched from
    git_dirty: Mapped[bool | None]


class LeaseRow(Base):
    """Which driver holds a sweep. The row outlives its holder, so that tokens only grow."""

    __tablename__ = "leases"

    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id"), primary_key=True)
    token: Mapped[int]  # the fence: writes under a smaller one are refused
    host: Mapped[str | None]  # NULL when nobody holds the sweep
    pid: Mapped[int | None]
    process: Mapped[str | None]  # tells on the same machine whether the holder still lives
    since: Mapped[float]  # seconds since 1970 by the database's clock, and so are the next two
    heartbeat: Mapped[float]
    expires: Mapped[float]


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
    # JSON: the cell's place on every axis of its grid; the columns above are three of them.
    point: Mapped[str] = mapped_column(Text, server_default="{}")


class Attempt(Base):
    """One try at a run. Rows are added and closed, never deleted."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id"))
    token: Mapped[int]  # of the lease under which it was opened
    pack: Mapped[str] = mapped_column(index=True)  # the pack, and so the Ray trial, it was in
    state: Mapped[str]  # see states.py
    cause: Mapped[str | None]  # one line: why it did not finish
    traceback: Mapped[str | None] = mapped_column(Text)
    from_epoch: Mapped[int] = mapped_column(default=0)  # of the checkpoint that it went on from
    host: Mapped[str | None]
    device: Mapped[str | None]
    git_commit: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    versions: Mapped[str | None] = mapped_column(Text)  # JSON: sweeper, torch, ray, python, engine
    started: Mapped[datetime] = mapped_column(server_default=func.now())
    ended: Mapped[datetime | None]
    # The pack's training and probing time, shared by its runs; while it runs, that of `share`.
    seconds: Mapped[float | None]
    share: Mapped[float | None]  # of the pack's work, 0 to 1, when it was last heard of


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


def _of_score() -> Mapped[int]:
    """The run whose scores a row belongs to, and goes with."""
    return mapped_column(ForeignKey("scores.run_id", ondelete="CASCADE"), primary_key=True)


class Accuracy(Base):
    """What one probe of a finished run scored on one part of the downstream clips."""

    __tablename__ = "accuracies"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _of_score()
    part: Mapped[str] = mapped_column(primary_key=True)  # validation or test
    task: Mapped[str] = mapped_column(
        primary_key=True
    )  # pitch, instrument, or another of the study's
    subspace: Mapped[str] = mapped_column(primary_key=True)  # private, shared or overall
    accuracy: Mapped[float]


class Prediction(Base):
    """What that probe said of every clip of the part; its mean correctness is the accuracy."""

    __tablename__ = "predictions"

    run_id: Mapped[int] = _of_score()
    part: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(primary_key=True)
    subspace: Mapped[str] = mapped_column(primary_key=True)
    classes: Mapped[bytes]  # one a clip, in the order of `clips`: see analysis/predictions.py


class Measure(Base):
    """Another view of a finished run's disentanglement: see models/disentanglement.py."""

    __tablename__ = "measures"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _of_score()
    name: Mapped[str] = mapped_column(primary_key=True)  # cka, plain_pitch_shared, …
    value: Mapped[float]


class ProbeClip(Base):
    """A validation or test clip of some latents, and what is to be said of it."""

    __tablename__ = "clips"

    latents: Mapped[str] = mapped_column(primary_key=True)  # their fingerprint
    position: Mapped[int] = mapped_column(primary_key=True)  # among the downstream clips
    part: Mapped[str]
    labels: Mapped[str] = mapped_column(Text)  # JSON: its label by each factor, and its program
    note: Mapped[int]  # clips of one instrument and pitch have the same number
    twin: Mapped[bool]  # whether the probes were trained on another clip of the same note


class HistoryRow(Base):
    """What happened to a sweep beside its attempts: takeovers, spooled results, bad checkpoints."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id"))
    kind: Mapped[str]
    detail: Mapped[str] = mapped_column(Text)
    happened: Mapped[datetime] = mapped_column(server_default=func.now())


class Map(Base):
    """Clips of some latents in two dimensions, and how far labels lie apart in the latents."""

    __tablename__ = "maps"
    __table_args__ = (UniqueConstraint("latents", "method"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    latents: Mapped[str]  # their fingerprint; runs have it in config: data.fingerprint
    encoder: Mapped[str]
    tokens: Mapped[int]  # T
    width: Mapped[int]  # D
    pool: Mapped[str]  # how T × D became one vector a clip: flatten or mean
    method: Mapped[str]  # UMAP or PCA
    settings: Mapped[str] = mapped_column(Text)  # JSON: all that decides places and separation
    clips: Mapped[int]
    separation_pitch: Mapped[float | None]  # see models/maps.py
    separation_instrument: Mapped[float | None]
    created: Mapped[datetime] = mapped_column(server_default=func.now())


class MapPoint(Base):
    """One downstream clip on a map."""

    __tablename__ = "map_points"

    map_id: Mapped[int] = mapped_column(ForeignKey("maps.id"), primary_key=True)
    clip: Mapped[int] = mapped_column(primary_key=True)  # its place among the downstream clips
    x: Mapped[float]
    y: Mapped[float]
    pitch: Mapped[int]  # MIDI
    family: Mapped[str]
