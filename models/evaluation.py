"""Downstream scores of trained runs: latents of their best weights, MSE, probes, and more views."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.disentanglement import measures
from models.multiview import decode, encode, pool
from models.native.probes import probe
from models.pack.runs import TrainedRun
from models.probes import Probed, ProbeSplit, ProbeTask, runs_at_once
from models.spec import ModelSpec, ProbeSpec

# Clips encoded at once, so that a wide model's activations stay small.
BLOCK = 256


@dataclass(frozen=True)
class Evaluated:
    """Downstream scores of one run."""

    mse: float | None  # None without a decoder
    probed: Probed
    measures: Mapping[str, float] = field(default_factory=dict)  # see disentanglement.py


def probe_pack(
    results: Sequence[TrainedRun],
    seeds: Mapping[str, int],
    latents: Tensor,
    tasks: Mapping[str, ProbeTask],
    split: ProbeSplit,
    model: ModelSpec,
    spec: ProbeSpec,
    on_epoch: Callable[[float], None] = lambda runs: None,
) -> dict[str, Evaluated]:
    """Scores by run key of all finished runs; diverged runs are left out.

    `latents` (N, T, D) are the downstream clips; `seeds` gives each run's seed. `mse` is the mean
    over all clips and elements between latents and reconstruction. `on_epoch`: see train_probes.
    """
    finished = [result for result in results if result.state == "finished"]

    def of_chunk(runs: Sequence[TrainedRun], seed: int) -> dict[str, Evaluated]:
        """Scores of runs that are probed together; no others' features are in memory."""
        features, mse = zip(*(features_of(run, latents, model) for run in runs), strict=True)
        scored = _scored(features, mse, tasks, split, spec, seed, on_epoch)
        return dict(zip([run.key for run in runs], scored, strict=True))

    evaluated: dict[str, Evaluated] = {}
    for seed in dict.fromkeys(seeds[result.key] for result in finished):
        of_seed = [result for result in finished if seeds[result.key] == seed]
        numbers = math.prod(_features_shape(of_seed[0], latents, model))
        size = runs_at_once(latents.device.type, numbers)
        for start in range(0, len(of_seed), size):
            evaluated |= of_chunk(of_seed[start : start + size], seed)
    return evaluated


def probe_encoder(
    latents: Tensor,
    tasks: Mapping[str, ProbeTask],
    split: ProbeSplit,
    model: ModelSpec,
    spec: ProbeSpec,
    seed: int,
) -> Evaluated:
    """Scores of the frozen encoder's own latents (N, T, D), the baseline without training."""
    features = pool(latents.float(), model.pool)[None]
    return _scored([features], [None], tasks, split, spec, seed)[0]


def _scored(
    features: Sequence[Tensor],
    mse: Sequence[float | None],
    tasks: Mapping[str, ProbeTask],
    split: ProbeSplit,
    spec: ProbeSpec,
    seed: int,
    on_epoch: Callable[[float], None] = lambda runs: None,
) -> list[Evaluated]:
    """By the paper's probes, and by the same without dropout for the other views."""
    dropouts = (spec.dropout, 0.0)
    probed, plain = probe(features, tasks, split, spec, dropouts, seed, on_epoch)
    return [
        Evaluated(error, of_run, measures(of_features, without, split.test, list(tasks)))
        for of_features, error, of_run, without in zip(features, mse, probed, plain, strict=True)
    ]


@torch.no_grad()
def features_of(
    result: TrainedRun, latents: Tensor, model: ModelSpec
) -> tuple[Tensor, float | None]:
    """One vector a clip (S, N, F) from a run's best weights, and its MSE where it has a decoder."""
    weights = {name: w.to(latents.device) for name, w in result.weights.items()}
    features = torch.empty(_features_shape(result, latents, model), device=latents.device)
    error = 0.0
    blocks = zip(torch.split(latents, BLOCK), torch.split(features, BLOCK, dim=1), strict=True)
    for block, pooled in blocks:
        x = block.float()
        z = encode(weights, x, result.shape, model)  # (S, n, T, L)
        pooled.copy_(pool(z, model.pool))
        if result.has_decoder:
            error += float((decode(weights, z) - x).square().sum(dtype=torch.float64))
    return features, error / latents.numel() if result.has_decoder else None


def _features_shape(result: TrainedRun, latents: Tensor, model: ModelSpec) -> tuple[int, int, int]:
    tokens = 1 if model.pool == "mean" else latents.shape[1]
    return result.shape.subspaces, len(latents), tokens * result.shape.latent
