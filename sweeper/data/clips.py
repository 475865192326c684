"""Clips and the datasets that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    others: Mapping[str, Ints] = field(default_factory=dict)  # of further factors, by their names

    def __len__(self) -> int:
        return len(self.pitch)

    def take(self, index: NDArray[np.generic]) -> Clips:
        """The clips at `index` (positions or a mask)."""
        pitch, family, program, velocity = (column[index] for column in self.columns)
        return Clips(pitch, family, program, velocity, self._others(index))

    def _others(self, index: NDArray[np.generic]) -> dict[str, Ints]:
        return {factor: labels[index] for factor, labels in self.others.items()}

    @property
    def columns(self) -> tuple[Ints, ...]:
        """Of COLUMNS."""
        return self.pitch, self.family, self.program, self.velocity

    @property
    def factors(self) -> dict[str, Ints]:
        """(N,) labels of everything that a study may share or probe, by its name there."""
        named = {"pitch": self.pitch, "instrument": self.family, "velocity": self.velocity}
        return {**named, **self.others}

    @property
    def stratum(self) -> Ints:
        """(N,) one number for each family and pitch."""
        return self.family * PITCHES + self.pitch

    @property
    def note(self) -> Ints:
        """(N,) one number for each instrument and pitch: clips of a note differ in velocity."""
        notes: Ints = np.unique(self.program * PITCHES + self.pitch, return_inverse=True)[1]
        return notes


COLUMNS = ("pitch", "family", "program", "velocity")


class Dataset(Protocol):
    """Something that yields clips with labels. It is sent to worker processes."""

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, Hz."""

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the classes of `Clips.family`."""
        return FAMILIES

    @property
    def factors(self) -> tuple[str, ...]:
        """Of `Clips.factors`, those that its labels tell: what a study may share or probe."""
        return ("pitch", "instrument")

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
