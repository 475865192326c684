"""What a user can mend: one clear line, an exit code, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

NAMED = 10  # names that a message lists


class SweeperError(Exception):
    """Bad input or a bad environment; the message says what is wrong and what to do."""

    exit_code = 1


class SweepHeldError(SweeperError):
    """Another driver holds this sweep."""

    exit_code = 3


class ClusterDiedError(SweeperError):
    """The Ray cluster is gone in mid-sweep; what is missing can be resumed."""

    exit_code = 4


def instead(name: str, known: Sequence[str]) -> str:
    """What to say of a name that is none of those known: the nearest of them, or the first."""
    if near := difflib.get_close_matches(name, known):
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"it holds: {', '.join(known[:NAMED])}"
