"""Finding the two parts of a set of notes under a directory, in whichever layout they are."""

from __future__ import annotations

import csv
import functools
import re
from pathlib import Path

from sweeper.data.nsynth.archives import ParquetPart, TarPart
from sweeper.data.nsynth.folders import FolderPart, Label, Part, unpacked
from sweeper.errors import SweeperError

LABELS = "labels.csv"
COLUMNS = ("file", "pitch", "family", "part")
VELOCITY = 100  # where labels.csv has none
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def find(root: Path) -> tuple[Part, Part]:
    """The training and the test part under `root`.

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
        return _own(root, "train"), _own(root, "test")
    return _part(root, "train"), _part(root, "test")


def _part(root: Path, name: str) -> Part:
    for archive in ("jsonwav.tar.gz", "jsonwav.tar"):
        if (path := root / f"nsynth-{name}.{archive}").is_file():
            return TarPart(path)
    if (path := root / f"nsynth-{name}").is_dir():
        return unpacked(path)
    if shards := [*root.glob(f"{name}-*.parquet"), *root.glob(f"data/{name}-*.parquet")]:
        return ParquetPart(shards)
    if records := sorted(root.glob(f"nsynth-{name}*.tfrecord*")):
        raise SweeperError(
            f"{records[0]} is in the TFRecord form, which is not read; take the json/wav archive: "
            f"sweeper data fetch nsynth --data-root {root}"
        )
    raise SweeperError(
        f"{root} has no {name} part: neither nsynth-{name}.jsonwav.tar.gz, nor the directory "
        f"nsynth-{name}, nor {name}-*.parquet, nor {LABELS}"
    )


def _own(root: Path, name: str) -> FolderPart:
    other = {"train": "test", "test": "train"}[name]
    path = root / LABELS
    labels, elsewhere = (functools.partial(_labels, path, part) for part in (name, other))
    return FolderPart(root, root, labels, path, elsewhere)


def _labels(path: Path, part: str) -> dict[str, Label]:
    rows = _rows(path)
    instruments = sorted({row.get("instrument") or row["file"] for row in rows})
    number = {instrument: index for index, instrument in enumerate(instruments)}
    labels: dict[str, Label] = {}
    for line, row in enumerate(rows, start=2):
        name, label = _label(path, line, row, number)
        if labels.setdefault(name, label) != label:
            raise SweeperError(f"{path}, line {line}: {row['file']} is listed twice")
    parts = {row["file"].removesuffix(".wav"): row["part"] for row in rows}
    return {name: label for name, label in labels.items() if parts[name] == part}


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise SweeperError(f"{path} lacks the columns {', '.join(missing)}")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SweeperError(f"cannot read {path} ({error}); save it as CSV in UTF-8") from error


def _label(path: Path, line: int, row: dict[str, str], number: dict[str, int]) -> tuple[str, Label]:
    try:
        if row["part"] not in ("train", "test"):
            raise ValueError(f"part is '{row['part']}' and neither train nor test")
        pitch, velocity = int(row["pitch"]), int(row.get("velocity") or VELOCITY)
    except (ValueError, TypeError) as error:
        raise SweeperError(f"{path}, line {line}: {error}") from error
    instrument = number[row.get("instrument") or row["file"]]
    return row["file"].removesuffix(".wav"), Label(pitch, row["family"], instrument, velocity)


def _from_hub(root: Path) -> Path:
    name = root.as_posix()
    if not HUB_NAME.fullmatch(name):
        raise SweeperError(f"there is no directory {root}; check --data-root")
    from models.encoders.hub import fetch

    try:
        return fetch(name, ["*.parquet"], repo_type="dataset")
    except ValueError as error:
        raise SweeperError(f"there is no directory {root}, and {error}") from error
