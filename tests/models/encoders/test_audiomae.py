"""AudioMAE on small checkpoints in the published layout, against plain arithmetic."""

from __future__ import annotations

import argparse
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders import make_encoder
from models.encoders.audiomae import AudioMAE, ViT, normalised
from models.encoders.fbank import fbank

WIDTH, DEPTH, HIDDEN = 128, 2, 512
SAMPLES = 64_000


def published(depth: int = DEPTH) -> dict[str, torch.Tensor]:
    """The keys of facebookresearch/AudioMAE's pretrained.pth, encoder and decoder."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 513, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 1, 16, 16),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "mask_token": (1, 1, 64),
        "decoder_pos_embed": (1, 513, 64),
        "decoder_embed.weight": (64, WIDTH),
        "decoder_blocks.0.attn.qkv.weight": (192, 64),
        "decoder_norm.weight": (64,),
        "decoder_pred.weight": (256, 64),
    }
    for block in range(depth):
        for name, shape in {
            "norm1.weight": (WIDTH,), "norm1.bias": (WIDTH,),
            "attn.qkv.weight": (3 * WIDTH, WIDTH), "attn.qkv.bias": (3 * WIDTH,),
            "attn.proj.weight": (WIDTH, WIDTH), "attn.proj.bias": (WIDTH,),
            "norm2.weight": (WIDTH,), "norm2.bias": (WIDTH,),
            "mlp.fc1.weight": (HIDDEN, WIDTH), "mlp.fc1.bias": (HIDDEN,),
            "mlp.fc2.weight": (WIDTH, HIDDEN), "mlp.fc2.bias": (WIDTH,),
        }.items():  # fmt: skip
            shapes[f"blocks.{block}.{name}"] = shape
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(shape, generator=generator) * (0.5 if len(shape) == 1 else 0.1)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audiomae") / "pretrained.pth"
    training = {"epoch": 32, "args": argparse.Namespace(lr=1e-3), "optimizer": {"state": {}}}
    torch.save({"model": published(), **training}, path)
    return path


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """A decaying tone on an offset, and noise."""
    torch.set_num_threads(1)
    time = np.arange(SAMPLES) / 16_000
    tone = 0.4 * np.sin(2 * np.pi * 330 * time) * np.exp(-time) + 0.05
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLES)
    return np.stack([tone, noise]).astype(np.float32)


def network_input(clip: np.ndarray) -> np.ndarray:
    """(1024, 128)"""
    return normalised(torch.from_numpy(fbank(clip)[None]))[0].numpy()


def plain_norm(x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def plain_linear(x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def plain_attention(x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    query, key, value = np.split(plain_linear(x, state, f"{name}.qkv"), 3, axis=-1)
    heads = []
    for head in range(WIDTH // 64):
        part = slice(64 * head, 64 * (head + 1))
        scores = np.exp(query[:, part] @ key[:, part].T / math.sqrt(64))
        heads.append(scores / scores.sum(-1, keepdims=True) @ value[:, part])
    return plain_linear(np.concatenate(heads, axis=-1), state, f"{name}.proj")


def plain_mlp(x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    hidden = plain_linear(x, state, f"{name}.fc1")
    erf = np.vectorize(math.erf)
    return plain_linear(hidden * (1 + erf(hidden / math.sqrt(2))) / 2, state, f"{name}.fc2")


def plain_latents(bank: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Filter bank (1024, 128), normalised -> (25, WIDTH), patch by patch."""
    kernel = state["patch_embed.proj.weight"].reshape(WIDTH, 256)
    tokens = [state["cls_token"][0, 0]]
    for t in range(64):
        for f in range(8):
            patch = bank[16 * t : 16 * t + 16, 16 * f : 16 * f + 16].reshape(256)
            tokens.append(kernel @ patch + state["patch_embed.proj.bias"])
    x = np.stack(tokens) + state["pos_embed"][0]
    for block in range(DEPTH):
        at = f"blocks.{block}"
        x = x + plain_attention(plain_norm(x, state, f"{at}.norm1"), state, f"{at}.attn")
        x = x + plain_mlp(plain_norm(x, state, f"{at}.norm2"), state, f"{at}.mlp")
    x = plain_norm(x, state, "norm")
    return np.stack([x[1 + 8 * t : 9 + 8 * t].mean(0) for t in range(25)])


def test_latents_agree_with_plain_arithmetic(checkpoint: Path, clips: np.ndarray) -> None:
    state = {name: tensor.double().numpy() for name, tensor in published().items()}
    latents = AudioMAE(str(checkpoint)).encode(clips)
    assert latents.shape == (2, 25, WIDTH)
    for clip, latent in zip(clips, latents, strict=True):
        expected = plain_latents(network_input(clip).astype(np.float64), state)
        np.testing.assert_allclose(latent, expected, atol=1e-4)


