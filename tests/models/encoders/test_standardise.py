from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.encoders.standardise import Standardiser


@given(cuts=st.lists(st.integers(1, 49), max_size=4), offset=st.floats(-1e3, 1e3))
def test_statistics_do_not_depend_on_the_stretches(cuts: list[int], offset: float) -> None:
    rng = np.random.default_rng(0)
    latents = (offset + rng.standard_normal((50, 3, 4)) * [1, 2, 3, 4]).astype(np.float32)
    standardise = Standardiser()
    for stretch in np.split(latents, sorted(set(cuts))):
        standardise.fit(stretch)
    exact = latents.astype(np.float64)
    expected = (exact - exact.mean((0, 1))) / exact.std((0, 1))
    np.testing.assert_allclose(standardise(latents), expected, atol=1e-5)


def test_a_feature_that_never_changes_becomes_zero() -> None:
    standardise = Standardiser()
    latents = np.full((6, 2, 3), 5.0, np.float32)
    standardise.fit(latents)
    np.testing.assert_array_equal(standardise(latents), 0)
