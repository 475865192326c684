"""The parts of a set of notes, as they lie on disk: packed, unpacked, as parquet, or one's own.

Every part lists its notes once and then hands out their audio in the order of their places, so
that a packed archive is read from front to back and nothing is unpacked to disk.
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

UNUSABLE = "audio not as in NSynth"

Listen = Callable[[str, bytes], object]  # to the wav of a note of that name
Place = tuple[int, int]  # where the audio of a note is; a part is read in the order of its places


class Label(NamedTuple):
    """What is said of a note."""

    pitch: int  # MIDI
    family: str
    instrument: int
    velocity: int


@dataclass
class Listing:
    """The notes of a part, by name."""

    labels: dict[str, Label] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # by reason: the names

    def leave_out(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)

    def put(self, name: str, place: Place) -> None:
        """Note where the audio of a note is; of two with one name the first counts."""
        if name in self.places:
            self.leave_out("listed twice", name)
        else:
            self.places[name] = place


class Part(Protocol):
    """Notes that lie together: NSynth's training part, for one."""

    @property
    def path(self) -> Path: ...

    def identity(self) -> dict[str, object]:
        """Changes with the notes, as far as can be told without reading them all; JSON."""

    def listing(self, audio: Listen | None, progress: Progress) -> Listing:
        """All notes; `audio` is called with every wav and raises ValueError to leave it out."""

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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SweeperError(
            f"the examples.json of {path} is not NSynth's ({reason}); download it again"
        ) from error


def label_of(example: Mapping[str, Any]) -> Label:
    """From one entry of examples.json, or one row of a parquet mirror."""
    return Label(
        int(example["pitch"]),
        str(example["instrument_family_str"]),
        int(example["instrument"]),
        int(example["velocity"]),
    )


class FolderPart:
    """A directory of wav files whose labels are given."""

    def __init__(
        self,
        path: Path,
        audio: Path,
        labels: Callable[[], dict[str, Label]],
        labelled_by: Path,
        elsewhere: Callable[[], Container[str]] = tuple,
    ) -> None:
        """`elsewhere`: names of audio that belongs to another part."""
        self.path = path
        self._audio, self._labelled_by = audio, labelled_by
        self._labels, self._elsewhere = labels, elsewhere
        self._names: list[str] = []

    def identity(self) -> dict[str, object]:
        """Digests of the labels, and of the names and sizes of the wav files."""
        files = "".join(f"{name} {size}\n" for name, size in sorted(self._files().items()))
        return {
            "labels": hashlib.sha256(self._labelled_by.read_bytes()).hexdigest(),
            "audio": hashlib.sha256(files.encode()).hexdigest(),
        }

    def listing(self, audio: Listen | None, progress: Progress) -> Listing:
        """See `Part`. Without `audio`, only files of an odd size are opened."""
        listing = Listing(self._labels())
        sizes = self._files()
        self._names = sorted(sizes)
        for index, name in enumerate(self._names):
            try:
                if name in listing.labels:
                    self._check(name, sizes[name], audio)
                listing.put(name, (index, 0))
            except ValueError as error:
                listing.leave_out(UNUSABLE, f"{name}: {error}")
            progress(index + 1, len(self._names), f"listing {self.path.name}")
        return listing

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """See `Part`."""
        return (self._read(self._names[index]) for index, _ in places)

    def _check(self, name: str, size: int, audio: Listen | None) -> None:
        if audio is None and size == wav.FILE_BYTES:
            return
        raw = self._read(name)
        audio(name, raw) if audio else wav.samples(raw)

    def _files(self) -> dict[str, int]:
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


def unpacked(path: Path) -> FolderPart:
    """NSynth's own directory: examples.json and audio/NOTE.wav."""
    examples = path / "examples.json"
    if not examples.is_file():
        raise SweeperError(f"{path} holds no examples.json; unpack it again")
    return FolderPart(path, path / "audio", functools.partial(_examples, examples), examples)


def _examples(path: Path) -> dict[str, Label]:
    return labels_of_examples(path.read_bytes(), path.parent)
