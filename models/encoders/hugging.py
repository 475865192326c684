"""Encoders that `transformers` has: codecs, audio classifiers, speech models."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoders.pretrained import SAMPLES, TOKENS, Pretrained, averaged, resample

SECONDS = 4

Floats = NDArray[np.float32]


def load_as(kind: str, path: Path) -> Any:
    """A model of that class of `transformers`, from a directory and never from elsewhere.

    Raises:
        ValueError: the directory holds a model of another kind, or lacks some weights.
    """
    import transformers

    config = config_of(path)
    cls = getattr(transformers, kind)
    if kind != "AutoModel" and config.model_type != cls.config_class.model_type:
        raise ValueError(f"{path} holds a model of type {config.model_type}, not {kind}")
    model, info = cls.from_pretrained(path, local_files_only=True, output_loading_info=True)
    if missing := info["missing_keys"]:
        raise ValueError(f"{path} lacks {min(missing)} ({len(missing)} such)")
    return model


def config_of(path: Path) -> Any:
    """The config that was saved with a model. ValueError: there is none."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        return transformers.AutoConfig.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} holds no model that transformers knows") from error


class FromTransformers(Pretrained):
    """An encoder that is one class of `transformers`."""

    kind: str  # the class

    def load(self, path: Path) -> Any:
        """See `Pretrained`."""
        return load_as(self.kind, path)


class Codec(FromTransformers):
    """The encoder of a neural codec, before quantisation; frames averaged to (25, D)."""

    @functools.cached_property
    def rate(self) -> int:
        """Of the waveforms that the network takes, Hz."""
        return int(config_of(self.path).sampling_rate)

    def inputs(self, waveforms: Floats) -> Floats:
        """See `Pretrained`."""
        return resample(waveforms, self.rate)

    def latents(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """See `Pretrained`."""
        return averaged(model.encoder(inputs[:, None]))


class DAC(Codec):
    """Descript Audio Codec (Kumar et al., 2023): D = 1024."""

    name, weights, kind = "dac", "descript/dac_16khz", "DacModel"
    published_shape = (TOKENS, 1_024)
    licence = "MIT"


class EnCodec(Codec):
    """EnCodec (Défossez et al., 2022): D = 128."""

    name, weights, kind = "encodec", "facebook/encodec_24khz", "EncodecModel"
    published_shape = (TOKENS, 128)


class Extracted(FromTransformers):
    """An encoder whose front end is the feature extractor that was saved with the model."""

    @functools.cached_property
    def extractor(self) -> Any:
        """ValueError: there is none."""
        from transformers import AutoFeatureExtractor

        try:
            return AutoFeatureExtractor.from_pretrained(self.path, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path} holds no preprocessor_config.json to be used") from error

    def extracted(self, waveforms: Floats, **options: Any) -> Any:
        """What the extractor makes of waveforms at 16 kHz."""
        rate = self.extractor.sampling_rate
        return self.extractor(
            list(resample(waveforms, rate)), sampling_rate=rate, return_tensors="np", **options
        )

    def inputs(self, waveforms: Floats) -> Floats:
        """See `Pretrained`."""
        extracted = self.extracted(waveforms)
        if "input_values" not in extracted:
            raise ValueError(f"{self.weights} takes no waveforms; choose another model")
        return np.asarray(extracted["input_values"], np.float32)


class AST(Extracted):
    """Audio Spectrogram Transformer (Gong et al., 2021), averaged over frequency: (39, 768)."""

    name, kind = "ast", "ASTModel"
    weights = "MIT/ast-finetuned-audioset-10-10-0.4593"
    published_shape = (39, 768)

    def latents(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """See `Pretrained`. Tokens that hold padding are dropped."""
        config = model.config
        hidden = model(inputs).last_hidden_state
        bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        frames = 1 + (SAMPLES - 400) // 160
        tokens = (frames - config.patch_size) // config.time_stride + 1
        grid: torch.Tensor = hidden[:, 2:].unflatten(1, (bands, -1))  # two special tokens first
        return grid.mean(1)[:, :tokens]


class CLAP(Extracted):
    """CLAP's audio encoder (Wu et al., 2023), averaged over frequency: (13, 768)."""

    name, kind = "clap", "ClapAudioModel"
    weights = "laion/clap-htsat-unfused"
    published_shape = (13, 768)

    def load(self, path: Path) -> Any:
        """See `Pretrained`. The audio encoder alone, or that of a whole CLAP."""
        config = config_of(path)
        if getattr(config, "audio_config", config).enable_fusion:
            raise ValueError(f"{path} is a fused CLAP; an unfused one is needed")
        if config.model_type == "clap":
            return load_as("ClapModel", path).audio_model
        return super().load(path)

    def inputs(self, waveforms: Floats) -> Floats:
        """See `Pretrained`. The clip is repeated to 10 s as in training."""
        features = self.extracted(waveforms, truncation="rand_trunc")["input_features"]
        return np.asarray(features, np.float32)

    def latents(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """See `Pretrained`. The first time that the clip is heard counts."""
        hidden = model(inputs).last_hidden_state  # (N, D, f, t)
        seconds = self.extractor.nb_max_samples / self.extractor.sampling_rate
        tokens = int(np.ceil(SECONDS / seconds * hidden.shape[3]))
        grid: torch.Tensor = hidden.mean(2)[:, :, :tokens]
        return grid.transpose(1, 2)


class Hugging(Extracted):
    """Any model of the hub that takes a waveform: `hf:NAME_OR_PATH`; frames averaged to (25, D)."""

    name, kind = "hf", "AutoModel"

    def __init__(self, weights: str | None = None) -> None:
        if not weights:
            raise ValueError(
                "hf needs a model: hf:NAME_OR_PATH, such as hf:facebook/hubert-base-ls960"
            )
        super().__init__(weights)
        self.name = f"hf:{Path(weights).name}"  # the same wherever it lies

    def latents(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """See `Pretrained`."""
        hidden = getattr(model(inputs), "last_hidden_state", None)
        if hidden is None or hidden.ndim != 3:
            raise ValueError(f"{self.weights} gives no frames (N, T, D); choose another model")
        return averaged(hidden.transpose(1, 2))
