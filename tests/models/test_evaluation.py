"""What a study reports of a run does not depend on the pack that the run was trained in."""

from __future__ import annotations

import numpy as np
import torch

from models.evaluation import probe_pack
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.pairs import LabelledLatents
from models.probes import ProbeSplit, ProbeTask
from models.spec import LossSpec, ModelSpec, ProbeSpec, TrainingSpec
from tests.models.conftest import make_clips

SEEDS = (0, 1, 2)
CELLS = (("InfoNCE", "SEP", 0.4), ("Cosine", "SIM+SEP", 0.6), ("VICReg", "SIM", 0.8))
MODEL = ModelSpec(pool="flatten")


def _noisy(count: int, seed: int) -> LabelledLatents:
    """Clips whose labels are hard to tell: accuracies stay clear of chance and of 1."""
    clips = make_clips(count, seed)
    noise = torch.from_numpy(np.random.default_rng(seed).normal(size=clips.latents.shape))
    return LabelledLatents((clips.latents + 1.5 * noise).float(), clips.family, clips.pitch)


def _runs() -> list[PackRun]:
    return [
        PackRun(
            key=f"{principle} {objective} {seed}",
            seed=seed,
            principle=principle,
            objective=objective,
            lam=lam,
            loss=LossSpec(gamma="init-ratio"),
        )
        for seed in SEEDS
        for principle, objective, lam in CELLS
    ]


def _scores(packs: list[list[PackRun]]) -> dict[str, dict[str, float | None]]:
    """Of every run, trained in single precision in those packs and probed with its pack."""
    train, valid, downstream = _noisy(320, 1), _noisy(64, 2), _noisy(600, 3)
    training = TrainingSpec(epochs=4, lr=3e-3)
    tasks = {
        "pitch": ProbeTask(downstream.pitch - downstream.pitch.min(), 6),
        "instrument": ProbeTask(downstream.family, 3),
    }
    split = ProbeSplit(*np.split(np.arange(600), (300, 400)))
    spec = ProbeSpec(epochs=8, lr=1e-2)
    scores: dict[str, dict[str, float | None]] = {}
    for pack in packs:
        results = PackTrainer(pack, train, valid, MODEL, training).train()
        seeds = {run.key: run.seed for run in pack}
        evaluated = probe_pack(results, seeds, downstream.latents, tasks, split, MODEL, spec)
        scores |= {key: {"mse": e.mse, **e.probed.accuracies} for key, e in evaluated.items()}
    return scores


def test_probe_accuracies_of_a_pack_are_those_of_its_runs_alone_within_the_noise_of_seeds():
    runs = _runs()
    packed, alone = _scores([runs]), _scores([[run] for run in runs])
    heads = [head for head in next(iter(packed.values())) if head != "mse"]
    for principle, objective, _ in CELLS:
        keys = [f"{principle} {objective} {seed}" for seed in SEEDS]
        ours = np.array([[packed[key][head] for head in heads] for key in keys])
        solo = np.array([[alone[key][head] for head in heads] for key in keys])
        assert 0.2 < ours.mean() < 0.95  # far enough from chance and from 1 to differ
        assert np.abs(ours - solo).max() <= ours.std(axis=0, ddof=1).mean() / 2
        np.testing.assert_allclose(
            [packed[key]["mse"] for key in keys], [alone[key]["mse"] for key in keys], rtol=1e-4
        )
