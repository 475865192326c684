"""Matrix products of other precisions than single."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from models.pack.layers import Matmul
from models.pack.runs import LOSSES
from models.pack.trainer import PackTrainer
from models.spec import ModelSpec, TrainingSpec

MODEL = ModelSpec(pool="flatten")
TRAINING = TrainingSpec(epochs=3, batch_pairs=4, lr=1e-2)


def operands(seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = ((3, 4, 50), (3, 50, 6), (3, 4, 6))
    return [torch.randn(size, generator=generator) for size in sizes]


@pytest.mark.parametrize(("precision", "error"), [("ieee", 1e-6), ("tf32", 1e-6), ("bf16", 1e-2)])
def test_products_on_the_cpu_are_as_exact_as_their_name_says(precision, error):
    left, right, out = operands()
    wanted, matmul = left.double() @ right.double(), Matmul(precision)
    before = out.clone()
    matmul.add(left, right, out)
    assert (out - before - wanted).norm() < error * wanted.norm()
    matmul.write(left, right, out)
    assert (out - wanted).norm() < error * wanted.norm()
    matmul.write(left[0], right[0], out[0])
    assert (out - wanted).norm() < error * wanted.norm()
    assert precision != "bf16" or (out - wanted).norm() > 1e-4 * wanted.norm()


def test_tf32_is_on_within_the_layers_products_alone():
    torch.set_float32_matmul_precision("highest")
    with pytest.raises(KeyboardInterrupt), Matmul("tf32").chosen():
        assert torch.get_float32_matmul_precision() == "high"
        raise KeyboardInterrupt
    assert torch.get_float32_matmul_precision() == "highest"


def test_runs_in_bf16_end_near_those_in_single_precision(grid, train, valid):
    exact, rounded = (
        PackTrainer(
            grid(), train, valid, MODEL, dataclasses.replace(TRAINING, precision=name)
        ).train()
        for name in ("ieee", "bf16")
    )
    for one, other in zip(exact, rounded, strict=True):
        assert one.state == other.state == "finished"
        assert not torch.equal(one.vector, other.vector)
        for name in LOSSES[:3]:
            ours, theirs = other.losses[name], one.losses[name]
            assert ours == pytest.approx(theirs, rel=0.1, abs=0.05, nan_ok=True)


def test_tf32_is_no_cpus(grid, train, valid):
    training = dataclasses.replace(TRAINING, precision="tf32")
    with pytest.raises(ValueError, match="precision tf32: GPUs alone have it; on a CPU choose"):
        PackTrainer(grid(), train, valid, MODEL, training)


def test_an_unknown_precision_is_an_error_before_training(grid, train, valid):
    training = dataclasses.replace(TRAINING, precision="fp8")
    with pytest.raises(ValueError, match="unknown precision 'fp8'; choose one of ieee, tf32, bf16"):
        PackTrainer(grid(), train, valid, MODEL, training)
