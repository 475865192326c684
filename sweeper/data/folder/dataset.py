"""The `folder` dataset: recordings of one's own, with families of one's own.

Where labels.csv gives no splits, the downstream clips are drawn as whole instruments of every
family, in the proportion of the clips that are asked for; where it names no instruments, as files
spread over the pitches.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.cache import checksum
from sweeper.data.clips import LOWEST_PITCH, PITCHES, Clips, Dataset, Ints, Progress
from sweeper.data.folder import audio
from sweeper.data.folder.labels import LABELS, Recordings, read_labels
from sweeper.data.splits import held_out
from sweeper.data.workers import SILENT
from sweeper.errors import NAMED, SweeperError
from sweeper.study.config import DataConfig

VERSION = 1  # raise it when the same files would make other clips
DIVIDE_SEED = 20_261_129
RARE = 3  # downstream clips: with fewer, a class cannot be in every part of the probes' clips

log = logging.getLogger(__name__)


class Folder(Dataset):
    """The files under `root` that its labels.csv lists."""

    sample_rate = audio.SAMPLE_RATE

    def __init__(self, data: DataConfig, root: Path | None) -> None:
        if root is None:
            raise SweeperError(f"the dataset folder needs --data-root DIR, where {LABELS} is")
        self._root, self._labels = root, read_labels(root)
        if len(self.families) < 2:
            raise SweeperError(
                f"{root / LABELS} has one family only, {self.families[0]}; two are needed"
            )
        self._valid, self._training = data.valid_clips, data.train_clips + data.valid_clips
        self._downstream = data.downstream_clips
        self._split = self._splits()

    @property
    def families(self) -> tuple[str, ...]:
        """See `Dataset`."""
        return self._labels.families

    @property
    def factors(self) -> tuple[str, ...]:
        """See `Dataset`. What is the same for all tells nothing."""
        labels = self._labels.clips.factors
        return tuple(name for name, of in labels.items() if len(np.unique(of)) > 1)

    def recipe(self) -> dict[str, object]:
        """See `Dataset`. Every byte of every file counts, and who decodes it."""
        digest = hashlib.sha256()
        for name in self._labels.files:
            audio.check(self._root / name)
            digest.update(f"{name} {checksum(self._root / name)}\n".encode())
        return {
            "version": VERSION,
            "seed": DIVIDE_SEED,
            "pitches": [LOWEST_PITCH, PITCHES],
            "labels": checksum(self._root / LABELS),
            "audio": digest.hexdigest(),
            "readers": audio.readers(),
        }

    def candidates(self, split: str) -> Clips:
        """See `Dataset`."""
        return self._labels.clips.take(self._audible & (self._split == split))

    def size(self, split: str, asked: int) -> int:
        """See `Dataset`. All that there are, where fewer exist."""
        if not (exist := len(self.candidates(split))):
            raise SweeperError(f"{self._root / LABELS} leaves no {split} clips; add recordings")
        if exist < asked:
            log.warning("%d %s clips are asked for; all %d are used", asked, split, exist)
        return min(exist, asked)

    def waveforms(self, clips: Clips) -> NDArray[np.float32]:
        """See `Dataset`; of this dataset's own clips."""
        assert isinstance(clips, Recordings)
        files = (self._labels.files[place] for place in clips.file.tolist())
        return np.stack([audio.read(self._root / name) for name in files])

    def survey(self, progress: Progress) -> None:
        """See `Dataset`. Every file is listened to: few folders have clips to spare."""
        files = self._labels.files
        audible = np.empty(len(files), np.bool_)
        for place, name in enumerate(files):
            audible[place] = np.abs(audio.read(self._root / name)).max() >= SILENT
            progress(place + 1, len(files), f"listening to {self._root.name}")
        self._audible = audible
        if silent := [name for name, heard in zip(files, audible, strict=True) if not heard]:
            log.warning(
                "%s: %d silent files left out; first %s", self._root, len(silent), silent[0]
            )
        self._tell_of_rare_classes()

    @functools.cached_property
    def _audible(self) -> NDArray[np.bool_]:
        """(N,) which files can be heard; known once, and sent to the workers."""
        self.survey(lambda *_: None)
        return self._audible  # which `survey` has put in this property's place

    def _splits(self) -> NDArray[np.str_]:
        """(N,) the split of every file.

        Raises:
            SweeperError: those given have no clips to test on, or share instruments with them.
        """
        clips, given = self._labels.clips, self._labels.splits
        if given is None:
            share = self._downstream / (self._training + self._downstream)
            split = np.where(divided(clips, share), "downstream", "train")
        else:
            split = np.array(given, "<U10")
            self._check_given(split)
        if given is None or "valid" not in given:
            training = np.flatnonzero(split == "train")
            held = held_out(clips.stratum[training], self._valid, self._training)
            split[training[held]] = "valid"
        return split

    def _check_given(self, split: NDArray[np.str_]) -> None:
        program, downstream = self._labels.clips.program, split == "downstream"
        for name in {"train", "downstream"} - set(split.tolist()):
            raise SweeperError(f"{self._root / LABELS} gives no file the split {name}")
        if len(both := np.intersect1d(program[downstream], program[~downstream])):
            raise SweeperError(
                f"{self._root / LABELS}: the instrument {self._labels.instruments[both[0]]} is in "
                f"training and downstream; probes are tested on instruments that are new"
            )

    def _tell_of_rare_classes(self) -> None:
        clips, down = self._labels.clips, self._split == "downstream"
        pitches = [str(LOWEST_PITCH + pitch) for pitch in range(PITCHES)]
        for what, label, names in (
            ("families", clips.family, self.families),
            ("pitches", clips.pitch, pitches),
        ):
            counts = [
                np.bincount(label[self._audible & part], minlength=len(names))
                for part in (~down, down)
            ]
            rare = [
                f"{name} ({trained}, {tested})"
                for name, trained, tested in zip(names, *counts, strict=True)
                if trained + tested and (not trained or tested < RARE)
            ]
            if rare:
                listed = ", ".join(rare[:NAMED]) + (", …" if len(rare) > NAMED else "")
                log.warning(
                    "%s: %d %s too rare to say much of (train, downstream): %s",
                    self._root, len(rare), what, listed,
                )  # fmt: skip


def divided(clips: Clips, share: float) -> NDArray[np.bool_]:
    """(N,) which clips are downstream's: of every family its share of the instruments.

    At least one instrument of a family is on either side, where it has two. They are taken evenly
    along the pitches of their lowest clips.
    """
    rng = np.random.default_rng(DIVIDE_SEED)
    programs, first = np.unique(clips.program[order := np.argsort(clips.pitch)], return_index=True)
    family, lowest = clips.family[order][first], clips.pitch[order][first]
    turn: Ints = rng.permutation(len(programs))
    held = np.zeros(len(programs), np.bool_)
    for each in np.unique(family):
        own = np.flatnonzero(family == each)
        own = own[np.lexsort((turn[own], lowest[own]))]
        number = int(np.clip(round(share * len(own)), min(1, len(own) - 1), len(own) - 1))
        held[own] = np.diff(np.arange(len(own) + 1) * number // len(own)) > 0
    return held[clips.program]
