"""Separation: 1 where labels lie apart, 0 where they are shuffled, whatever their number."""

from __future__ import annotations

import numpy as np
import pytest

from models import maps
from models.maps import separation, standardised

CLIPS = 600


def blobs(labels: np.ndarray, spread: float) -> np.ndarray:
    """Features in which every label has a place of its own."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, (labels.max() + 1, 8))
    return (centres[labels] + rng.normal(0, spread, (len(labels), 8))).astype(np.float32)


def score(features: np.ndarray, label: np.ndarray, notes: np.ndarray | None = None) -> float:
    notes = np.arange(len(label)) if notes is None else notes
    return separation(features, {"it": label}, notes)["it"]


@pytest.mark.parametrize("values", [2, 10, 88])
def test_labels_in_places_of_their_own_score_one(values: int) -> None:
    label = np.arange(CLIPS) % values
    assert score(blobs(label, 1e-3), label) == 1


@pytest.mark.parametrize("values", [2, 10, 88])
def test_shuffled_labels_score_nothing(values: int) -> None:
    label = np.arange(CLIPS) % values
    shuffled = np.random.default_rng(1).permutation(label)
    assert abs(score(blobs(label, 1e-3), shuffled)) < 0.05


def test_labels_that_are_never_together_score_below_nothing() -> None:
    # On a line where neighbours alternate, of 1 asked none agrees: (0 - c) / (1 - c).
    features = np.arange(4, dtype=np.float32)[:, None]
    label = np.array([0, 1, 0, 1])
    found = separation(features, {"it": label}, np.arange(4), k=1)["it"]
    assert found == pytest.approx((0 - 1 / 3) / (1 - 1 / 3))


def test_the_score_of_four_clips_is_that_by_hand() -> None:
    # 0 and 1 have each other; 5 is nearest to 1; 20 to 5: of 4 clips, 3 find a fellow.
    features = np.array([[0.0], [1.0], [5.0], [20.0]], np.float32)
    label = np.array([0, 0, 1, 1])
    found = separation(features, {"it": label}, np.arange(4), k=1)["it"]
    assert found == pytest.approx((3 / 4 - 1 / 3) / (1 - 1 / 3))


def test_other_velocities_of_a_note_are_no_neighbours() -> None:
    """Clips that stand in pairs of one note, far from all else, and share nothing else."""
    pairs = np.arange(CLIPS) // 2
    label = np.random.default_rng(2).integers(0, 5, CLIPS // 2)[pairs]
    features = blobs(pairs, 1e-3)
    assert score(features, label) == pytest.approx(
        1 / 5, abs=0.03
    )  # one of five is the other velocity
    assert abs(score(features, label, notes=pairs)) < 0.06


def test_a_label_that_all_share_or_none_has_no_score() -> None:
    features = blobs(np.arange(20), 1)
    assert np.isnan(score(features, np.zeros(20, np.int64)))
    assert np.isnan(score(features, np.arange(20)))


def test_nothing_depends_on_how_many_clips_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    label = np.arange(CLIPS) % 10
    features = blobs(label, 1.0)
    together = score(features, label)
    monkeypatch.setattr(maps, "ROWS", 7)
    assert score(features, label) == pytest.approx(together, abs=1e-9)
    assert 0.1 < together < 0.95


def test_the_order_of_clips_and_the_names_of_labels_change_nothing() -> None:
    label = np.arange(CLIPS) % 10
    features, order = blobs(label, 1.0), np.random.default_rng(3).permutation(CLIPS)
    renamed = np.random.default_rng(4).permutation(10)[label]
    assert score(features[order], renamed[order]) == pytest.approx(score(features, label))


def test_standardised_features_have_one_scale_and_dead_ones_none() -> None:
    features = np.random.default_rng(5).normal(3, [1, 100, 0], (50, 3))
    out = standardised(features)
    assert out.dtype == np.float32
    assert np.allclose(out.mean(0), 0, atol=1e-6)
    assert np.allclose(out.std(0), [1, 1, 0], atol=1e-5)
