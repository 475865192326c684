"""Packed archives of notes: NSynth's own, as published, and parquet mirrors of it."""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from sweeper.data.clips import Progress
from sweeper.data.nsynth import wav
from sweeper.data.nsynth.folders import (
    BLOCK,
    Index,
    OnWav,
    Place,
    digest_of_ends,
    label_of,
    labels_of_examples,
)
from sweeper.errors import SweeperError

DAMAGE = (EOFError, OSError, ValueError, zlib.error, tarfile.TarError)
MB = 1_000_000
MOST_LABELS = 1 << 30  # bytes of an examples.json: six times NSynth's largest
MIRRORED = ("note_str", "pitch", "instrument_family_str", "instrument", "velocity")
SOUND = "audio.bytes"


class TarArchive:
    """nsynth-train.jsonwav.tar.gz as downloaded: read from front to back, never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None}  # every process reads for itself

    def identity(self) -> dict[str, object]:
        """The digest of its ends."""
        return {"file": digest_of_ends(self.path)}

    def index(self, on_wav: OnWav | None, progress: Progress) -> Index:
        """See `NoteArchive`. Everything flows by, so every wav is checked."""
        index, size = Index(), self.path.stat().st_size
        what = f"listing {self.path.name} (MB)"
        on_wav = on_wav or (lambda _, raw: wav.samples(raw))
        with _one_line(self.path), self.path.open("rb") as raw, self._unpack(raw) as stream:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # or it keeps them all
                    if member.isfile():
                        self._take(archive, member, index, on_wav)
                        progress(raw.tell() // MB, size // MB + 1, what)
            while stream.read(BLOCK):  # up to the checksum
                pass
        progress(size // MB + 1, size // MB + 1, what)
        if not index.labels:
            raise SweeperError(f"{self.path} holds no examples.json; download it again")
        return index

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """See `NoteArchive`. A place before the last one read costs a start from the front."""
        with _one_line(self.path):
            for offset, size in places:
                yield self._at(offset).read(size)

    def _take(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, index: Index, on_wav: OnWav
    ) -> None:
        path = Path(member.name)
        content = archive.extractfile(member)
        if content is None or path.name.startswith("._"):  # of a Macintosh
            return

        def check() -> None:
            wav.check_size(member.size)
            on_wav(path.stem, content.read())

        if path.suffix == ".wav":
            index.add(path.stem, (member.offset_data, member.size), check)
        elif path.name == "examples.json":
            if member.size > MOST_LABELS:
                raise ValueError(f"an examples.json of {member.size} bytes")
            index.labels = labels_of_examples(content.read(), self.path)

    def _at(self, offset: int) -> IO[bytes]:
        if self._stream is None or self._stream.tell() > offset:
            self._stream = self._unpack(self.path.open("rb"))
        while (ahead := offset - self._stream.tell()) > 0:
            if not self._stream.read(min(ahead, BLOCK)):
                raise EOFError
        return self._stream

    def _unpack(self, raw: IO[bytes]) -> IO[bytes]:
        if self.path.suffix != ".gz":
            return raw
        stream = gzip.GzipFile(fileobj=raw)
        cast(Any, stream).myfileobj = raw  # which it then closes with itself
        return cast(IO[bytes], stream)


class ParquetArchive:
    """Shards of a mirror in the Hugging Face layout: NSynth's columns, and `audio` with the wav."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = sorted(shards)
        self.path = self._shards[0]
        self._groups: list[tuple[Path, int]] = []  # shard and row group
        self._held: tuple[int, list[bytes]] = (-1, [])  # the row group read last

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": (-1, [])}

    def identity(self) -> dict[str, object]:
        """The digests of the shards' ends."""
        return {shard.name: digest_of_ends(shard) for shard in self._shards}

    def index(self, on_wav: OnWav | None, progress: Progress) -> Index:
        """See `NoteArchive`. The audio column is left alone unless it is to be checked."""
        index = Index()
        self._groups = [
            (shard, group)
            for shard in self._shards
            for group in range(self._file(shard).num_row_groups)
        ]
        for number, (shard, group) in enumerate(self._groups):
            for row, example in enumerate(self._rows(shard, group, [*MIRRORED])):
                self._take(index, example, (number, row), on_wav)
            progress(number + 1, len(self._groups), f"listing {self.path.name}")
        return index

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """See `NoteArchive`."""
        return (self._audio(number)[row] for number, row in places)

    def _take(
        self, index: Index, example: dict[str, Any], place: Place, on_wav: OnWav | None
    ) -> None:
        name = str(example["note_str"])
        if None in example.values():
            index.leave_out("labels with gaps", name)
            return

        def check() -> None:
            if on_wav:
                on_wav(name, self._audio(place[0])[place[1]])
            index.labels.setdefault(name, label_of(example))

        index.add(name, place, check)

    def _audio(self, number: int) -> list[bytes]:
        if self._held[0] != number:
            sounds = [row["audio"] or {} for row in self._rows(*self._groups[number], [SOUND])]
            self._held = (number, [sound.get("bytes") or b"" for sound in sounds])
        return self._held[1]

    def _rows(self, shard: Path, group: int, columns: list[str]) -> list[dict[str, Any]]:
        with _one_line(shard):
            table = self._file(shard).read_row_group(group, columns)
            rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def _file(self, shard: Path) -> Any:
        from pyarrow.parquet import ParquetFile

        with _one_line(shard):
            file = ParquetFile(shard)
        there = {file.schema.column(leaf).path for leaf in range(len(file.schema))}
        if missing := [column for column in (*MIRRORED, SOUND) if column not in there]:
            raise SweeperError(
                f"{shard} lacks the columns {', '.join(missing)}; "
                "a mirror with NSynth's own columns is needed"
            )
        return file


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """What a damaged file raises, as one line that names it."""
    from pyarrow import ArrowException

    try:
        yield
    except (*DAMAGE, ArrowException) as error:
        reason = (str(error) or "it ends too early").splitlines()[0]
        raise SweeperError(
            f"{path} is cut short or damaged ({reason}); download it again"
        ) from error
