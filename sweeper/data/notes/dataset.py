"""The `notes` dataset: single notes of a General MIDI SoundFont, to NSynth's recipe.

A clip is a (program, pitch, velocity): 4 seconds at 16 kHz with the note held for 3. Programs map
to NSynth's families. Two programs of every family are kept for the downstream clips alone.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.clips import FAMILIES, LOWEST_PITCH, PITCHES, Clips, Dataset
from sweeper.data.notes import render, soundfont
from sweeper.data.splits import rank_in_group
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig

VERSION = 2  # raise it when the same recipe would make other clips
DATA_SEED = 20_240_601
VELOCITIES = (25, 50, 75, 100, 127)
PROGRAMS = {
    "keyboard": range(0, 8),
    "mallet": range(8, 16),
    "organ": range(16, 24),
    "guitar": range(24, 32),
    "bass": range(32, 40),
    "string": range(40, 52),
    "vocal": (52, 53, 54, 85, 91),  # choirs and voices, the lead's and the pad's among them
    "brass": range(56, 64),
    "reed": range(64, 72),
    "flute": range(72, 80),
}
# Of this set, almost every note can be heard.
HELD_OUT = {
    "keyboard": (2, 5),
    "mallet": (10, 13),
    "organ": (18, 21),
    "guitar": (26, 29),
    "bass": (34, 37),
    "string": (42, 45),
    "vocal": (53, 91),
    "brass": (58, 61),
    "reed": (66, 69),
    "flute": (74, 77),
}


class Notes(Dataset):
    """The notes of one SoundFont, for the split sizes of one DataConfig."""

    sample_rate = render.SAMPLE_RATE

    def __init__(self, data: DataConfig, font: Path | None = None) -> None:
        self._path = font
        self._valid_share = data.valid_clips / max(1, data.train_clips + data.valid_clips)

    def __getstate__(self) -> dict[str, object]:
        # Without the SoundFont's bytes. multiprocessing writes this state to a worker through a
        # pipe, and if the worker dies at its start, a state longer than the pipe blocks forever.
        return {"_path": self._path, "_valid_share": self._valid_share}

    @functools.cached_property
    def _font(self) -> bytes:
        return soundfont.load(self._path)

    @functools.cached_property
    def _dry(self) -> bytes:
        return soundfont.dry(self._font)

    @property
    def factors(self) -> tuple[str, ...]:
        """See `Dataset`."""
        return ("pitch", "instrument", "velocity")

    def recipe(self) -> dict[str, object]:
        """See `Dataset`."""
        return {
            "version": VERSION,
            "seed": DATA_SEED,
            "soundfont": hashlib.sha256(self._font).hexdigest(),
            "renderer": f"midirenderer {importlib.metadata.version('midirenderer')}",
            "seconds": [render.CLIP_SECONDS, render.HOLD_SECONDS],
            "sample_rate": [render.RENDERER_RATE, render.SAMPLE_RATE],
            "low_pass": [render.REACH, render.CUTOFF, render.KAISER_BETA],
            "pitches": [LOWEST_PITCH, PITCHES],
            "velocities": list(VELOCITIES),
            "programs": {family: list(programs) for family, programs in PROGRAMS.items()},
            "held_out": HELD_OUT,
        }

    def candidates(self, split: str) -> Clips:
        """See `Dataset`. Training and validation share the programs, not the notes."""
        clips = self._combinations(held=split == "downstream")
        if split == "downstream":
            return clips
        return clips.take(self._validation(clips) == (split == "valid"))

    def waveforms(self, clips: Clips) -> NDArray[np.float32]:
        """See `Dataset`."""
        columns = (clips.program, clips.pitch + LOWEST_PITCH, clips.velocity)
        notes = zip(*(column.tolist() for column in columns), strict=True)
        return render.render(self._dry, list(notes))

    def _combinations(self, held: bool) -> Clips:
        """Every pitch and velocity of every program, held out or not."""
        present = soundfont.programs(self._font)
        rows = [
            (pitch, FAMILIES.index(family), program, velocity)
            for family, programs in PROGRAMS.items()
            for program in programs
            if program in present and (program in HELD_OUT[family]) == held
            for pitch in range(PITCHES)
            for velocity in VELOCITIES
        ]
        clips = Clips(*np.array(rows, np.int64).reshape(-1, 4).T.copy())
        if missing := set(range(len(FAMILIES))) - set(clips.family.tolist()):
            names = ", ".join(FAMILIES[family] for family in sorted(missing))
            raise SweeperError(
                f"the SoundFont lacks General MIDI programs for {names}; give a complete one"
            )
        return clips

    def _validation(self, clips: Clips) -> NDArray[np.bool_]:
        """(N,) which clips are validation's: in each stratum, its share of the clips."""
        rng = np.random.default_rng(DATA_SEED)
        shuffled = rng.permutation(len(clips))
        strata = clips.stratum[shuffled]
        start = rng.random(strata.max() + 1)[strata]  # else every stratum would round alike
        due = start + rank_in_group(strata) * self._valid_share
        chosen = np.empty(len(clips), np.bool_)
        chosen[shuffled] = np.floor(due + self._valid_share) > np.floor(due)
        return chosen
