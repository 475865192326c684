"""Encoders of `transformers` on small random checkpoints, saved as the published ones are."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.encoders import make_encoder
from models.encoders.pretrained import averaged, resample

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")

SAMPLES = 64_000
SHAPES = {"dac": (25, 32), "encodec": (25, 16), "ast": (39, 32), "clap": (13, 64), "hf": (25, 32)}


def dac(path: Path) -> None:
    from transformers import DacConfig, DacModel

    # The 16 kHz release: a hop of 320 samples, which is 200 frames in a clip.
    config = DacConfig(
        encoder_hidden_size=2, hidden_size=32, downsampling_ratios=[2, 4, 5, 8],
        upsampling_ratios=[8, 5, 4, 2], decoder_hidden_size=16, n_codebooks=2, codebook_size=8,
    )  # fmt: skip
    DacModel(config).save_pretrained(path)


def encodec(path: Path) -> None:
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(
        num_filters=2, hidden_size=16, codebook_dim=16, codebook_size=8, num_lstm_layers=1
    )
    EncodecModel(config).save_pretrained(path)


def ast(path: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    config = ASTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    ASTModel(config).save_pretrained(path)
    ASTFeatureExtractor().save_pretrained(path)


def clap_config(fused: bool = False) -> dict[str, Any]:
    return {
        "patch_embeds_hidden_size": 8, "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1],
        "hidden_size": 64, "enable_fusion": fused,
    }  # fmt: skip


def clap(path: Path) -> None:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    text = {
        "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 8, "max_position_embeddings": 8,
    }  # fmt: skip
    ClapModel(ClapConfig(text_config=text, audio_config=clap_config())).save_pretrained(path)
    ClapFeatureExtractor().save_pretrained(path)


def hf(path: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        conv_dim=(8,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(path)
    Wav2Vec2FeatureExtractor().save_pretrained(path)


SAVE = {"dac": dac, "encodec": encodec, "ast": ast, "clap": clap, "hf": hf}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    paths = {name: tmp_path_factory.mktemp(name) for name in SAVE}
    for name, save in SAVE.items():
        save(paths[name])
    return paths


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.1, (2, SAMPLES)).astype(np.float32)


@pytest.mark.parametrize("name", SAVE)
def test_latents_have_the_documented_shape_for_every_clip(
    saved: dict[str, Path], clips: np.ndarray, name: str
) -> None:
    encoder = make_encoder(f"{name}:{saved[name]}")
    latents = encoder.encode(clips)
    assert encoder.shape == SHAPES[name]
    assert latents.shape == (2, *encoder.shape)
    assert latents.dtype == np.float32
    assert np.isfinite(latents).all()
    assert np.abs(latents[0] - latents[1]).max() > 1e-4 * np.abs(latents).max()


@pytest.mark.parametrize("name", SAVE)
def test_a_clip_is_encoded_alike_alone_in_company_and_after_a_journey(
    saved: dict[str, Path], clips: np.ndarray, name: str
) -> None:
    encoder = make_encoder(f"{name}:{saved[name]}")
    together = encoder.encode(clips)
    arrived = pickle.loads(pickle.dumps(encoder))
    assert arrived.fingerprint == encoder.fingerprint
    alone = arrived.encode(clips[1:])[0]
    np.testing.assert_allclose(alone, together[1], atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize("name", SAVE)
def test_tokens_are_in_the_order_of_time(
    saved: dict[str, Path], clips: np.ndarray, name: str
) -> None:
    encoder = make_encoder(f"{name}:{saved[name]}")
    changed = clips[:1].copy()
    changed[:, 56_000:] = 0
    distance = np.abs(encoder.encode(changed) - encoder.encode(clips[:1])).mean((0, 2))
    late = len(distance) * 56 // 64
    assert distance[late + 1 :].mean() > 2 * distance[: late - 3].mean()


def test_ast_agrees_with_its_own_hidden_states(saved: dict[str, Path], clips: np.ndarray) -> None:
    from transformers import ASTFeatureExtractor, ASTModel

    inputs = ASTFeatureExtractor()(list(clips), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        hidden = ASTModel.from_pretrained(saved["ast"]).eval()(**inputs).last_hidden_state
    expected = np.stack([hidden[:, 2 + t : 1214 : 101].mean(1).numpy() for t in range(39)], axis=1)
    latents = make_encoder(f"ast:{saved['ast']}").encode(clips)
    np.testing.assert_allclose(latents, expected, atol=1e-5)


def test_averaging_keeps_the_mean_and_the_order() -> None:
    frames = torch.arange(200.0).expand(1, 3, 200)
    tokens = averaged(frames)
    assert tokens.shape == (1, 25, 3)
    np.testing.assert_allclose(tokens[0, :, 0], np.arange(200.0).reshape(25, 8).mean(1))


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_resampling_keeps_a_tone_and_its_length(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(SAMPLES) / 16_000)[None].astype(np.float32)
    resampled = resample(tone, rate)
    assert resampled.shape == (1, 4 * rate)
    assert resampled.dtype == np.float32
    inside = slice(rate // 10, -rate // 10)
    expected = np.sin(2 * np.pi * 440 * np.arange(4 * rate) / rate)
    np.testing.assert_allclose(resampled[0, inside], expected[inside], atol=5e-3)


def test_the_name_and_fingerprint_of_any_model_hold_no_path_of_this_machine(
    saved: dict[str, Path], tmp_path: Path
) -> None:
    (copy := tmp_path / saved["hf"].name).mkdir()
    for file in saved["hf"].iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    here, there = (make_encoder(f"hf:{path}") for path in (saved["hf"], copy))
    assert (here.name, here.fingerprint) == (there.name, there.fingerprint)


def one_line(call: Any) -> str:
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_another_kind_of_model_is_one_clear_line(saved: dict[str, Path]) -> None:
    encoder = make_encoder(f"dac:{saved['encodec']}")
    assert "holds a model of type encodec, not DacModel" in one_line(lambda: encoder.shape)


def test_a_directory_without_a_model_is_one_clear_line(tmp_path: Path) -> None:
    encoder = make_encoder(f"encodec:{tmp_path}")
    assert "holds no model that transformers knows" in one_line(lambda: encoder.shape)


def test_missing_weights_are_one_clear_line(saved: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(saved["ast"] / "model.safetensors")
    gone = min(weights)
    del weights[gone]
    for file in saved["ast"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    encoder = make_encoder(f"ast:{tmp_path}")
    assert f"lacks {gone} (1 such)" in one_line(lambda: encoder.shape)


def test_truncated_weights_are_one_clear_line(saved: dict[str, Path], tmp_path: Path) -> None:
    for file in saved["hf"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    encoder = make_encoder(f"hf:{tmp_path}")
    assert f"{tmp_path} holds no weights for hf" in one_line(lambda: encoder.shape)


def test_a_fused_clap_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    config = json.loads((saved["clap"] / "config.json").read_text())
    config["audio_config"]["enable_fusion"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    encoder = make_encoder(f"clap:{tmp_path}")
    assert "is a fused CLAP; an unfused one is needed" in one_line(lambda: encoder.shape)


@pytest.mark.parametrize("name", ["dac", "encodec", "ast", "clap", "hf:facebook/hubert-base-ls960"])
def test_a_hub_name_while_offline_is_one_clear_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = one_line(lambda: make_encoder(name).fingerprint)
    assert "is neither on this disk nor to be had from the Hugging Face hub" in message


def test_hf_without_a_model_says_what_it_needs() -> None:
    assert "hf:NAME_OR_PATH" in one_line(lambda: make_encoder("hf"))
