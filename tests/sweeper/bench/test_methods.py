"""Work counted from the shapes: known answers."""

from __future__ import annotations

import math

import pytest

from models.multiview import ModelShape
from models.spec import ModelSpec
from sweeper.bench.methods import flops_of, products_of


def test_a_run_step_of_the_default_data_is_0_109_gflop():
    shape = ModelShape.of("multiview", 128, ModelSpec())
    # 81,920 weights, 32,768 of them in the first layers, 256 rows
    assert flops_of(shape, 256) == 2 * 256 * (3 * 81_920 - 32_768) == 109_051_904


@pytest.mark.parametrize(("features", "hidden"), [(128, None), (768, 512), (8, 6)])
def test_the_products_of_a_step_add_up_to_the_formula(features, hidden):
    shape = ModelShape.of("multiview", features, ModelSpec(hidden=hidden))
    weights = {name: math.prod(size) for name, size in shape.layers().items() if "weight" in name}
    formula = 2 * 96 * (3 * sum(weights.values()) - weights["encoder1.weight"])
    products = products_of(shape, 96)
    assert sum(2 * b * m * n * k for b, m, n, k in products) == flops_of(shape, 96) == formula
