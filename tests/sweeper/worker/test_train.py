"""One trial without Ray: a pack in, plain numbers for the ledger out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.spec import ModelSpec, ProbeSpec, TrainingSpec
from sweeper.data.cache import Latents
from sweeper.data.clips import Clips
from sweeper.events import RunResult
from sweeper.ledger.schema import ACCURACIES, Epoch, Score
from sweeper.study.config import DataConfig, RunConfig
from sweeper.study.grid import Cell, run_config
from sweeper.study.plan import training_share
from sweeper.study.presets import Preset
from sweeper.worker.train import train

STUDY = Preset(
    data=DataConfig(train_clips=96, valid_clips=64, downstream_clips=120),
    training=TrainingSpec(epochs=2, lr=1e-3),
    probe=ProbeSpec(epochs=2),
)


@pytest.fixture(scope="module")
def latents() -> Latents:
    """Clips of 3 tokens × 8 features that carry their family and their pitch."""
    rng = np.random.default_rng(0)

    def split(clips: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], Clips]:
        family, pitch = np.arange(clips) % 10, rng.integers(0, 6, clips)
        x = rng.normal(0, 0.1, (clips, 3, 8))
        x[..., 0] += family[:, None]
        x[..., 1] += pitch[:, None]
        return x.astype(np.float32), Clips(pitch, family, family, pitch)

    splits = {name: split(n) for name, n in (("train", 96), ("valid", 64), ("downstream", 120))}
    return Latents(
        fingerprint="",
        path=Path(),
        **{name: x for name, (x, _) in splits.items()},
        labels={name: labels for name, (_, labels) in splits.items()},
        parts=np.arange(120) % 3,
        pool="flatten",
    )


def multiview(principle: str, objective: str, lam: float, study: Preset = STUDY) -> RunConfig:
    return run_config(Cell("multiview", 0, principle, objective, lam), study)


def test_scores_are_columns_of_the_ledger_and_fit_for_json(latents: Latents) -> None:
    runs = [multiview("Cosine", "SEP", lam) for lam in (0.0, 0.6)]
    results = [dataclasses.asdict(result) for result in train(runs, [None, 0.1], latents, "cpu")]
    first, second = (RunResult(**fields) for fields in json.loads(json.dumps(results)))
    assert first.engine and first.engine == second.engine
    columns = set(Score.__table__.columns.keys()) - {"run_id", "attempt_id"}
    probes = {f"{part}{name}" for part in ("", "valid_") for name in ACCURACIES}
    assert set(first.scores) == set(second.scores) == columns | probes
    assert set(first.predictions) == set(second.predictions) == probes
    assert len(first.epochs) == 2 and set(first.epochs[0]) <= set(Epoch.__table__.columns.keys())
    assert {"cka", "dci", "plain_pitch_private", "held_instrument_shared"} <= set(first.measures)
    assert first.scores["mse"] is None and first.scores["gamma"] is None
    assert second.scores["mse"] > 0 and second.scores["gamma"] > 0
    assert second.scores["test_size"] == second.scores["valid_size"] == 40


@pytest.mark.parametrize("kind", ["encoder", "cl-pitch", "cl-instrument"])
def test_baselines_have_overall_accuracies_only(latents: Latents, kind: str) -> None:
    (result,) = train([run_config(Cell(kind, 0), STUDY)], [None], latents, "cpu")
    assert result.state == "finished"
    given = {name for name in ACCURACIES if result.scores.get(name) is not None}
    assert given == {"pitch_overall", "instrument_overall"}
    assert result.scores["mse"] is None


def test_a_run_scores_the_same_alone_and_in_a_pack(latents: Latents) -> None:
    runs = [
        multiview("InfoNCE", "SIM", 0.2),
        multiview("Cosine", "SEP", 0.6),
        multiview("VICReg", "SIM+SEP", 0.8),
    ]
    packed = train(runs[::-1], [0.1] * 3, latents, "cpu")[::-1]
    for run, result in zip(runs, packed, strict=True):
        (alone,) = train([run], [0.1], latents, "cpu")
        assert alone.scores == pytest.approx(result.scores, rel=1e-4, abs=1e-6)


def test_a_diverged_run_says_where_and_leaves_its_neighbour_alone(latents: Latents) -> None:
    study = dataclasses.replace(
        STUDY, loss=dataclasses.replace(STUDY.loss, vicreg=(1e9, 0.0, 0.0), gamma="fixed:1")
    )
    bad, good = multiview("VICReg", "SEP", 0.2, study), multiview("Cosine", "SEP", 0.6, study)
    diverged, finished = train([bad, good], [None, None], latents, "cpu")
    assert diverged.state == "diverged" and diverged.scores is None
    assert diverged.cause.startswith("VICReg SEP λ=0.2 left the finite range in epoch 1")
    assert finished.state == "finished"
    assert train([good], [None], latents, "cpu")[0].scores == finished.scores


def test_pooling_by_the_mean_is_another_result(latents: Latents) -> None:
    mean = dataclasses.replace(STUDY, model=ModelSpec(pool="mean"))
    flat, pooled = (
        train([multiview("Cosine", "SEP", 0.6, study)], [0.1], latents, "cpu")[0].scores
        for study in (STUDY, mean)
    )
    assert flat["gamma"] != pooled["gamma"]


def test_every_epoch_is_told_and_its_losses_once(
    latents: Latents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sweeper.worker.train.PROGRESS_SECONDS", -1.0
    )  # else at most every so often
    reports: list[Any] = []
    run = multiview("Cosine", "SIM", 0.6)
    (result,) = train([run], [0.1], latents, "cpu", lambda *r: reports.append(r))
    stages = [(stage, done, total) for stage, done, total, *_ in reports]
    assert stages[:2] == [("epoch", 1, 2), ("epoch", 2, 2)]
    assert {stage for stage, *_ in stages[2:]} == {"probes"} and stages[-1] == ("probes", 100, 100)
    shares = [share for _, _, _, share, _ in reports]
    assert shares == sorted(shares) and shares[-1] == 1
    assert shares[1] == pytest.approx(training_share(run))
    told = {n: row for *_, epochs in reports for n, row in epochs.get(run.key, {}).items()}
    assert told == dict(enumerate(result.epochs, 1))
