"""Downstream scores of trained runs: latents of their best weights, MSE, probes, and more views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    evaluated: dict[str, Evaluated] = {}
    for seed in dict.fromkeys(seeds[result.key] for result in finished):
        of_seed = [result for result in finished if seeds[result.key] == seed]
        for chunk in _at_once(of_seed, latents, model):
            keys, features, mse = zip(*chunk, strict=True)
            scored = _scored(features, mse, tasks, split, spec, seed, on_epoch)
            evaluated.update(zip(keys, scored, strict=True))
    return evaluated


def _at_once(
    results: Sequence[TrainedRun], latents: Tensor, model: ModelSpec
) -> Iterator[list[tuple[str, Tensor, float | None]]]:
    """Key, features and MSE of as many runs as are probed together; no others' are in memory."""
    chunk = []
    for result in results:
        chunk.append((result.key, *features_of(result, latents, model)))
        if len(chunk) == runs_at_once(chunk[0][1]):
            yield chunk
            chunk = []
    if chunk:
        yield chunk


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
    features, error = [], 0.0
    for x in torch.split(latents.float(), BLOCK):
        z = encode(weights, x, result.shape, model)  # (S, n, T, L)
        features.append(pool(z, model.pool))
        if result.has_decoder:
            error += float((decode(weights, z) - x).square().sum(dtype=torch.float64))
    return torch.cat(features, dim=1), error / latents.numel() if result.has_decoder else None
