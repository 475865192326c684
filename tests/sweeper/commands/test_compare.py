"""A comparison of encoders: latents made, probes trained in this process, maps stored and drawn."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.encoders import ENCODERS
from models.encoders.logmel import LogMel
from models.maps import PCA
from models.spec import ProbeSpec
from sweeper.commands import compare
from sweeper.commands.compare import Candidate
from sweeper.data.cache import Latents
from sweeper.data.clips import Clips
from sweeper.data.maps import map_of, settings_of
from sweeper.driver.inline import Inline
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.write import Ledger
from sweeper.signals import StoppedError
from sweeper.study.config import DataConfig
from sweeper.study.grid import Cell
from sweeper.study.presets import PRESETS, Preset
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

TINY = Preset(
    data=DataConfig(train_clips=20, valid_clips=10, downstream_clips=60),
    probe=ProbeSpec(epochs=2),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a cache and the database that the tests fill in turn."""
    return tmp_path_factory.mktemp("comparison")


class Coarse(LogMel):
    """Log-mel in half as many bands, under a name of its own."""

    name, shape, fingerprint = "coarse", (8, 64), "c" * 64

    def encode(self, waveforms: np.ndarray) -> np.ndarray:
        fine = LogMel()
        return fine.encode(waveforms).reshape(len(waveforms), 8, 64, 2).mean(3)


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("SWEEPER_CACHE", str(place / "cache"))
    monkeypatch.setitem(PRESETS, "smoke", TINY)
    monkeypatch.setitem(ENCODERS, "coarse", Coarse)
    monkeypatch.setattr(compare, "executor_of", lambda *_: Inline)
    monkeypatch.setattr("sweeper.data.latents._cores", lambda: 1)
    monkeypatch.setattr(compare, "at_hand", lambda: ["logmel", "coarse"])
    monkeypatch.setattr("models.maps.best_method", lambda: PCA)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


SMOKE = ("encoders", "compare", "--preset", "smoke", "--device", "cpu", "--format", "svg")


def rows(place: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(place / "results.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_one_encoder_is_probed_mapped_and_drawn(sweeper: Sweeper, place: Path) -> None:
    code, out, err = sweeper(*SMOKE, "--encoder", "logmel")
    assert code == 0, err
    assert "encoders-smoke: 1 of 1 cell finished" in out
    assert "maps by PCA; for UMAP: pip install" in out
    assert (place / "report" / "encoders.svg").stat().st_size > 10_000
    assert rows(place, "SELECT label, kind, state FROM results") == [
        ("encoder logmel seed 0", "encoder", "finished")
    ]
    assert rows(place, "SELECT encoder, tokens, width, method, clips FROM maps") == [
        ("logmel", 8, 128, "PCA", 60)
    ]
    assert rows(place, "SELECT COUNT(*), MIN(pitch) > 20, MAX(clip) FROM map_points") == [
        (60, 1, 59)
    ]


def test_an_encoder_more_joins_and_a_bad_one_is_left_out(sweeper: Sweeper, place: Path) -> None:
    names = ("coarse", "dac:gone", "vggish")
    code, out, err = sweeper(*SMOKE, *(word for name in names for word in ("--encoder", name)))
    assert code == 1
    assert "sweeper: dac:gone is left out: gone is neither on this disk nor" in err
    assert "sweeper: vggish is left out: unknown encoder 'vggish'" in err
    assert err.count("\n") == 2
    assert "encoders-smoke: 2 of 2 cells finished" in out
    assert rows(place, "SELECT encoder, tokens, width FROM maps ORDER BY encoder") == [
        ("coarse", 8, 64),
        ("logmel", 8, 128),
    ]


def test_the_same_comparison_again_does_nothing(
    sweeper: Sweeper, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(place, "SELECT (SELECT COUNT(*) FROM attempts), (SELECT MAX(id) FROM maps)")
    monkeypatch.setattr(compare, "map_of", lambda *_: pytest.fail("a map was drawn again"))
    code, out, _ = sweeper(*SMOKE, "--encoder", "coarse", "--encoder", "logmel")
    assert code == 0 and "nothing left to train" in out
    after = rows(place, "SELECT (SELECT COUNT(*) FROM attempts), (SELECT MAX(id) FROM maps)")
    assert after == before


def test_without_names_the_encoders_at_hand_are_compared(sweeper: Sweeper, place: Path) -> None:
    code, out, err = sweeper(*SMOKE, "--name", "mine")
    assert code == 0, err
    assert "mine: 2 of 2 cells finished" in out


def test_a_resume_makes_every_encoder_s_latents_by_itself(sweeper: Sweeper, place: Path) -> None:
    code, out, err = sweeper(*SMOKE, "--encoder", "logmel", "--encoder", "coarse", "--seeds", "2")
    assert code == 0, err
    assert "4 of 4 cells finished" in out
    shutil.rmtree(place / "cache" / "latents")
    connection = sqlite3.connect(place / "results.db")
    key = "SELECT run_id FROM cells WHERE label = 'encoder coarse seed 1'"
    with connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"DELETE FROM scores WHERE run_id = ({key})")
        connection.execute(f"DELETE FROM attempts WHERE run_id = ({key})")
    connection.close()
    code, out, err = sweeper("resume", "encoders-smoke")
    assert code == 0, err
    assert "4 of 4 cells finished" in out


def test_the_figure_is_drawn_again_from_the_database_alone(sweeper: Sweeper, place: Path) -> None:
    shutil.rmtree(place / "cache", ignore_errors=True)
    first = (place / "report" / "encoders.svg").read_bytes()
    code, out, _ = sweeper("report", "encoders-smoke", "--out", "again", "--format", "svg")
    assert code == 0 and "coarse" in out and "±" in out
    assert (place / "again" / "encoders.csv").read_text().count("\n") == 3
    assert (place / "again" / "encoders.svg").read_bytes() == first
    code, _, err = sweeper("report", "--figure", "3")
    assert code == 1 and "compares encoders and has a figure of its own" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--encoder vggish", "unknown encoder 'vggish'; choose one of logmel"),
        ("--encoder dac:gone", "gone is neither on this disk nor to be had"),
        ("--encoder dac", "descript/dac_16khz is neither on this disk nor to be had"),
        ("--seeds 0", "--seeds 0: at least 1 is needed"),
        ("--dataset birds", "unknown dataset 'birds'"),
        ("--dataset nsynth", "the dataset nsynth needs --data-root DIR"),
        ("--preset big", "unknown preset 'big'"),
        ("--name encoders-smoke --preset quick", "has preset smoke, not quick; give this compari"),
    ],
)
def test_bad_input_gets_one_line_and_changes_nothing(
    sweeper: Sweeper, place: Path, arguments: str, says: str
) -> None:
    before = (place / "results.db").read_bytes()
    code, _, err = sweeper(*SMOKE, *arguments.split())
    assert code == 1
    assert says in err and err.count("\n") == 1
    assert (place / "results.db").read_bytes() == before


