"""Frozen encoders: waveforms in, latents (T, D) out. Nothing here is ever trained.

To add one: a class with the members of `Encoder`, and its line in ENCODERS or PRETRAINED.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.encoders.logmel import LogMel
from models.names import unknown


class Encoder(Protocol):
    """What a frozen encoder offers. It is sent to worker processes, so it must pickle."""

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str:
        """Of the weights."""

    @property
    def download(self) -> str:
        """Size of the published weights, such as "343 MB"; "" if nothing is downloaded."""

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, Hz."""

    @property
    def shape(self) -> tuple[int, int]:
        """(T, D) of one clip's latents."""

    @property
    def pool(self) -> str:
        """How a clip's latents become one vector: "flatten" (T·D) or "mean" over the T tokens."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the latents of the same waveform change: version, settings, weights."""

    def encode(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Waveforms (N, samples), full scale 1 -> latents (N, T, D), not yet standardised."""


@runtime_checkable
class TwoStage(Protocol):
    """An encoder that does its work in two stages, so that they can overlap.

    The front end runs where clips are read, on many processes; the network runs on one, on the GPU
    if there is one. `encode` does both.
    """

    def front(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Waveforms (N, samples), full scale 1 -> what the network takes, one row a clip."""

    def network(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `front` gives -> latents (N, T, D), not yet standardised."""


# Imported when they are asked for: they need torch. They take weights: NAME:PATH_OR_HUB_NAME.
PRETRAINED = {
    "mae": "mae.MAE",
    "audiomae": "audiomae.AudioMAE",
    "audioldm": "audioldm.AudioLDM",
    "dac": "hugging.DAC",
    "encodec": "hugging.EnCodec",
    "ast": "hugging.AST",
    "clap": "hugging.CLAP",
    "hf": "hugging.Hugging",
}
ENCODERS: dict[str, Callable[[], Encoder]] = {"logmel": LogMel}


def make_encoder(name: str) -> Encoder:
    """The encoder of that name; of those in PRETRAINED, `name` may say whose weights.

    Raises:
        ValueError: there is none.
    """
    kind, _, weights = name.partition(":")
    if kind in PRETRAINED:
        made: Encoder = encoder_class(kind)(weights or None)
        return made
    if name not in ENCODERS:
        raise ValueError(unknown("encoder", name, [*ENCODERS, *PRETRAINED]))
    return ENCODERS[name]()


def encoder_class(kind: str) -> Any:
    """The class behind a name of ENCODERS or PRETRAINED."""
    if kind in ENCODERS:
        return ENCODERS[kind]
    module, _, cls = PRETRAINED[kind].partition(".")
    return getattr(import_module(f"models.encoders.{module}"), cls)