def test_latents_are_the_same_after_a_move_to_another_device_and_know_no_tf32(
    checkpoint: Path, clips: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move makes other tensors of the weights: here copies, as on a GPU."""
    expected = AudioMAE(str(checkpoint)).encode(clips)
    switches, network = [], ViT.forward

    def forward(self: ViT, banks: torch.Tensor) -> torch.Tensor:
        cudnn = torch.backends.cudnn.allow_tf32
        switches.append((cudnn, torch.get_float32_matmul_precision(), torch.is_autocast_enabled()))
        return network(self, banks)

    monkeypatch.setattr(ViT, "forward", forward)
    monkeypatch.setattr(ViT, "to", lambda self, _: self._apply(torch.clone))
    assert np.array_equal(AudioMAE(str(checkpoint)).encode(clips), expected)
    assert switches == [(False, "highest", False)]


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # the lowest are too narrow
def test_the_filter_bank_is_kaldis_to_1e_4(clips: np.ndarray) -> None:
    from transformers import ASTFeatureExtractor

    extract = ASTFeatureExtractor()
    centred = [clip - clip.mean() for clip in clips]
    reference = extract(centred, sampling_rate=16_000, return_tensors="np")["input_values"]
    for clip, expected in zip(clips, reference, strict=True):
        np.testing.assert_allclose(network_input(clip), expected, atol=1e-4)


def test_a_clip_of_4_seconds_has_398_frames_and_padding_comes_before_normalisation(
    clips: np.ndarray,
) -> None:
    assert fbank(clips[0]).shape == (398, 128)
    padding = network_input(clips[0])[398:]
    np.testing.assert_allclose(padding, 4.2677393 / (2 * 4.5689974), rtol=1e-6)


def test_an_offset_of_the_waveform_changes_nothing(clips: np.ndarray) -> None:
    np.testing.assert_allclose(fbank(clips[1] + np.float32(0.2)), fbank(clips[1]), atol=1e-4)


def test_later_sound_changes_later_tokens_most(checkpoint: Path, clips: np.ndarray) -> None:
    changed = clips[1:].copy()
    changed[:, 16_000 * 3 :] *= 0.1
    encoder = AudioMAE(str(checkpoint))
    distance = np.abs(encoder.encode(changed) - encoder.encode(clips[1:])).mean((0, 2))
    assert distance[20:].min() > distance[:17].max()


def test_the_port_to_timms_layout_gives_the_same_latents(
    checkpoint: Path, clips: np.ndarray, tmp_path: Path
) -> None:
    unused = ("decoder_", "mask_token")
    port = {k: v for k, v in published().items() if not k.startswith(unused)}
    torch.save(port, tmp_path / "pytorch_model.bin")
    mine, its = (AudioMAE(str(path)).encode(clips) for path in (checkpoint, tmp_path))
    np.testing.assert_array_equal(mine, its)


def test_it_is_in_the_registry_and_travels_without_its_weights(
    checkpoint: Path, clips: np.ndarray
) -> None:
    encoder = make_encoder(f"audiomae:{checkpoint}")
    assert (encoder.name, encoder.pool, encoder.shape) == ("audiomae", "mean", (25, WIDTH))
    raw = pickle.dumps(encoder)
    assert len(raw) < 10_000
    arrived = pickle.loads(raw)
    np.testing.assert_array_equal(arrived.encode(clips), encoder.encode(clips))
    assert arrived.fingerprint == encoder.fingerprint


def test_the_fingerprint_follows_the_weights_and_not_their_path(
    checkpoint: Path, tmp_path: Path
) -> None:
    (copy := tmp_path / checkpoint.name).write_bytes(checkpoint.read_bytes())
    assert AudioMAE(str(copy)).fingerprint == AudioMAE(str(checkpoint)).fingerprint
    torch.save({"model": {**published(), "norm.bias": torch.ones(WIDTH)}}, copy)
    assert AudioMAE(str(copy)).fingerprint != AudioMAE(str(checkpoint)).fingerprint


def finetuned(state: dict[str, torch.Tensor]) -> None:
    for name in ("weight", "bias"):
        state[f"fc_norm.{name}"] = state.pop(f"norm.{name}")


def of_images(state: dict[str, torch.Tensor]) -> None:
    state["pos_embed"] = torch.zeros(1, 197, WIDTH)


def in_colour(state: dict[str, torch.Tensor]) -> None:
    state["patch_embed.proj.weight"] = torch.zeros(WIDTH, 3, 16, 16)


def with_more(state: dict[str, torch.Tensor]) -> None:
    state["dist_token"] = torch.zeros(1, 1, WIDTH)


def without_a_bias(state: dict[str, torch.Tensor]) -> None:
    del state["blocks.1.attn.qkv.bias"]


def of_something_else(state: dict[str, torch.Tensor]) -> None:
    state.clear()
    state["features.0.weight"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (finetuned, "it lacks norm.bias (2 such)"),
        (of_images, "pos_embed is (1, 197, 128), not (1, 513, 128)"),
        (in_colour, "patch_embed.proj.weight is (128, 3, 16, 16), not (128, 1, 16, 16)"),
        (with_more, "it has an unknown dist_token (1 such)"),
        (without_a_bias, "it lacks blocks.1.attn.qkv.bias (1 such)"),
        (of_something_else, "it lacks pos_embed"),
    ],
)
def test_another_models_checkpoint_is_one_clear_line(
    tmp_path: Path, change: object, message: str
) -> None:
    state = published()
    change(state)  # type: ignore[operator]
    torch.save({"model": state}, path := tmp_path / "other.pth")
    with pytest.raises(ValueError) as caught:
        AudioMAE(str(path)).shape  # noqa: B018
    assert str(caught.value) == f"{path} is not AudioMAE's pre-trained checkpoint: {message}"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_one_clear_line(
    checkpoint: Path, tmp_path: Path, share: float
) -> None:
    whole = checkpoint.read_bytes()
    (path := tmp_path / "cut.pth").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cut.pth is no checkpoint, or is cut short; [^\n]*$"):
        AudioMAE(str(path)).shape  # noqa: B018


def test_a_directory_without_a_checkpoint_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds none of pytorch_model.bin, pretrained.pth"):
        AudioMAE(str(tmp_path)).shape  # noqa: B018


def test_a_hub_name_while_offline_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"gaunernst/\S+ is neither on this disk nor to be had"):
        AudioMAE().fingerprint  # noqa: B018


def test_clips_of_another_length_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=r"audiomae takes waveforms \(N, 64000\)"):
        AudioMAE(str(checkpoint)).encode(np.zeros((1, 16_000), np.float32))
