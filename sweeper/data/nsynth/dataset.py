"""The `nsynth` dataset: real notes, from NSynth (Engel et al., 2017) or in its layout.

The training archive yields the training and the validation clips, the test archive the downstream
clips. Left out, counted and named: pitches outside 21-108, which leaves NSynth's 88 classes; the
family synth_lead, which the test archive lacks, so that there are 10; and, in an archive that is
listened to, notes with the same samples as another.
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
from sweeper.data.nsynth.folders import INSTRUMENTS, VELOCITIES, Index, Label, NoteArchive, Place
from sweeper.data.nsynth.layouts import find
from sweeper.data.splits import HOLDOUT_SEED, held_out
from sweeper.data.workers import SILENT
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig

VERSION = 2  # raise it when the same notes would make other clips
TRAIN, TEST = 0, 1  # the archives

log = logging.getLogger(__name__)

UsableNotes = dict[str, tuple[Label, Place]]  # of one archive, by name


@dataclass(frozen=True)
class NoteIndex:
    """The usable notes of both archives, sorted by label: in what order they lie plays no role."""

    clips: Clips
    archive: Ints  # (N,) TRAIN or TEST
    place: NDArray[np.int64]  # (N, 2), in their archive

    def find(self, clips: Clips) -> Ints:
        """(N,) the index of each clip."""
        return np.searchsorted(_key(self.clips), _key(clips))


class NSynth(Dataset):
    """The notes under `root`; see `layouts.find` for what may be there."""

    sample_rate = wav.SAMPLE_RATE

    def __init__(self, data: DataConfig, root: Path | None) -> None:
        if root is None:
            raise SweeperError("the dataset nsynth needs --data-root DIR, where its archives are")
        self._archives = find(root)
        self._valid, self._asked = data.valid_clips, data.train_clips + data.valid_clips

    @property
    def factors(self) -> tuple[str, ...]:
        """See `Dataset`."""
        return ("pitch", "instrument", "velocity")

    def recipe(self) -> dict[str, object]:
        """See `Dataset`. Digests of labels, names and sizes, not of all audio."""
        return {
            "version": VERSION,
            "seed": HOLDOUT_SEED,
            "pitches": [LOWEST_PITCH, PITCHES],
            "families": list(FAMILIES),
            "parts": [archive.identity() for archive in self._archives],
        }

    def candidates(self, split: str) -> Clips:
        """See `Dataset`. Training and validation share the instruments, not the notes."""
        if split == "downstream":
            return self._notes.clips.take(self._notes.archive == TEST)
        clips = self._notes.clips.take(self._notes.archive == TRAIN)
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
        return np.lexsort((place[:, 1], place[:, 0], self._notes.archive[index]))

    def waveforms(self, clips: Clips) -> NDArray[np.float32]:
        """See `Dataset`."""
        waveforms = np.empty((len(clips), wav.SAMPLES), np.float32)
        index = self._notes.find(clips)
        order = self.reading_order(clips)
        for number, archive in enumerate(self._archives):
            rows = order[self._notes.archive[index[order]] == number]
            places: list[Place] = [(int(a), int(b)) for a, b in self._notes.place[index[rows]]]
            for row, raw in zip(rows, archive.read(places), strict=True):
                waveforms[row] = _samples(raw, archive)
        return waveforms / np.float32(2**15)

    def survey(self, progress: Progress) -> None:
        """See `Dataset`. A packed training archive is read from end to end: minutes."""
        train, test = self._archives
        self._notes = _joined(
            [_notes_of(train, 2 * self._asked, progress), _notes_of(test, None, progress)]
        )

    @functools.cached_property
    def _notes(self) -> NoteIndex:
        """Of both archives; made once, and sent to the workers."""
        self.survey(lambda *_: None)
        return self._notes  # which `survey` has put in this property's place


class AudioCheck:
    """Hears every note of an archive: which are silent, and which have the same samples."""

    def __init__(self) -> None:
        self.digests: dict[str, bytes] = {}  # of the samples, by name

    def __call__(self, name: str, raw: bytes) -> None:
        """See `OnWav`."""
        samples = wav.samples(raw)
        if np.abs(samples.astype(np.int32)).max() < SILENT * 2**15:
            raise ValueError("silent")
        digest = hashlib.sha1(samples.tobytes(), usedforsecurity=False).digest()
        self.digests.setdefault(name, digest)


def _samples(raw: bytes, archive: NoteArchive) -> NDArray[np.int16]:
    try:
        return wav.samples(raw)
    except ValueError as error:
        raise SweeperError(f"a note of {archive.path} is unusable ({error}); mend it") from error


def _notes_of(archive: NoteArchive, plenty: int | None, progress: Progress) -> UsableNotes:
    """The usable notes of an archive.

    Where there are not plenty (NSynth's test set), all are listened to: no other can replace one
    that is silent, and copies would lie on both sides of the probes' split. Where there are
    (its training set), none is, not even where an archive streams by anyway: every layout must
    give the same clips.
    """
    check = AudioCheck() if plenty is None else None
    index = archive.index(check, progress)
    usable = _usable(archive, index)
    if check:
        _leave_out_copies(usable, check, index)
    if plenty is not None and len(usable) < plenty:
        return _notes_of(archive, None, progress)
    for reason, names in sorted(index.left_out.items()):
        log.warning(
            "%s: %d notes left out: %s; first %s", archive.path, len(names), reason, min(names)
        )
    if not usable:
        raise SweeperError(f"{archive.path} holds no usable note; check --data-root")
    return usable


def _usable(archive: NoteArchive, index: Index) -> UsableNotes:
    """Notes with labels, audio, and a class of their own; the others are left out."""
    usable: UsableNotes = {}
    taken: set[tuple[int, int, int]] = set()
    unusable = {name.split(":")[0] for names in index.left_out.values() for name in names}
    for name, label in index.labels.items():
        note = (label.instrument, label.pitch, label.velocity)
        if reason := _reason(archive, name, label):
            index.leave_out(reason, name)
        elif name in index.places and note not in taken:
            taken.add(note)
            usable[name] = (label, index.places[name])
        elif name in index.places:
            index.leave_out("the same instrument, pitch and velocity as another", name)
        elif name not in unusable:
            index.leave_out("labels without audio", name)
    for name in index.places.keys() - index.labels.keys():
        index.leave_out("audio without labels", name)
    return usable


def _leave_out_copies(usable: UsableNotes, check: AudioCheck, index: Index) -> None:
    """Of notes with the same samples the first by name stays."""
    first: dict[bytes, str] = {}
    for name in sorted(usable):
        if (original := first.setdefault(check.digests[name], name)) != name:
            index.leave_out("the same samples as another note", f"{name}, a copy of {original}")
            del usable[name]


def _reason(archive: NoteArchive, name: str, label: Label) -> str | None:
    """Why a note cannot be a clip, whatever its audio."""
    if not LOWEST_PITCH <= label.pitch < LOWEST_PITCH + PITCHES:
        return f"pitch outside {LOWEST_PITCH}-{LOWEST_PITCH + PITCHES - 1}"
    if label.family == "synth_lead":
        return "family synth_lead, which NSynth's test part lacks"
    if label.family not in FAMILIES:
        raise SweeperError(
            f"{archive.path}: {name} is of the family {label.family!r}; "
            f"choose one of {', '.join(FAMILIES)}"
        )
    return None


def _joined(archives: list[UsableNotes]) -> NoteIndex:
    """Instruments of two archives are never the same one."""
    labels, places = zip(*(note for notes in archives for note in notes.values()), strict=True)
    archive = np.repeat(np.arange(len(archives)), [len(notes) for notes in archives])
    pitch, family, instrument, velocity = (np.array(column) for column in zip(*labels, strict=True))
    family = np.array([FAMILIES.index(name) for name in family])
    program = archive * INSTRUMENTS + instrument
    clips = Clips(pitch - LOWEST_PITCH, family, program, velocity)
    order = np.argsort(_key(clips))
    return NoteIndex(clips.take(order), archive[order], np.array(places)[order])


def _key(clips: Clips) -> Ints:
    """(N,) one number for each note."""
    return (clips.program * PITCHES + clips.pitch) * VELOCITIES + clips.velocity
