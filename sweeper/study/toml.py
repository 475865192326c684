"""Python's values as TOML, which the standard library can only read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.errors import SweeperError


def document(table: Mapping[str, Any]) -> str:
    """A grid file that holds what `table` does, a line a key. Raises SweeperError: see `value`."""
    return "".join(f"{_key(name)} = {value(given)}\n" for name, given in table.items())


def value(given: Any) -> str:
    """Strings, numbers, and lists (arrays of NumPy too) and tables of them; others raise."""
    if hasattr(given, "tolist"):
        given = given.tolist()
    if isinstance(given, str | bool):
        return json.dumps(given, ensure_ascii=False)
    if isinstance(given, int | float):
        return repr(given)
    if isinstance(given, Mapping):
        return "{" + ", ".join(f"{_key(name)} = {value(v)}" for name, v in given.items()) + "}"
    if isinstance(given, Sequence):
        return f"[{', '.join(map(value, given))}]"
    raise SweeperError(f"a grid holds strings, numbers, lists and tables, and not {given!r}")


def _key(name: Any) -> str:
    return str(name) if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else value(str(name))
