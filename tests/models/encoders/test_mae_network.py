"""The masked autoencoder and its training, on networks of a few hundred weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from models.encoders.mae_network import (
    MaskedAutoencoder,
    Shape,
    patchify,
    pick,
    positions,
    shape_from,
)
from models.encoders.mae_pretraining import Pretraining, Recipe, rate, statistics

TINY = Shape(
    frames=8, bands=12, patch_frames=2, patch_bands=3, stretches=2, width=8, depth=1, heads=2,
    decoder_width=8, decoder_depth=1, decoder_heads=2,
)  # fmt: skip
RECIPE = Recipe(epochs=3, batch=4)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).normal(-20, 3, (18, 8, 12)).astype(np.float16)


def test_patches_are_numbered_row_by_row_with_time_down_and_frequency_across() -> None:
    values = torch.arange(8 * 12).view(1, 8, 12)
    patches = patchify(values, TINY)
    assert patches.shape == (1, 16, 6)
    assert patches[0, 5].tolist() == [27, 28, 29, 39, 40, 41]  # row 1, column 1 of 4 × 4


def test_positions_are_the_sines_and_cosines_of_row_and_column() -> None:
    place = positions(25, 8, 8)[0]
    assert place.shape == (200, 8)
    row, column = 3.0, 5.0
    angles = torch.tensor([row, row / 100, column, column / 100])
    sines, cosines = angles.sin(), angles.cos()
    expected = torch.cat((sines[:2], cosines[:2], sines[2:], cosines[2:]))
    torch.testing.assert_close(place[3 * 8 + 5], expected)
    assert len(place.unique(dim=0)) == 200


def test_the_loss_is_that_of_the_hidden_patches_alone() -> None:
    torch.manual_seed(1)
    model = MaskedAutoencoder(TINY)
    nn.init.zeros_(model.predict.weight)
    nn.init.constant_(model.predict.bias, 3.0)  # it says 3, whatever it sees
    order = torch.rand(2, TINY.patches).argsort(1)
    kept, hidden = order[:, : TINY.visible], order[:, TINY.visible :]
    assert (kept.shape, hidden.shape) == ((2, 4), (2, 12))
    frames = torch.randn(2, TINY.frames, TINY.bands)
    expected = (pick(patchify(frames, TINY), hidden) - 3).square().mean()
    torch.testing.assert_close(model(frames, order), expected)
    assert not torch.isclose(model(frames, order.flip(1)), expected)


def test_what_is_hidden_cannot_be_seen() -> None:
    torch.manual_seed(1)
    model = MaskedAutoencoder(TINY)
    kept = torch.tensor([[0, 5, 9, 14], [3, 2, 1, 0]])
    hidden = torch.tensor([[1, 2], [8, 15]])
    patches = torch.randn(2, TINY.patches, TINY.values)
    altered = torch.randn_like(patches)
    altered.scatter_(1, kept[..., None].expand(-1, -1, TINY.values), pick(patches, kept))
    decoded = [
        model.decode(model.encoder.tokens(seen, kept), kept, hidden) for seen in (patches, altered)
    ]
    torch.testing.assert_close(decoded[0], decoded[1])
    assert not torch.allclose(model.encoder(altered), model.encoder(patches))


def test_latents_are_means_over_the_patches_of_a_stretch() -> None:
    torch.manual_seed(1)
    encoder = MaskedAutoencoder(TINY).encoder
    patches = torch.randn(2, TINY.patches, TINY.values)
    tokens = encoder.tokens(patches)  # 4 × 4 of them: the first 8 are the first stretch
    latents = encoder(patches)
    assert latents.shape == (2, 2, 8)
    torch.testing.assert_close(latents[:, 0], tokens[:, :8].mean(1))


def test_a_shape_that_cannot_be_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="do not tile"):
        Shape(bands=100, patch_bands=16).check()
    with pytest.raises(ValueError, match="no division"):
        Shape(stretches=7).check()
    with pytest.raises(ValueError, match="no multiple"):
        Shape(width=190).check()
    with pytest.raises(ValueError, match="hidden patches"):
        Shape(hidden_share=1.0).check()
    with pytest.raises(ValueError, match="its shape has"):
        shape_from({"frames": 8})


def test_the_rate_warms_up_and_then_falls_as_half_a_cosine() -> None:
    assert rate(0.05, 0.1) == pytest.approx(0.5)
    assert rate(0.1, 0.1) == pytest.approx(1)
    assert rate(0.55, 0.1) == pytest.approx(0.5)
    assert rate(1.0, 0.1) == pytest.approx(0)


def test_statistics_are_those_of_each_band(frames: np.ndarray) -> None:
    mean, deviation = statistics(frames)
    rows = frames.astype(np.float64).reshape(-1, 12)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(deviation, rows.std(0), rtol=1e-5)


def weights(training: Pretraining) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in training.encoder().values()])


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(frames: np.ndarray) -> None:
    trained = []
    for seed in (0, 0, 1):
        training = Pretraining(frames, TINY, Recipe(epochs=1, batch=4, seed=seed))
        assert len(list(training.train_epoch())) == 4  # 18 clips: the last two are left out
        trained.append(weights(training))
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


def test_a_training_that_goes_on_ends_as_one_that_was_not_interrupted(frames: np.ndarray) -> None:
    whole = Pretraining(frames, TINY, RECIPE)
    whole_losses = [loss for _ in range(3) for loss in whole.train_epoch()]
    first = Pretraining(frames, TINY, RECIPE)
    losses = list(first.train_epoch())
    second = Pretraining(frames, TINY, RECIPE)
    second.load_state_dict(first.state_dict())
    losses += [loss for _ in range(2) for loss in second.train_epoch()]
    assert losses == whole_losses
    assert torch.equal(weights(second), weights(whole))


def test_the_loss_falls_on_frames_that_have_a_pattern() -> None:
    ramp = np.linspace(-3, 3, 12)[None] * np.linspace(-1, 1, 8)[:, None]
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (64, 1, 1))
    training = Pretraining((signs * ramp).astype(np.float16), TINY, Recipe(40, 16, lr=1e-2))
    means = [np.mean(list(training.train_epoch())) for _ in range(40)]
    assert means[-1] < 0.5 * means[0]
    assert all(np.isfinite(pair).all() for pair in pairwise(means))


def test_too_few_clips_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least 64 clips"):
        Pretraining(frames, TINY, Recipe())
