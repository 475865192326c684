"""labels.csv: a line for each recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.clips import LOWEST_PITCH, PITCHES, Clips, Ints
from sweeper.data.table import read_table
from sweeper.errors import SweeperError, instead

LABELS = "labels.csv"
NEEDED = ("path", "pitch", "family")
COLUMNS = (*NEEDED, "split", "instrument", "velocity")
ALIASES = {"file": "path", "part": "split"}  # as in the labels.csv of --dataset nsynth
SPLITS = {"train": "train", "valid": "valid", "downstream": "downstream", "test": "downstream"}
VELOCITY = 100  # where none is told


@dataclass(frozen=True)
class Recordings(Clips):
    """Clips that know their files: two may have the same labels."""

    file: Ints = field(kw_only=True)  # (N,) place in `Labels.files`

    def take(self, index: NDArray[np.generic]) -> Recordings:
        """See `Clips`."""
        pitch, family, program, velocity = (column[index] for column in self.columns)
        others = self._others(index)
        return Recordings(pitch, family, program, velocity, others, file=self.file[index])


@dataclass(frozen=True)
class Labels:
    """All that labels.csv says; the order of its lines plays no role."""

    files: tuple[str, ...]  # paths below the folder, sorted
    clips: Recordings  # of every file; `program` is one number for an instrument of a family
    families: tuple[str, ...]  # sorted
    instruments: tuple[str, ...]  # by `program`; where none is told, each file is its own
    splits: tuple[str, ...] | None  # of every file, where they are given


@dataclass(frozen=True)
class _Line:
    path: str
    pitch: int
    family: str
    instrument: str
    velocity: int
    split: str
    others: dict[str, str]  # what further columns say


def read_labels(root: Path) -> Labels:
    """The labels under `root`.

    Raises:
        SweeperError: there is no labels.csv, or something is wrong with it; file and line are told.
    """
    path = root / LABELS
    if not root.is_dir():
        raise SweeperError(f"there is no directory {root}; check --data-root")
    if not path.is_file():
        raise SweeperError(
            f"{root} has no {LABELS}; write one with the columns {', '.join(NEEDED)} "
            f"and, if they are known, split, instrument and velocity"
        )
    columns, rows = read_table(path)
    names = {column: ALIASES.get(column, column) for column in columns}
    _check_columns(path, columns, list(names.values()))
    lines: dict[str, _Line] = {}
    for number, row in enumerate(rows, start=2):
        try:
            line = _line({name: row[column].strip() for column, name in names.items()}, None in row)
            if lines.setdefault(line.path, line) is not line:
                raise ValueError(f"{line.path} is listed twice")
        except ValueError as error:
            raise SweeperError(f"{path}, line {number}: {error}") from error
    if not lines:
        raise SweeperError(f"{path} lists no file")
    given = "split" in names.values() and any(line.split for line in lines.values())
    if given and (without := [line.path for line in lines.values() if not line.split]):
        raise SweeperError(f"{path}: {without[0]} has no split; give every line one, or none")
    return _labels([lines[name] for name in sorted(lines)], given)


def _labels(lines: list[_Line], given: bool) -> Labels:
    families = tuple(sorted({line.family for line in lines}))
    instruments = sorted({(line.family, line.instrument) for line in lines})
    number = {instrument: place for place, instrument in enumerate(instruments)}
    columns = zip(
        *(
            (
                line.pitch - LOWEST_PITCH,
                families.index(line.family),
                number[line.family, line.instrument],
                line.velocity,
            )
            for line in lines
        ),
        strict=True,
    )
    pitch, family, program, velocity = (np.array(column, np.int64) for column in columns)
    others, files = _others(lines), np.arange(len(lines))
    return Labels(
        tuple(line.path for line in lines),
        Recordings(pitch, family, program, velocity, others, file=files),
        families,
        tuple(name for _, name in instruments),
        tuple(SPLITS[line.split] for line in lines) if given else None,
    )


def _others(lines: list[_Line]) -> dict[str, Ints]:
    """Further factors, the classes of each in the order of their names; not a column with gaps."""
    factors: dict[str, Ints] = {}
    for name in lines[0].others:
        said = [line.others[name] for line in lines]
        if all(said):
            factors[name] = np.unique(said, return_inverse=True)[1]
    return factors


def _check_columns(path: Path, columns: list[str], names: list[str]) -> None:
    for column, name in zip(columns, names, strict=True):
        if name not in COLUMNS and get_close_matches(column, COLUMNS):
            raise SweeperError(f"{path}: unknown column '{column}'; {instead(column, COLUMNS)}")
        if names.count(name) > 1:
            raise SweeperError(f"{path} has two columns for {name}; keep one")
    if missing := [name for name in NEEDED if name not in names]:
        raise SweeperError(f"{path} lacks the columns {', '.join(missing)}")


def _line(row: dict[str, str], longer: bool) -> _Line:
    """ValueError: no clip is labelled so."""
    if longer:
        raise ValueError("more cells than there are columns; put quotes about a comma")
    for name in ("path", "family"):
        if not row[name]:
            raise ValueError(f"no {name}")
    pitch = _number(row["pitch"], "pitch", LOWEST_PITCH, LOWEST_PITCH + PITCHES - 1)
    velocity = _number(row.get("velocity") or str(VELOCITY), "velocity", 0, 127)
    split = row.get("split", "")
    if split and split not in SPLITS:
        raise ValueError(f"split '{split}'; choose one of {', '.join(SPLITS)}")
    instrument = row.get("instrument") or row["path"]
    others = {n: said for n, said in row.items() if n not in COLUMNS and n.isalnum()}
    return _Line(row["path"], pitch, row["family"], instrument, velocity, split, others)


def _number(text: str, name: str, lowest: int, highest: int) -> int:
    try:
        number = float(text)  # a spreadsheet may have written 60.0
    except ValueError:
        number = float("nan")
    if not (lowest <= number <= highest and number == int(number)):
        raise ValueError(f"{name} '{text}'; a MIDI number from {lowest} to {highest} is expected")
    return int(number)
