"""A grid file: its text read, and where in it stands what is wrong.

`mine.toml:7:12: unknown principle 'cosine', did you mean 'Cosine'?`
"""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.errors import SweeperError


class Misplaced(ValueError):
    """Something wrong at a key of a grid file (`axes.loss.temperature`), and at a value of it.

    Of several keys the first that the file has is meant; of several values too.
    """

    def __init__(self, message: str, *keys: str, values: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.keys, self.values = keys, values


@dataclass(frozen=True)
class GridFile:
    """What a grid file is called, and what it holds."""

    name: str
    text: str

    def document(self) -> dict[str, Any]:
        """The tables of the file. Raises SweeperError where it is no TOML."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            if found := re.search(r" \(at line (\d+), column (\d+)\)$", message):
                place = ":".join(found.groups())
                message = message[: found.start()]
            else:  # at the end of the document
                message = message.removesuffix(" (at end of document)")
                place = f"{self.text.rstrip().count(chr(10)) + 1}"
            raise SweeperError(f"{self.name}:{place}: this is not TOML: {message}") from None
        except RecursionError:
            raise SweeperError(f"{self.name}:1: this is not TOML: it nests too deeply") from None

    def error(self, wrong: Misplaced) -> SweeperError:
        """The error to raise, with line and column; the first line where the file has no key.

        Without a place where there is no such file: it was a dict, or is stored alone.
        """
        if not Path(self.name).exists():
            return SweeperError(f"{self.name}: {wrong}")
        line, column = self._place(wrong) or (1, 1)
        return SweeperError(f"{self.name}:{line}:{column}: {wrong}")

    def has(self, wrong: Misplaced) -> bool:
        """Whether the file has what is wrong: an option of the command line may be instead."""
        return self._place(wrong) is not None

    def _place(self, wrong: Misplaced) -> tuple[int, int] | None:
        """Line and column, from 1, of the first of the values in a key's lines, else of the key."""
        span = next((span for key in wrong.keys if (span := self._span(key))), None)
        if span is None:
            return None
        lines = self.text.split("\n")[slice(*span)]
        start = len(lines[0]) - len(lines[0].lstrip())
        head = re.match(r"[^=\[]*=", lines[0])
        for value in wrong.values:
            skip = head.end() if head else 0
            for number, line in enumerate(lines, span[0] + 1):
                if column := _column(line, value, skip):
                    return number, column
                skip = 0
        return span[0] + 1, start + 1

    def _span(self, key: str) -> tuple[int, int] | None:
        """The lines that give a key, from 0: the first that, read up to their end, have it.

        Asked of the one reader of TOML that there is: half a list or a string is no document.
        """
        lines, whole = self.text.split("\n"), 0
        for end in range(1, len(lines) + 1):
            try:
                document = tomllib.loads("\n".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue
            if key in _keys(document):
                return whole, end
            whole = end
        return None


def _keys(table: Mapping[str, Any]) -> Iterator[str]:
    """Dotted, of tables too; `loss.temperature` may be one key or two."""
    for name, value in table.items():
        yield name
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in _keys(value))


def _column(line: str, value: Any, start: int) -> int | None:
    """Where a value stands in a line, from 1: as JSON has it, or Python, or as a bare word."""
    try:
        spelt = [json.dumps(value, ensure_ascii=False)]
    except TypeError:  # a date
        spelt = []
    for text in (*spelt, repr(value), str(value)):
        if found := re.compile(rf"(?<![\w.]){re.escape(text)}(?![\w.])").search(line, start):
            return found.start() + 1
    return None


def twice(values: Any) -> list[Any]:
    """What stands in a list again, as labels show it."""
    shown = [f"{v:g}" if isinstance(v, int | float) else str(v) for v in values]
    again = itertools.compress(values, (s in shown[:i] for i, s in enumerate(shown)))
    return list(again)
