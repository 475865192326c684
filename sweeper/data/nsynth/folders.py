"""Archives of notes, and the unpacked ones: NSynth's directories, or one's own wav files.

Every archive lists its notes once and then hands out their audio in the order of their places, so
that a packed one is read from front to back and nothing is unpacked to disk.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sweeper.data.clips import Progress
from sweeper.data.nsynth import wav
from sweeper.errors import SweeperError

BLOCK = 1 << 20  # bytes: of a read, and of the ends of a file that identify it
INSTRUMENTS = 1 << 20  # more than an archive has
VELOCITIES = 128

OnWav = Callable[[str, bytes], object]  # of a note's name; ValueError: it is to be left out
Place = tuple[int, int]  # where the audio of a note is; it is read in the order of the places


class Label(NamedTuple):
    """What is said of a note."""

    pitch: int  # MIDI
    family: str
    instrument: int
    velocity: int

    def checked(self) -> Label:
        """Itself. ValueError: no note has such an instrument or velocity."""
        if not (0 <= self.instrument < INSTRUMENTS and 0 <= self.velocity < VELOCITIES):
            raise ValueError(f"instrument {self.instrument}, velocity {self.velocity}")
        return self


@dataclass
class Index:
    """The notes of an archive, by name."""

    labels: dict[str, Label] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # by reason: the names

    def leave_out(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)

    def add(self, name: str, place: Place, check: Callable[[], object] | None) -> None:
        """Note where the audio of a note is; of two with one name the first counts.

        One whose `check` raises ValueError is left out.
        """
        try:
            if check:
                check()
        except ValueError as error:
            self.leave_out("audio not as in NSynth", f"{name}: {error}")
            return
        if self.places.setdefault(name, place) is not place:
            self.leave_out("listed twice", name)


class NoteArchive(Protocol):
    """Notes that lie together: NSynth's training set, for one."""

    @property
    def path(self) -> Path: ...

    def identity(self) -> dict[str, object]:
        """Changes with the notes, as far as can be told without reading them all; JSON."""

    def index(self, on_wav: OnWav | None, progress: Progress) -> Index:
        """All notes; without `on_wav`, audio is checked only where that costs nothing more."""

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """The wavs at ascending places."""


def digest_of_ends(path: Path) -> str:
    """SHA-256 of the size, the first MiB and the last MiB of a file.

    The last bytes of a .gz are the checksum and the length of all that it holds; those of a
    parquet file are its index.
    """
    digest = hashlib.sha256(str(size := path.stat().st_size).encode())
    with path.open("rb") as file:
        digest.update(file.read(BLOCK))
        file.seek(max(0, size - BLOCK))
        digest.update(file.read(BLOCK))
    return digest.hexdigest()


def labels_of_examples(raw: bytes, path: Path) -> dict[str, Label]:
    """NSynth's examples.json, in the order of the names.

    Raises:
        SweeperError: it is something else.
    """
    try:
        examples = json.loads(raw)
        return {name: label_of(examples[name]) for name in sorted(examples)}
    except (ValueError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SweeperError(
            f"the examples.json of {path} is not NSynth's ({reason}); download it again"
        ) from error


def label_of(example: Mapping[str, Any]) -> Label:
    """From one entry of examples.json, or one row of a parquet mirror.

    Raises:
        ValueError: it is something else.
    """
    try:
        family = str(example["instrument_family_str"])
        numbers = (int(example[name]) for name in ("pitch", "instrument", "velocity"))
        pitch, instrument, velocity = numbers
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return Label(pitch, family, instrument, velocity).checked()


class FolderArchive:
    """A directory of wav files whose labels are given."""

    def __init__(
        self,
        path: Path,
        audio: Path,
        labels: Callable[[], dict[str, Label]],
        labelled_by: Path,
        elsewhere: Callable[[], Container[str]] = tuple,
    ) -> None:
        """`elsewhere`: names of audio that belongs to another archive."""
        self.path = path
        self._audio, self._labelled_by = audio, labelled_by
        self._labels, self._elsewhere = labels, elsewhere
        self._names: list[str] = []

    def identity(self) -> dict[str, object]:
        """Digests of the labels, and of the names and sizes of the wav files."""
        files = "".join(f"{name} {size}\n" for name, size in sorted(self._sizes().items()))
        return {
            "labels": hashlib.sha256(self._labelled_by.read_bytes()).hexdigest(),
            "audio": hashlib.sha256(files.encode()).hexdigest(),
        }

    def index(self, on_wav: OnWav | None, progress: Progress) -> Index:
        """See `NoteArchive`. Without `on_wav`, only files of an odd size are opened."""
        index = Index(self._labels())
        sizes = self._sizes()
        self._names = sorted(sizes)
        for number, name in enumerate(self._names):
            check = functools.partial(self._check, name, sizes[name], on_wav)
            index.add(name, (number, 0), check if name in index.labels else None)
            progress(number + 1, len(self._names), f"listing {self.path.name}")
        return index

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """See `NoteArchive`."""
        return (self._read(self._names[number]) for number, _ in places)

    def _check(self, name: str, size: int, on_wav: OnWav | None) -> None:
        wav.check_size(size)
        if on_wav:
            on_wav(name, self._read(name))
        elif size != wav.FILE_BYTES:
            wav.samples(self._read(name))

    def _sizes(self) -> dict[str, int]:
        if not self._audio.is_dir():
            raise SweeperError(f"{self.path} has no directory {self._audio.name}; unpack it again")
        elsewhere = self._elsewhere()
        files = {
            file.relative_to(self._audio).with_suffix("").as_posix(): file
            for file in self._audio.rglob("*.wav")
        }
        return {n: file.stat().st_size for n, file in files.items() if n not in elsewhere}

    def _read(self, name: str) -> bytes:
        path = self._audio / f"{name}.wav"
        try:
            return path.read_bytes()
        except OSError as error:
            raise SweeperError(f"cannot read {path}: {error.strerror}") from error


def unpacked(path: Path) -> FolderArchive:
    """NSynth's own directory: examples.json and audio/NOTE.wav."""
    examples = path / "examples.json"
    if not examples.is_file():
        raise SweeperError(f"{path} holds no examples.json; unpack it again")
    return FolderArchive(path, path / "audio", functools.partial(_examples, examples), examples)


def _examples(path: Path) -> dict[str, Label]:
    return labels_of_examples(path.read_bytes(), path.parent)
