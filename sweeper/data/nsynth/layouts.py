"""Finding two archives of notes, to train and to test on, in whichever layout they are."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from sweeper.data.nsynth.archives import ParquetArchive, TarArchive
from sweeper.data.nsynth.folders import FolderArchive, Label, NoteArchive, unpacked
from sweeper.data.table import read_table
from sweeper.errors import SweeperError

LABELS = "labels.csv"
COLUMNS = ("file", "pitch", "family", "part")
VELOCITY = 100  # where labels.csv has none
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def find(root: Path) -> tuple[NoteArchive, NoteArchive]:
    """The training and the test archive under `root`.

    - nsynth-{train,test}.jsonwav.tar.gz as published, or nsynth-{train,test}/ unpacked
    - {train,test}-*.parquet, there or in data/: a mirror such as mteb/nsynth-mini, which may be
      given by its name on the Hugging Face hub too
    - labels.csv beside one's own wav files: columns file, pitch (MIDI), family (NSynth's names),
      part (train or test) and, if they are known, instrument and velocity

    Raises:
        SweeperError: none of these is there.
    """
    if not root.is_dir():
        root = _from_hub(root)
    if (root / LABELS).is_file():
        return _labelled(root, "train"), _labelled(root, "test")
    return _published(root, "train"), _published(root, "test")


def _published(root: Path, name: str) -> NoteArchive:
    for suffix in ("jsonwav.tar.gz", "jsonwav.tar"):
        if (path := root / f"nsynth-{name}.{suffix}").is_file():
            return TarArchive(path)
    if (path := root / f"nsynth-{name}").is_dir():
        return unpacked(path)
    if shards := [*root.glob(f"{name}-*.parquet"), *root.glob(f"data/{name}-*.parquet")]:
        return ParquetArchive(shards)
    if records := sorted(root.glob(f"nsynth-{name}*.tfrecord*")):
        raise SweeperError(
            f"{records[0]} is in the TFRecord form, which is not read; take the json/wav archive: "
            f"sweeper data fetch nsynth --data-root {root}"
        )
    raise SweeperError(
        f"{root} has no {name} part: neither nsynth-{name}.jsonwav.tar.gz, nor the directory "
        f"nsynth-{name}, nor {name}-*.parquet, nor {LABELS}"
    )


def _labelled(root: Path, name: str) -> FolderArchive:
    other = {"train": "test", "test": "train"}[name]
    path = root / LABELS
    labels, elsewhere = (functools.partial(_labels, path, which) for which in (name, other))
    return FolderArchive(root, root, labels, path, elsewhere)


def _labels(path: Path, name: str) -> dict[str, Label]:
    """Of the notes whose `part` in labels.csv is `name`."""
    rows = _rows(path)
    instruments = sorted({row.get("instrument") or row["file"] for row in rows})
    number = {instrument: index for index, instrument in enumerate(instruments)}
    labels: dict[str, Label] = {}
    for line, row in enumerate(rows, start=2):
        label = _label(path, line, row, number[row.get("instrument") or row["file"]])
        if labels.setdefault(_stem(row), label) != label:
            raise SweeperError(f"{path}, line {line}: {row['file']} is listed twice")
    listed_in = {_stem(row): row["part"] for row in rows}
    return {stem: label for stem, label in labels.items() if listed_in[stem] == name}


def _rows(path: Path) -> list[dict[str, str]]:
    columns, rows = read_table(path)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise SweeperError(f"{path} lacks the columns {', '.join(missing)}")
    return rows


def _label(path: Path, line: int, row: dict[str, str], instrument: int) -> Label:
    try:
        if row["part"] not in ("train", "test"):
            raise ValueError(f"part is '{row['part']}' and neither train nor test")
        pitch, velocity = int(row["pitch"]), int(row.get("velocity") or VELOCITY)
        return Label(pitch, row["family"], instrument, velocity).checked()
    except ValueError as error:
        raise SweeperError(f"{path}, line {line}: {error}") from error


def _stem(row: dict[str, str]) -> str:
    return row["file"].removesuffix(".wav")


def _from_hub(root: Path) -> Path:
    name = root.as_posix()
    if not HUB_NAME.fullmatch(name):
        raise SweeperError(f"there is no directory {root}; check --data-root")
    from models.encoders.hub import fetch

    try:
        return fetch(name, ["*.parquet"], repo_type="dataset")
    except ValueError as error:
        raise SweeperError(f"there is no directory {root}, and {error}") from error