def test_two_weights_of_one_name_are_refused() -> None:
    data = DataConfig()
    first, second = Candidate("dac:a/small", data), Candidate("dac:b/small", data)
    assert first.name == second.name == "dac:small"
    with pytest.raises(SweeperError, match="dac:a/small and dac:b/small would both be called"):
        compare._tell_apart([first, second])


def test_a_signal_while_clips_are_encoded_stops_in_order(
    sweeper: Sweeper, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise StoppedError(signal.SIGTERM)

    monkeypatch.setattr(compare, "prepare_all", stopped)
    code, out, _ = sweeper(*SMOKE, "--encoder", "logmel", "--db", "signal.db")
    assert code == 143
    assert "stopped by a signal; the same command goes on" in out
    assert not (place / "signal.db").exists()


def test_a_sweep_of_another_kind_is_not_taken_for_a_comparison(
    ledger: Ledger, sweeper: Sweeper, smoke: Any, db: str
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    code, _, err = sweeper(*SMOKE, "--db", db, "--name", "a")
    assert code == 1
    assert "sweep 'a' has grid smoke, not encoders; give this comparison another --name" in err


def latents(families: np.ndarray, pitches: np.ndarray) -> Latents:
    """Clips of 2 tokens × 4 features in which each family and pitch has a place of its own."""
    clips = len(families)
    x = np.zeros((clips, 2, 8), np.float32)
    x[:, :, :7] = families[:, None, None] * 100
    x[:, :, 7] = pitches[:, None] * 10
    labels = Clips(pitches, families, families, np.arange(clips) % 5)
    return Latents(
        "f" * 64, Path(), x, x, x, dict.fromkeys(("train", "valid", "downstream"), labels),
        np.zeros(clips, np.int64), "mean",
    )  # fmt: skip


def test_a_map_holds_every_clip_with_its_pitch_and_family() -> None:
    family, pitch = np.arange(64) % 4, np.arange(64) // 4 % 4
    row, points = map_of(latents(family, pitch), "mine", PCA, settings_of(PCA))
    assert (row["encoder"], row["tokens"], row["width"], row["clips"]) == ("mine", 2, 8, 64)
    assert json.loads(row["settings"]) == {"neighbours": 5}
    assert [point["clip"] for point in points] == list(range(64))
    assert {point["pitch"] for point in points} == {21, 22, 23, 24}
    assert [point["family"] for point in points[:4]] == ["bass", "brass", "flute", "guitar"]
    # Clips of a note are no neighbours; the nearest others are the family's other pitches.
    assert row["separation_instrument"] == 1
    assert row["separation_pitch"] < 0


def test_a_label_that_cannot_be_scored_is_stored_as_none() -> None:
    row, _ = map_of(latents(np.arange(8) % 4, np.zeros(8, np.int64)), "mine", PCA, "{}")
    assert row["separation_pitch"] is None


def test_a_newer_map_takes_the_place_of_an_older_one(ledger: Ledger) -> None:
    family = np.arange(8) % 4
    for settings in ("{}", '{"seed":1}'):
        ledger.store_map(*map_of(latents(family, family), "mine", PCA, settings))
    assert read.maps(ledger.engine) == {("f" * 64, "PCA"): '{"seed":1}'}


def test_cells_of_several_encoders_have_names_of_their_own() -> None:
    assert Cell("encoder", 1, encoder="dac:small").label == "encoder dac:small seed 1"
    assert Cell("encoder", 1).label == "encoder seed 1"
