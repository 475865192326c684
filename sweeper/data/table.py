"""A CSV file with a head, as its users' spreadsheets write it."""

from __future__ import annotations

import csv
from pathlib import Path

from sweeper.errors import SweeperError


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns' names, and the rows by them; a cell that is not there is empty.

    Raises:
        SweeperError: it cannot be read, or is not in UTF-8.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            return list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SweeperError(f"cannot read {path} ({error}); save it as CSV in UTF-8") from error
