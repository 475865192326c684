"""AudioLDM's autoencoder on small checkpoints in the published layout, and its front end."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders import make_encoder

SAMPLES = 64_000
SCALE = 0.9227914214134216
NEEDS = pytest.mark.skipif(
    importlib.util.find_spec("diffusers") is None, reason="diffusers is not installed"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AudioLDM's structure, a quarter as wide: three stages, attention in the middle."""
    from diffusers import AutoencoderKL

    torch.set_num_threads(1)
    torch.manual_seed(3)
    directory = tmp_path_factory.mktemp("audioldm")
    AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 128),
        layers_per_block=2,
        latent_channels=8,
        scaling_factor=SCALE,
    ).save_pretrained(directory / "vae")
    return directory


def clip() -> np.ndarray:
    time = np.arange(SAMPLES) / 16_000
    noise = np.random.default_rng(1).normal(0, 0.01, SAMPLES)
    return (0.3 * np.sin(2 * np.pi * 330 * time) * np.exp(-time) + noise + 0.05).astype(np.float32)


def slaney_filters() -> np.ndarray:
    """(513, 64), one triangle after another, as librosa defines them."""

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1_000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * np.log(8) / np.log(6.4)
    edges = [hertz(mel) for mel in np.linspace(0, top, 66)]
    filters = np.zeros((513, 64))
    for band in range(64):
        low, peak, high = edges[band : band + 3]
        for k in range(513):
            f = k * 16_000 / 1_024
            height = min((f - low) / (peak - low), (high - f) / (high - peak))
            filters[k, band] = max(0, height) * 2 / (high - low)
    return filters


def test_the_front_end_agrees_with_torchs_transform_and_filters_written_out() -> None:
    from models.encoders.audioldm import log_mel

    wave = torch.from_numpy(clip()).double()
    wave = wave - wave.mean()
    wave = 0.5 * wave / wave.abs().max()
    window = torch.hann_window(1_024, dtype=torch.float64)
    spectrum = torch.stft(wave, 1_024, 160, window=window, center=True, return_complex=True)
    mel = slaney_filters().T @ spectrum.abs().numpy()
    expected = np.log(np.maximum(mel, 1e-5)).T[:400]
    assert log_mel(clip()).shape == (400, 64)
    np.testing.assert_allclose(log_mel(clip()), expected, atol=1e-4)


@NEEDS
def test_latents_are_the_scaled_means_of_the_posterior_averaged_over_time(checkpoint: Path) -> None:
    from diffusers import AutoencoderKL

    from models.encoders.audioldm import log_mel

    latents = make_encoder(f"audioldm:{checkpoint}").encode(clip()[None])
    model = AutoencoderKL.from_pretrained(checkpoint / "vae", low_cpu_mem_usage=False).eval()
    with torch.inference_mode():
        mean = model.encode(torch.from_numpy(log_mel(clip()))[None, None]).latent_dist.mean[0]
    assert mean.shape == (8, 100, 16)
    expected = SCALE * mean.numpy().transpose(1, 0, 2).reshape(25, 4, 128).mean(1)
    np.testing.assert_allclose(latents[0], expected, atol=1e-5)


@NEEDS
def test_the_whole_model_and_its_autoencoder_alone_give_the_same_latents(checkpoint: Path) -> None:
    whole, alone = (make_encoder(f"audioldm:{path}") for path in (checkpoint, checkpoint / "vae"))
    assert whole.fingerprint == alone.fingerprint
    np.testing.assert_array_equal(whole.encode(clip()[None]), alone.encode(clip()[None]))


@NEEDS
def test_an_autoencoder_of_pictures_is_refused_by_name(checkpoint: Path, tmp_path: Path) -> None:
    config = json.loads((checkpoint / "vae" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"in_channels": 3}))
    with pytest.raises(ValueError, match=f"{tmp_path} holds no autoencoder of mel"):
        make_encoder(f"audioldm:{tmp_path}").encode(clip()[None])


def test_a_missing_diffusers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'sweeper\[audioldm\]'"):
        make_encoder("audioldm")


@NEEDS
def test_missing_weights_are_named_with_their_number(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    source = checkpoint / "vae"
    (tmp_path / "config.json").write_text((source / "config.json").read_text())
    state = load_file(source / "diffusion_pytorch_model.safetensors")
    del state["encoder.conv_in.weight"]
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ValueError, match=r"lacks encoder\.conv_in\.weight \(1 such\)"):
        make_encoder(f"audioldm:{tmp_path}").encode(clip()[None])
