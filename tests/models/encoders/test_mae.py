"""The pre-trained encoder, on tiny weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.encoders import make_encoder
from models.encoders.logmel import LogMel, log_mel_frames
from models.encoders.mae import MAE, SHIPPED, pack, read
from models.encoders.mae_network import Shape
from models.encoders.mae_pretraining import Pretraining, Recipe

SMALL = Shape(width=16, depth=1, heads=2, decoder_width=8, decoder_heads=2)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).normal(-20, 3, (4, 64, 128)).astype(np.float16)


@pytest.fixture(scope="module")
def weights(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("mae") / "small.safetensors"
    path.write_bytes(pack(encoder_of(frames, 0), SMALL, {"seed": 0}))
    return path


def encoder_of(frames: np.ndarray, seed: int) -> dict[str, torch.Tensor]:
    return Pretraining(frames, SMALL, Recipe(batch=4, seed=seed)).encoder()


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    time = np.arange(64_000) / 16_000
    tones = [np.sin(2 * np.pi * hertz * time) * np.exp(-time) for hertz in (220, 1760)]
    return np.stack(tones).astype(np.float32) / 2


def test_latents_have_the_documented_shape_and_differ_between_clips(
    weights: Path, clips: np.ndarray
) -> None:
    encoder = make_encoder(f"mae:{weights}")
    assert (encoder.name, encoder.shape, encoder.pool) == ("mae", (8, 16), "flatten")
    latents = encoder.encode(clips)
    assert latents.shape == (2, 8, 16) and latents.dtype == np.float32
    assert np.abs(latents[0] - latents[1]).max() > 0.1


def test_the_latents_of_a_clip_do_not_depend_on_its_company(
    weights: Path, clips: np.ndarray
) -> None:
    encoder = make_encoder(f"mae:{weights}")
    np.testing.assert_allclose(encoder.encode(clips[1:]), encoder.encode(clips)[1:], atol=1e-5)


def test_an_encoder_that_was_pickled_gives_the_same_latents(
    weights: Path, clips: np.ndarray
) -> None:
    encoder = make_encoder(f"mae:{weights}")
    before = encoder.encode(clips)
    pickled = pickle.dumps(encoder)
    assert len(pickled) < 2_000  # the weights stay behind
    np.testing.assert_array_equal(pickle.loads(pickled).encode(clips), before)


def test_the_file_holds_half_precision_and_how_it_was_made(
    weights: Path, frames: np.ndarray
) -> None:
    state, about = read(weights)
    assert about["made"] == {"seed": 0}
    for name, tensor in encoder_of(frames, 0).items():
        assert state[name].dtype == (torch.float16 if tensor.ndim == 2 else torch.float32)
        torch.testing.assert_close(state[name].float(), tensor, rtol=1e-3, atol=1e-6)


def test_the_fingerprint_is_that_of_the_weights(
    weights: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    (same := tmp_path / weights.name).write_bytes(weights.read_bytes())
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / weights.name
    other.write_bytes(pack(encoder_of(frames, 1), SMALL, {"seed": 0}))
    fingerprint = MAE(str(weights)).fingerprint
    assert MAE(str(same)).fingerprint == fingerprint
    assert MAE(str(other)).fingerprint != fingerprint


def test_weights_of_another_model_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file({"pos_embed": torch.zeros(2, 2)}, other := tmp_path / "other.safetensors")
    (cut := tmp_path / "cut.safetensors").write_bytes(other.read_bytes()[:20])
    for path, words in ((other, "pretrain"), (cut, "holds no weights for mae")):
        with pytest.raises(ValueError, match=words) as refused:
            make_encoder(f"mae:{path}").encode(np.zeros((1, 64_000), np.float32))
        assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_weights_that_lack_a_layer_are_refused_in_one_line(
    frames: np.ndarray, tmp_path: Path
) -> None:
    state = encoder_of(frames, 0)
    del state["encoder.norm.weight"]
    (path := tmp_path / "lacking.safetensors").write_bytes(pack(state, SMALL, {}))
    with pytest.raises(ValueError, match="holds no weights for mae") as refused:
        make_encoder(f"mae:{path}").encode(np.zeros((1, 64_000), np.float32))
    assert "\n" not in str(refused.value)


def test_the_front_end_is_logmels_before_its_average(clips: np.ndarray) -> None:
    frames = log_mel_frames(clips[0])
    assert frames.shape == (64, 128)
    averaged = np.log(np.exp(frames.astype(np.float64)).reshape(8, 8, 128).mean(1))
    np.testing.assert_allclose(averaged, LogMel().encode(clips[:1])[0], atol=1e-4)


def test_the_package_holds_weights_and_says_how_they_were_made(clips: np.ndarray) -> None:
    encoder = make_encoder("mae")
    assert encoder.shape == MAE.published_shape == (8, 128)
    assert Path(SHIPPED).stat().st_size < 12e6
    _, about = read(Path(SHIPPED))
    assert (about["made"]["clips"], about["made"]["recipe"]["seed"]) == (16_000, 0)
    latents = encoder.encode(clips)
    # Trained and not merely initialised: the two tones are far apart in every stretch.
    unit = latents / np.linalg.norm(latents, axis=-1, keepdims=True)
    assert (unit[0] * unit[1]).sum(-1).max() < 0.9
