"""`sweeper doctor`: what would go wrong."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sqlalchemy import Engine

from sweeper.commands import doctor
from sweeper.data.latents import fingerprint
from sweeper.ledger.connect import ledger_id, open_writer
from sweeper.ledger.write import Ledger
from sweeper.storage.files import Storage, ledger_root
from sweeper.storage.weights import RunWeights, leave_weights
from sweeper.study.config import DataConfig, RunConfig
from sweeper.study.grid import Cell
from sweeper.study.presets import PRESETS


def examined(db: Path) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=300, color_system=None)
    code = doctor.examine(str(db), console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def test_the_paper_presets_key_is_that_of_its_encoder(tmp_path: Path) -> None:
    _, text = examined(tmp_path / "none.db")
    mae = fingerprint(PRESETS["paper"].data)[:12]
    assert f"through mae, have key {mae}" in text
    assert fingerprint(DataConfig())[:12] not in text


def test_a_log_beside_the_database_is_told(tmp_path: Path) -> None:
    db = tmp_path / "results.db"
    open_writer(str(db)).dispose()
    assert "write-ahead log" not in examined(db)[1]
    with sqlite3.connect(db) as connection:
        connection.execute("UPDATE meta SET ledger = 'x'")
        connection.commit()
        assert f"write-ahead log {db}-wal: 0.0 MB that the database's file lacks" in examined(db)[1]
    connection.close()


def test_who_may_read_a_database_is_told(tmp_path: Path) -> None:
    db = tmp_path / "my results.db"
    open_writer(str(db)).dispose()
    assert f"its owner alone may read it, others after chmod a+r '{db}'" in examined(db)[1]
    db.chmod(0o644)
    assert "owner alone" not in examined(db)[1]


def test_what_the_trained_weights_take_is_told(
    tmp_path: Path, engine: Engine, ledger: Ledger, smoke: list[tuple[Cell, RunConfig]]
) -> None:
    ledger.register({"storage": str(tmp_path)}, smoke)
    run = next(run for _, run in smoke if run.model)
    place = Storage(ledger_root(str(tmp_path), ledger_id(engine)))
    layers = {"encoder1.weight": np.zeros((256, 128), np.float32)}
    leave_weights(place, "p", RunWeights(run, "flatten", layers))
    told = f"trained weights: 1 run, 0.1 MB in {place.root}\n"
    assert told in examined(tmp_path / "fresh.db")[1]


def test_what_trains_on_the_cpu_is_told_and_why_when_it_is_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_NATIVE", "0")
    code, text = examined(tmp_path / "none.db")
    assert code == 0
    assert "on the CPU: by torch, slower than it could: switched off by SWEEPER_NATIVE=0" in text


def test_the_precisions_of_the_place_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gpus, capability, takes in [
        (0, None, "ieee, bf16"),
        (1, (7, 5), "ieee"),
        (1, (9, 0), "ieee, tf32, bf16"),
    ]:
        monkeypatch.setattr("torch.cuda.device_count", lambda gpus=gpus: gpus)
        monkeypatch.setattr("torch.cuda.get_device_name", lambda gpu: "a GPU")
        monkeypatch.setattr("torch.cuda.get_device_capability", lambda gpu, of=capability: of)
        assert f"--precision there: {takes}; ieee by default" in examined(tmp_path / "none.db")[1]


def test_an_old_ray_is_bad_and_says_how_old_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"ray": "2.9.1", "torch": "2.13.0+cpu"}
    monkeypatch.setattr(doctor, "version", lambda package: versions.get(package, "99"))
    code, text = examined(tmp_path / "none.db")
    assert code == 1
    assert "bad  ray 2.9.1 is older than 2." in text and "ok   torch 2.13.0+cpu" in text


def test_a_full_disk_and_a_place_under_a_file_are_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file" / "cache"))
    assert "not writable; set SWEEPER_CACHE" in examined(tmp_path / "none.db")[1]
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    usage = doctor.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=10_000_000))
    code, text = examined(tmp_path / "none.db")
    assert code == 1
    assert "bad  database's directory" in text and "0 GB free; name another with --db" in text
