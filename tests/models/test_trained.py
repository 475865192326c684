"""Encoders to be used are those that were probed, whatever their number and pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.evaluation import BLOCK, features_of
from models.multiview import initial_vector
from models.pack.runs import TrainedRun
from models.shape import ModelShape
from models.spec import ModelSpec
from models.trained import Encoders


def run_of(shape: ModelShape, decoder: bool) -> TrainedRun:
    vector = initial_vector(shape, decoder, seed=0)
    return TrainedRun("k", "finished", 1.0, 1, 0.1, {}, None, vector, shape, decoder, "native")


@pytest.mark.parametrize("kind", ["multiview", "cl-pitch"])
@pytest.mark.parametrize(
    "model", [ModelSpec(pool="flatten"), ModelSpec(5, "relu", "mean")], ids=str
)
def test_features_are_those_of_the_probes_to_the_bit(kind: str, model: ModelSpec) -> None:
    run = run_of(ModelShape.of(kind, 6, model), kind == "multiview")
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(BLOCK + 3, 3, 6)).astype(np.float16))
    encoders = Encoders(run.weights, model)
    features, _ = features_of(run, x, model)
    assert encoders.shape == run.shape and torch.equal(encoders(x), features)
    subspaces, latent = run.shape.subspaces, run.shape.latent
    assert encoders.tokens(x).shape == (subspaces, BLOCK + 3, 3, latent)


def test_they_are_frozen_until_they_are_to_be_trained_further() -> None:
    run = run_of(ModelShape.of("multiview", 6, ModelSpec()), decoder=False)
    encoders, x = Encoders(run.weights, ModelSpec(pool="mean")), torch.ones(2, 3, 6)
    assert not encoders(x).requires_grad
    encoders.requires_grad_()(x).sum().backward()
    assert all(layer.grad is not None for layer in encoders.parameters())
    with pytest.raises(ValueError, match="no decoder"):
        encoders.reconstruct(x)
