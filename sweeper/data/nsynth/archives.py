"""Packed parts: NSynth's published archives, and parquet mirrors of it."""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from sweeper.data.clips import Progress
from sweeper.data.nsynth.folders import (
    BLOCK,
    UNUSABLE,
    Listen,
    Listing,
    Place,
    digest_of_ends,
    label_of,
    labels_of_examples,
)
from sweeper.data.nsynth.wav import samples
from sweeper.errors import SweeperError

DAMAGE = (EOFError, OSError, zlib.error, tarfile.TarError)
MB = 1_000_000
MIRRORED = ("note_str", "pitch", "instrument_family_str", "instrument", "velocity")
SOUND = "audio.bytes"


class TarPart:
    """nsynth-PART.jsonwav.tar.gz as downloaded: read from front to back, never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None}  # every process reads for itself

    def identity(self) -> dict[str, object]:
        """The digest of its ends."""
        return {"file": digest_of_ends(self.path)}

    def listing(self, audio: Listen | None, progress: Progress) -> Listing:
        """See `Part`. Everything flows by, so every wav is checked."""
        listing, size = Listing(), self.path.stat().st_size
        what = f"listing {self.path.name} (MB)"
        with self._damage(), self.path.open("rb") as raw, self._unpack(raw) as stream:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # or it keeps them all
                    if member.isfile():
                        self._take(archive, member, listing, audio)
                        progress(raw.tell() // MB, size // MB + 1, what)
            while stream.read(BLOCK):  # up to the checksum
                pass
        progress(size // MB + 1, size // MB + 1, what)
        if not listing.labels:
            raise SweeperError(f"{self.path} holds no examples.json; download it again")
        return listing

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """See `Part`. A place before the last one read costs a start from the front."""
        with self._damage():
            for offset, size in places:
                stream = self._at(offset)
                yield stream.read(size)

    def _take(
        self,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        listing: Listing,
        audio: Listen | None,
    ) -> None:
        path = Path(member.name)
        content = archive.extractfile(member)
        if content is None or path.name.startswith("._"):  # of a Macintosh
            return
        if path.name == "examples.json":
            listing.labels = labels_of_examples(content.read(), self.path)
        elif path.suffix == ".wav":
            try:
                raw = content.read()
                audio(path.stem, raw) if audio else samples(raw)
                listing.put(path.stem, (member.offset_data, member.size))
            except ValueError as error:
                listing.leave_out(UNUSABLE, f"{path.stem}: {error}")

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

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            reason = str(error) or "it ends too early"
            raise SweeperError(
                f"{self.path} is cut short or damaged ({reason}); download it again"
            ) from error


class ParquetPart:
    """Shards of a mirror in the Hugging Face layout: NSynth's columns, and `audio` with the wav."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = sorted(shards)
        self.path = self._shards[0]
        self._groups: list[tuple[int, int]] = []  # shard and row group
        self._held: tuple[int, list[bytes]] = (-1, [])  # the row group read last

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": (-1, [])}

    def identity(self) -> dict[str, object]:
        """The digests of the shards' ends."""
        return {shard.name: digest_of_ends(shard) for shard in self._shards}

    def listing(self, audio: Listen | None, progress: Progress) -> Listing:
        """See `Part`. The audio column is left alone unless it is to be checked."""
        listing = Listing()
        self._groups = [
            (index, group)
            for index, shard in enumerate(self._shards)
            for group in range(self._file(shard).num_row_groups)
        ]
        for number, (index, group) in enumerate(self._groups):
            rows = self._rows(index, group, [*MIRRORED])
            for row, example in enumerate(rows):
                self._take(listing, example, (number, row), audio)
            progress(number + 1, len(self._groups), f"listing {self.path.name}")
        return listing

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """See `Part`."""
        return (self._audio(number)[row] for number, row in places)

    def _take(
        self,
        listing: Listing,
        example: dict[str, Any],
        place: Place,
        audio: Listen | None,
    ) -> None:
        name = str(example["note_str"])
        if None in example.values():
            listing.leave_out("labels with gaps", name)
            return
        try:
            if audio:
                audio(name, self._audio(place[0])[place[1]])
            listing.put(name, place)
            listing.labels.setdefault(name, label_of(example))
        except ValueError as error:
            listing.leave_out(UNUSABLE, f"{name}: {error}")

    def _audio(self, number: int) -> list[bytes]:
        if self._held[0] != number:
            sounds = [row["audio"] or {} for row in self._rows(*self._groups[number], [SOUND])]
            self._held = (number, [sound.get("bytes") or b"" for sound in sounds])
        return self._held[1]

    def _rows(self, index: int, group: int, columns: list[str]) -> list[dict[str, Any]]:
        shard = self._shards[index]
        with self._damage(shard):
            rows: list[dict[str, Any]] = (
                self._file(shard).read_row_group(group, columns).to_pylist()
            )
        return rows

    def _file(self, shard: Path) -> Any:
        import pyarrow.parquet

        with self._damage(shard):
            file = pyarrow.parquet.ParquetFile(shard)
        there = {file.schema.column(leaf).path for leaf in range(len(file.schema))}
        if missing := [column for column in (*MIRRORED, SOUND) if column not in there]:
            raise SweeperError(
                f"{shard} lacks the columns {', '.join(missing)}; "
                "a mirror with NSynth's own columns is needed"
            )
        return file

    @contextlib.contextmanager
    def _damage(self, shard: Path) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (OSError, pyarrow.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise SweeperError(
                f"{shard} is cut short or damaged ({reason}); download it again"
            ) from error
