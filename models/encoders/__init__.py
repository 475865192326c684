"""Frozen encoders: waveforms in, latents (T, D) out. Nothing here is ever trained.

To add one: a class with the members of `Encoder`, and its line in ENCODERS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.encoders.logmel import LogMel


class Encoder(Protocol):
    """What a frozen encoder offers. It is sent to worker processes, so it must pickle."""

    @property
    def name(self) -> str: ...

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


ENCODERS: dict[str, Callable[[], Encoder]] = {"logmel": LogMel}


def make_encoder(name: str) -> Encoder:
    """The encoder of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder '{name}'; choose one of {', '.join(ENCODERS)}")
    return ENCODERS[name]()
