"""Maps: functions of the features and a fixed seed, with UMAP or without."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from models.maps import PCA, best_method, principal_components

INSTALLED = importlib.util.find_spec("umap") is not None


def two_groups() -> np.ndarray:
    features = np.random.default_rng(0).normal(0, 1, (60, 12)).astype(np.float32)
    features[30:, 0] += 40
    return features


def apart(places: np.ndarray) -> bool:
    """Whether every clip is nearer to its own group's middle than to the other's."""
    middles = [places[:30].mean(0), places[30:].mean(0)]
    near = [np.linalg.norm(places - middle, axis=1) for middle in middles]
    return bool((near[0] < near[1])[:30].all() and (near[1] < near[0])[30:].all())


def test_principal_components_are_the_axes_of_largest_variance() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (500, 3)).astype(np.float32) * [1, 10, 3]
    places = principal_components(features)
    expected = features[:, [1, 2]] - features[:, [1, 2]].mean(0)
    assert np.abs(places - expected).max() < 1  # the axes of a sample lie a little askew
    assert np.allclose(places.std(0), np.sqrt(np.linalg.eigvalsh(np.cov(features.T))[:0:-1]), 1e-2)


def test_principal_components_do_not_depend_on_the_sign_that_lapack_chooses() -> None:
    features = two_groups()
    places = principal_components(features)
    assert np.allclose(principal_components(features[::-1])[::-1], places, atol=1e-3)
    assert apart(places)


def test_without_the_extra_the_method_is_called_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert best_method() is PCA
    assert PCA.name == "PCA"


def test_umap_is_asked_for_a_fixed_seed_and_its_warnings_are_kept_quiet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, object] = {}

    class UMAP:
        def __init__(self, **options: object) -> None:
            import warnings

            asked.update(options)
            warnings.warn("no TensorFlow", ImportWarning, stacklevel=1)

        def fit_transform(self, features: np.ndarray) -> np.ndarray:
            return features[:, :2].astype(np.float64)

    module = types.ModuleType("umap")
    module.UMAP = UMAP  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", module)
    monkeypatch.setattr("models.maps.version", lambda package: f"{package} 9")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: module)
    method = best_method()
    places = method.place(two_groups()[:8])
    assert method.name == "UMAP" and method.settings["umap-learn"] == "umap-learn 9"
    assert (asked["random_state"], asked["n_neighbors"], asked["n_jobs"]) == (0, 7, 1)
    assert places.shape == (8, 2) and places.dtype == np.float32


@pytest.mark.skipif(not INSTALLED, reason="pip install 'sweeper[maps]'")
def test_umap_draws_the_same_map_twice() -> None:
    features, method = two_groups(), best_method()
    places = method.place(features)
    assert method.name == "UMAP" and places.shape == (60, 2)
    assert np.array_equal(method.place(features), places)
    assert apart(places)
