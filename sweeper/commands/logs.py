"""Finished runs as logs of another tool, by its own client: one way, once a run.

Each run is named by its key there, so that a second export adds what is new and repeats nothing.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine

from analysis.factors import SUBSPACES
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.states import State


@dataclass(frozen=True)
class Logged:
    """A finished run, as every tool takes it."""

    key: str
    name: str  # of the first of its cells
    sweep: str
    cells: Sequence[str]  # the labels of all of them
    config: Mapping[str, Any]  # by dotted names: `training.lr`
    scores: Mapping[str, float]
    epochs: Mapping[int, Mapping[str, float]]  # from 1: losses by name, those that there are


class Tool(Protocol):
    """Where runs go."""

    def __contains__(self, run: Logged) -> bool:
        """Whether an earlier export has put it there, whole."""

    def add(self, run: Logged) -> None:
        """Puts it there."""


def write_logs(engine: Engine, sweeps: Sequence[str], tool: str, out: Path) -> tuple[int, int]:
    """Writes what the tool lacks of the sweeps' finished runs; (how many, how many it had)."""
    written = had = 0
    try:
        with needing(tool):
            sink = TOOLS[tool](out)
        for run in [run for sweep in sweeps for run in runs_of(engine, sweep)]:
            if run in sink:
                had += 1
            else:
                sink.add(run)
                written += 1
    except OSError as error:
        reason = error.strerror or str(error)
        raise SweeperError(f"cannot write to {out}: {reason}; give another --out") from None
    return written, had


def runs_of(engine: Engine, sweep: str) -> Iterator[Logged]:
    """The finished runs behind a sweep's cells, each once."""
    cells = read.results(engine, sweep)
    cells = cells[cells["state"] == State.FINISHED]
    configs = {run.key: run for run in read.runs_of(engine, read.find_sweep(engine, sweep).id)}
    losses = read.losses(engine, cells["run_key"])
    for key, rows in cells.groupby("run_key", sort=False):
        row = rows.iloc[0]
        numbers = {str(name): row[name] for name in cells.columns if _is_score(name)}
        yield Logged(
            key=str(key),
            name=str(row["label"]),
            sweep=sweep,
            cells=rows["label"].tolist(),
            config=flat(json.loads(configs[str(key)].to_json())),
            scores=finite(numbers),
            epochs={epoch: finite(told) for epoch, told in losses.get(str(key), {}).items()},
        )


def _is_score(column: str) -> bool:
    if column in ("mse", "gamma", "valid_rec") or column.startswith("delta_"):
        return True
    return column.endswith(tuple(f"_{subspace}" for subspace in SUBSPACES))


def finite(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(number)
        for name, number in numbers.items()
        if number is not None and math.isfinite(number)
    }


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config by dotted names; what is not set is left out."""
    named: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            named |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            simple = isinstance(value, str | int | float | bool)
            named[f"{prefix}{name}"] = value if simple else json.dumps(value)
    return named


@contextmanager
def needing(tool: str) -> Iterator[None]:
    """Raises SweeperError where the tool's client is not installed."""
    try:
        yield
    except ModuleNotFoundError:
        raise SweeperError(
            f"{tool} needs its client; run `pip install 'sweeper[{tool}]'`"
        ) from None


class TensorBoard:
    """Event files: a directory a sweep, in it one a run."""

    def __init__(self, out: Path) -> None:
        from tensorboardX import SummaryWriter
        from tensorboardX.summary import hparams

        self._out, self._writer, self._hparams = out, SummaryWriter, hparams

    def __contains__(self, run: Logged) -> bool:
        return self._place(run).is_dir()

    def add(self, run: Logged) -> None:
        place = self._place(run)
        half = place.with_name(f".{place.name}.part")  # TensorBoard overlooks what is hidden
        shutil.rmtree(half, ignore_errors=True)
        with self._writer(logdir=str(half)) as writer:
            for summary in self._hparams(dict(run.config), dict(run.scores)):
                writer.file_writer.add_summary(summary)
            writer.add_text("cells", "  \n".join(run.cells))
            for epoch, losses in run.epochs.items():
                for name, loss in losses.items():
                    writer.add_scalar(f"loss/{name}", loss, epoch)
            for name, score in run.scores.items():
                writer.add_scalar(name, score, max(run.epochs, default=0))
        half.replace(place)

    def _place(self, run: Logged) -> Path:
        return self._out / _file_name(run.sweep) / f"{_file_name(run.name)} {run.key[:12]}"


class MLflow:
    """A tracking store in one SQLite file, an experiment a sweep."""

    def __init__(self, out: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # no word leaves this machine
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        out.mkdir(parents=True, exist_ok=True)
        self._out, self._metric, self._param = out.absolute(), Metric, Param
        self._client = MlflowClient(tracking_uri=f"sqlite:///{self._out / 'mlflow.db'}")

    def __contains__(self, run: Logged) -> bool:
        query = f"tags.`sweeper.key` = '{run.key}'"
        for found in self._client.search_runs([self._experiment(run.sweep)], query):
            if found.info.status == "FINISHED":
                return True
            self._client.delete_run(found.info.run_id)  # an export was cut short in it
        return False

    def add(self, run: Logged) -> None:
        tags = {"sweeper.key": run.key, "sweeper.cells": ", ".join(run.cells)}
        created = self._client.create_run(self._experiment(run.sweep), tags=tags, run_name=run.name)
        last = max(run.epochs, default=0)
        steps = [(name, x, n) for n, losses in run.epochs.items() for name, x in losses.items()]
        steps += [(name, score, last) for name, score in run.scores.items()]
        self._client.log_batch(
            created.info.run_id,
            [self._metric(name, number, 0, step) for name, number, step in steps],
            [self._param(name, str(value)) for name, value in run.config.items()],
        )
        self._client.set_terminated(created.info.run_id)

    def _experiment(self, sweep: str) -> str:
        if found := self._client.get_experiment_by_name(sweep):
            return str(found.experiment_id)
        artifacts = (self._out / "artifacts").as_uri()
        return str(self._client.create_experiment(sweep, artifact_location=artifacts))


class WandB:
    """Offline runs, for `wandb sync`; nothing is sent from here."""

    def __init__(self, out: Path) -> None:
        import wandb

        out.mkdir(parents=True, exist_ok=True)
        self._out, self._wandb = out, wandb

    def __contains__(self, run: Logged) -> bool:
        return self._mark(run).exists()

    def add(self, run: Logged) -> None:
        settings = self._wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True
        )
        started = self._wandb.init(
            mode="offline",
            dir=str(self._out),
            project=_file_name(run.sweep),
            id=run.key[:16],
            name=run.name,
            config={**run.config, "cells": list(run.cells)},
            settings=settings,
        )
        for epoch, losses in run.epochs.items():
            started.log(dict(losses), step=epoch)
        started.summary.update(dict(run.scores))
        started.finish()
        self._mark(run).touch()

    def _mark(self, run: Logged) -> Path:
        """Says that a run is whole, which its directory does not."""
        return self._out / f".sweeper-{run.key[:16]}"


TOOLS: dict[str, Callable[[Path], Tool]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


def _file_name(name: str) -> str:
    """A name that is safe in a path, and that every tool takes."""
    return "".join(char if char.isalnum() or char in " .=+_-λ" else "_" for char in name)
