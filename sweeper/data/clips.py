"""Clips and the datasets that they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "valid", "downstream")
PARTS = ("train", "validation", "test")  # of the downstream clips, for the probes

# NSynth's families, in its order, less synth_lead: its test set, like ours, has none.
FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "vocal",
)  # fmt: skip
LOWEST_PITCH = 21
PITCHES = 88

Ints = NDArray[np.int64]
Progress = Callable[[int, int, str], None]  # done, in all, what is being done


@dataclass(frozen=True)
class Clips:
    """Labels of N clips, one array (N,) each."""

    pitch: Ints  # class 0-87: MIDI pitch less LOWEST_PITCH
    family: Ints  # class: index in the dataset's families
    program: Ints  # the instrument
    velocity: Ints

    def __len__(self) -> int:
        return len(self.pitch)

    def take(self, index: NDArray[np.generic]) -> Clips:
        """The clips at `index` (positions or a mask)."""
        return Clips(*(column[index] for column in self.columns))

    @property
    def columns(self) -> tuple[Ints, ...]:
        return self.pitch, self.family, self.program, self.velocity

    @property
    def stratum(self) -> Ints:
        """(N,) one number for each family and pitch."""
        return self.family * PITCHES + self.pitch

    @property
    def note(self) -> Ints:
        """(N,) one number for each instrument and pitch: clips of a note differ in velocity."""
        notes: Ints = np.unique(self.program * PITCHES + self.pitch, return_inverse=True)[1]
        return notes


COLUMNS = tuple(field.name for field in dataclasses.fields(Clips))


class Dataset(Protocol):
    """Something that yields clips with labels. It is sent to worker processes."""

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, Hz."""

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the classes of `Clips.family`."""
        return FAMILIES

    def recipe(self) -> dict[str, object]:
        """All that decides the clips, as JSON: part of the latents' fingerprint."""

    def candidates(self, split: str) -> Clips:
        """Every clip that a split may draw; no clip is a candidate of two splits."""

    def waveforms(self, clips: Clips) -> NDArray[np.float32]:
        """(N, samples), full scale 1. A clip whose peak is below SILENT is drawn again."""

    def survey(self, progress: Progress) -> None:
        """Look through what is there, where that takes long; asked for before anything is made."""
        return

    def size(self, split: str, asked: int) -> int:
        """How many clips a split gets when that many are asked for."""
        return asked

    def reading_order(self, clips: Clips) -> Ints:
        """(N,) the order in which it is cheapest to ask for the waveforms of these clips."""
        return np.arange(len(clips))
