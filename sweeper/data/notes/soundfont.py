"""SoundFont 2 files: finding, checking and drying them.

Only the few fields that we need are read; the format is the SoundFont Technical Specification
2.04, section 7 (the `pdta` list) and 8.1.2 (generators).
"""

from __future__ import annotations

import importlib.util
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError

ENVIRONMENT = "SWEEPER_SOUNDFONT"

GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<i2")])
PRESET = np.dtype(
    [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]
)
CHORUS_SEND, REVERB_SEND, PAN = 15, 16, 17


def load(path: Path | None = None) -> bytes:
    """The bytes of the SoundFont: `path`, else $SWEEPER_SOUNDFONT, else the one in pretty_midi.

    Raises:
        SweeperError: there is no such file, or it is no SoundFont 2.
    """
    if path is None:
        path = Path(os.environ.get(ENVIRONMENT) or _packaged())
    try:
        font = path.read_bytes()
    except OSError as error:
        raise SweeperError(f"cannot read the SoundFont {path}: {error.strerror}") from error
    try:
        _tables(font)
    except (ValueError, struct.error) as error:
        raise SweeperError(
            f"{path} is no usable SoundFont 2 file ({error}); give another"
        ) from error
    return font


def dry(font: bytes) -> bytes:
    """The same SoundFont with no reverb, no chorus and every region in the centre.

    Reverb would carry one note into the next; a region off the centre would leak from the left
    channel, where one note is rendered, into the right, where another is.
    """
    copy = bytearray(font)
    tables = _tables(font)
    for name in (b"pgen", b"igen"):
        generators = _table(copy, tables[name], GENERATOR)
        generators["amount"][np.isin(generators["kind"], (CHORUS_SEND, REVERB_SEND, PAN))] = 0
    return bytes(copy)


def programs(font: bytes) -> set[int]:
    """The General MIDI programs (bank 0) that the SoundFont has."""
    presets = _table(font, _tables(font)[b"phdr"], PRESET)[:-1]  # the last is a sentinel
    return {int(program) for program in presets["program"][presets["bank"] == 0]}


def _packaged() -> Path:
    # Looked up and not imported: importing pretty_midi takes longer than hashing the file.
    spec = importlib.util.find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise SweeperError("no SoundFont: install pretty_midi, or give one with --soundfont FILE")
    return Path(spec.origin).with_name("TimGM6mb.sf2")


def _tables(font: bytes) -> dict[bytes, slice]:
    """Where each table of the preset data lies."""
    if font[:4] != b"RIFF" or font[8:12] != b"sfbk":
        raise ValueError("no RIFF sfbk header")
    for name, body in _chunks(font, slice(12, len(font))):
        if name == b"LIST" and font[body.start : body.start + 4] == b"pdta":
            tables = dict(_chunks(font, slice(body.start + 4, body.stop)))
            if {b"phdr", b"pgen", b"igen"} <= tables.keys():
                return tables
    raise ValueError("no preset data")


def _chunks(font: bytes, within: slice) -> Iterator[tuple[bytes, slice]]:
    at = within.start
    while at < within.stop:
        name, size = struct.unpack_from("<4sI", font, at)
        if at + 8 + size > within.stop:
            raise ValueError("truncated")
        yield name, slice(at + 8, at + 8 + size)
        at += 8 + size + size % 2


def _table(font: bytes | bytearray, where: slice, row: np.dtype[np.void]) -> NDArray[np.void]:
    return np.frombuffer(font, row, (where.stop - where.start) // row.itemsize, where.start)
