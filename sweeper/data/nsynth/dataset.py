"""The `nsynth` dataset: real notes, from NSynth (Engel et al., 2017) or in its layout.

The training part yields the training and the validation clips, the test part the downstream
clips. Left out, counted and named: pitches outside 21-108, which leaves NSynth's 88 classes; the
family synth_lead, which the test part lacks, so that there are 10; and, in a part that is listened
to, notes with the same samples as another.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.clips import FAMILIES, LOWEST_PITCH, PITCHES, Clips, Dataset, Ints, Progress
from sweeper.data.nsynth import wav
from sweeper.data.nsynth.folders import Label, Listing, Part, Place
from sweeper.data.nsynth.layouts import find
from sweeper.data.workers import SILENT
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig

VERSION = 2  # raise it when the same notes would make other clips
HOLDOUT_SEED = 20_240_604
TRAIN, TEST = 0, 1  # the parts
INSTRUMENTS = 1 << 20  # more than a part has: instruments of two parts are never the same one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notes:
    """The usable notes of both parts, sorted by label: in what order they lie plays no role."""

    clips: Clips
    part: Ints  # (N,) TRAIN or TEST
    place: NDArray[np.int64]  # (N, 2), in their part

    def find(self, clips: Clips) -> Ints:
        """(N,) the index of each clip."""
        return np.searchsorted(_key(self.clips), _key(clips))


class NSynth(Dataset):
    """The notes under `root`; see `layouts.find` for what may be there."""

    sample_rate = wav.SAMPLE_RATE

    def __init__(self, data: DataConfig, root: Path | None) -> None:
        if root is None:
            raise SweeperError("the dataset nsynth needs --data-root DIR, where its archives are")
        self._parts = find(root)
        self._valid, self._asked = data.valid_clips, data.train_clips + data.valid_clips

    def recipe(self) -> dict[str, object]:
        """See `Dataset`. Digests of labels, names and sizes, not of all audio: see `Part`."""
        return {
            "version": VERSION,
            "seed": HOLDOUT_SEED,
            "pitches": [LOWEST_PITCH, PITCHES],
            "families": list(FAMILIES),
            "parts": [part.identity() for part in self._parts],
        }

    def candidates(self, split: str) -> Clips:
        """See `Dataset`. Training and validation share the instruments, not the notes."""
        if split == "downstream":
            return self._notes.clips.take(self._notes.part == TEST)
        clips = self._notes.clips.take(self._notes.part == TRAIN)
        held = held_out(clips.stratum, self._valid, self._asked)
        return clips.take(held == (split == "valid"))

    def size(self, split: str, asked: int) -> int:
        """See `Dataset`. All that there are, where fewer exist."""
        if (exist := len(self.candidates(split))) >= asked:
            return asked
        log.warning("%d %s clips are asked for; all %d that exist are used", asked, split, exist)
        return exist

    def reading_order(self, clips: Clips) -> Ints:
        """See `Dataset`."""
        index = self._notes.find(clips)
        place = self._notes.place[index]
        return np.lexsort((place[:, 1], place[:, 0], self._notes.part[index]))

    def waveforms(self, clips: Clips) -> NDArray[np.float32]:
        """See `Dataset`."""
        waveforms = np.empty((len(clips), wav.SAMPLES), np.float32)
        index = self._notes.find(clips)
        order = self.reading_order(clips)
        for number, part in enumerate(self._parts):
            rows = order[self._notes.part[index[order]] == number]
            places: list[Place] = [(int(a), int(b)) for a, b in self._notes.place[index[rows]]]
            for row, raw in zip(rows, part.read(places), strict=True):
                waveforms[row] = _samples(raw, part)
        return waveforms / np.float32(2**15)

    def survey(self, progress: Progress) -> None:
        """See `Dataset`. A packed training part is read from end to end: minutes."""
        train, test = self._parts
        parts = [_notes_of(train, 2 * self._asked, progress), _notes_of(test, None, progress)]
        self._notes = _join(parts)

    @functools.cached_property
    def _notes(self) -> Notes:
        """Of all parts; made once, and sent to the workers."""
        self.survey(lambda *_: None)
        return self._notes  # which `survey` has put in this property's place


def held_out(strata: Ints, part: int, whole: int) -> NDArray[np.bool_]:
    """(N,) which items are held out: `part` of `whole`, of each stratum and of all alike."""
    rng = np.random.default_rng(HOLDOUT_SEED)
    turn = rng.permutation(strata.max(initial=0) + 1)
    shuffled = rng.permutation(len(strata))
    order = shuffled[np.argsort(turn[strata[shuffled]], kind="stable")]
    held = np.empty(len(strata), np.bool_)
    held[order] = np.diff(np.arange(len(strata) + 1) * part // whole) > 0
    return held


class Ear:
    """Hears every note of a part: which are silent, and which have the same samples."""

    def __init__(self) -> None:
        self.heard: dict[str, bytes] = {}  # digests of the samples, by name

    def __call__(self, name: str, raw: bytes) -> None:
        samples = wav.samples(raw)
        if np.abs(samples.astype(np.int32)).max() < SILENT * 2**15:
            raise ValueError("silent")
        self.heard.setdefault(name, hashlib.sha1(samples.tobytes(), usedforsecurity=False).digest())


def _samples(raw: bytes, part: Part) -> NDArray[np.int16]:
    try:
        return wav.samples(raw)
    except ValueError as error:
        raise SweeperError(f"a note of {part.path} is unusable ({error}); mend it") from error


def _notes_of(part: Part, plenty: int | None, progress: Progress) -> dict[str, tuple[Label, Place]]:
    """The usable notes of a part.

    Where there are not plenty (NSynth's test part), all are listened to: no other can replace one
    that is silent, and copies would lie on both sides of the probes' split. Where there are
    (its training part), none is, not even where an archive streams by anyway: every layout must
    give the same clips.
    """
    ear = Ear() if plenty is None else None
    listing = part.listing(ear, progress)
    usable = _usable(part, listing)
    if ear:
        _leave_out_copies(usable, ear, listing)
    if plenty is not None and len(usable) < plenty:
        return _notes_of(part, None, progress)
    for reason, names in sorted(listing.left_out.items()):
        log.warning(
            "%s: %d notes left out: %s; first %s", part.path, len(names), reason, min(names)
        )
    if not usable:
        raise SweeperError(f"{part.path} holds no usable note; check --data-root")
    return usable


def _usable(part: Part, listing: Listing) -> dict[str, tuple[Label, Place]]:
    """Notes with labels, audio, and a class of their own; the others are left out."""
    usable: dict[str, tuple[Label, Place]] = {}
    taken: set[tuple[int, int, int]] = set()
    unusable = {name.split(":")[0] for names in listing.left_out.values() for name in names}
    for name, label in listing.labels.items():
        note = (label.instrument, label.pitch, label.velocity)
        if reason := _reason(part, name, label):
            listing.leave_out(reason, name)
        elif name in listing.places and note not in taken:
            taken.add(note)
            usable[name] = (label, listing.places[name])
        elif name in listing.places:
            listing.leave_out("the same instrument, pitch and velocity as another", name)
        elif name not in unusable:
            listing.leave_out("labels without audio", name)
    for name in listing.places.keys() - listing.labels.keys():
        listing.leave_out("audio without labels", name)
    return usable


def _leave_out_copies(usable: dict[str, tuple[Label, Place]], ear: Ear, listing: Listing) -> None:
    """Of notes with the same samples the first by name stays."""
    first: dict[bytes, str] = {}
    for name in sorted(usable):
        if (original := first.setdefault(ear.heard[name], name)) != name:
            listing.leave_out("the same samples as another note", f"{name}, a copy of {original}")
            del usable[name]


def _reason(part: Part, name: str, label: Label) -> str | None:
    """Why a note cannot be a clip, whatever its audio."""
    if not LOWEST_PITCH <= label.pitch < LOWEST_PITCH + PITCHES:
        return f"pitch outside {LOWEST_PITCH}-{LOWEST_PITCH + PITCHES - 1}"
    if label.family == "synth_lead":
        return "family synth_lead, which NSynth's test part lacks"
    if label.family not in FAMILIES:
        raise SweeperError(
            f"{part.path}: {name} is of the family '{label.family}'; "
            f"choose one of {', '.join(FAMILIES)}"
        )
    return None


def _join(parts: list[dict[str, tuple[Label, Place]]]) -> Notes:
    rows = np.array(
        [
            (
                pitch - LOWEST_PITCH,
                FAMILIES.index(family),
                part * INSTRUMENTS + instrument,
                velocity,
            )
            for part, notes in enumerate(parts)
            for (pitch, family, instrument, velocity), _ in notes.values()
        ],
        np.int64,
    )
    number = np.repeat(np.arange(len(parts)), [len(notes) for notes in parts])
    place = np.array([place for notes in parts for _, place in notes.values()], np.int64)
    order = np.argsort(_key(Clips(*rows.T)))
    return Notes(Clips(*rows[order].T.copy()), number[order], place[order])


def _key(clips: Clips) -> Ints:
    """(N,) one number for each note."""
    return (clips.program * PITCHES + clips.pitch) * 128 + clips.velocity
