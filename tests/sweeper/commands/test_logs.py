"""Finished runs as logs of other tools, read back as those tools have them."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.commands.logs import Logged, runs_of
from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.cli.conftest import Sweeper, sweeper
from tests.sweeper.conftest import scored, train

__all__ = ["sweeper"]


@pytest.fixture
def runs(db: str, ledger: Ledger, smoke: list[tuple[Cell, RunConfig]]) -> list[Logged]:
    """Two finished runs of four."""
    ledger.register({"grid": "smoke"}, smoke)
    train(ledger, "p", [scored(run.key) for _, run in smoke[1:3]])
    return list(runs_of(ledger.engine, "a"))


def export(sweeper: Sweeper, db: str, tool: str, out: Path) -> str:
    code, told, err = sweeper("export", "--format", tool, "--out", str(out), "--db", db)
    assert code == 0, err
    return told


def events_of(directory: Path) -> Iterator[Any]:
    """The events in TensorBoard's files: records of (length, checksum, event, checksum)."""
    from tensorboardX.proto.event_pb2 import Event

    for file in directory.glob("*tfevents*"):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def test_a_run_is_its_config_its_scores_and_its_losses(runs: list[Logged]) -> None:
    first = runs[0]
    assert first.config["training.epochs"] == 2 and first.config["data.dataset"] == "notes"
    assert first.scores["pitch_shared"] == 0.5 and first.scores["delta_pitch"] == 0
    assert first.epochs == {1: {"train_total": 1.0}}
    assert (first.sweep, first.cells) == ("a", [first.name])


def test_tensorboard_is_given_every_finished_run_once(
    sweeper: Sweeper, db: str, runs: list[Logged], tmp_path: Path
) -> None:
    out = tmp_path / "logs"
    assert export(sweeper, db, "tensorboard", out) == f"2 runs written to {out}\n"
    before = sorted(out.rglob("*"))
    told = export(sweeper, db, "tensorboard", out)
    assert told == f"0 runs written to {out}; 2 runs had been there\n"
    assert sorted(out.rglob("*")) == before
    (place,) = (out / "a").glob(f"*{runs[0].key[:12]}")
    found = {
        value.tag: (event.step, value.simple_value)
        for event in events_of(place)
        for value in event.summary.value
    }
    assert found["loss/train_total"] == (1, 1.0) and found["pitch_shared"] == (1, 0.5)
    assert any("hparams" in tag for tag in found)


@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_mlflow_is_given_every_finished_run_once(
    sweeper: Sweeper, db: str, runs: list[Logged], tmp_path: Path
) -> None:
    pytest.importorskip("mlflow", reason="pip install 'sweeper[mlflow]'")
    from mlflow.tracking import MlflowClient

    for told in ("2 runs written", "0 runs written"):
        assert export(sweeper, db, "mlflow", tmp_path / "logs").startswith(told)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/logs/mlflow.db")
    experiment = client.get_experiment_by_name("a")
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(found) == {run.name for run in runs}
    data = found[runs[0].name].data
    assert data.params["training.epochs"] == "2" and data.metrics["train_total"] == 1.0
    assert data.tags["sweeper.key"] == runs[0].key


@pytest.mark.filterwarnings("ignore")  # wandb's own
def test_wandb_is_given_every_finished_run_once_offline(
    sweeper: Sweeper, db: str, runs: list[Logged], tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="pip install 'sweeper[wandb]'")
    for told in ("2 runs written", "0 runs written"):
        assert export(sweeper, db, "wandb", tmp_path / "logs").startswith(told)
    places = sorted((tmp_path / "logs" / "wandb").glob("offline-run-*"))
    assert {place.name.rpartition("-")[2] for place in places} == {run.key[:16] for run in runs}


@pytest.mark.parametrize("tool", ["mlflow", "wandb", "tensorboard"])
def test_a_missing_client_and_a_missing_directory_are_one_line(
    sweeper: Sweeper,
    db: str,
    runs: list[Logged],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
) -> None:
    line = f"sweeper: {tool} takes a directory; give one with --out\n"
    assert sweeper("export", "--format", tool, "--db", db) == (1, "", line)
    for module in [tool, "tensorboardX"]:
        monkeypatch.setitem(sys.modules, module, None)
    line = f"sweeper: {tool} needs its client; run `pip install 'sweeper[{tool}]'`\n"
    arguments = ("--format", tool, "--out", str(tmp_path / "logs"), "--db", db)
    assert sweeper("export", *arguments) == (1, "", line)
    assert not (tmp_path / "logs").exists()
