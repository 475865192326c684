"""What a user can mend: one clear line, an exit code, never a traceback."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence

NAMED = 10  # names that a message lists

HIDDEN = "***"
_IN_URL = re.compile(r"(://[^\s/:@]*:)(?!\*\*\*@)\S*@")
_NAMED_SO = re.compile(
    r"((?:password|passwd|secret|\btoken|secret_key|secret_access_key)=)[^\s&]+", re.IGNORECASE
)
_VARIABLE = re.compile("(?:PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS?|ACCESS_KEY|API_KEY)(?:_|$)")
_SHORTEST = 8  # characters of a variable's value that is taken for a secret wherever it stands


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


def redact(text: str) -> str:
    """A text fit to be shown or stored: without passwords of URLs and secrets of the environment.

    Everything goes through here that is printed, and every cause that a database or a file keeps.
    """
    text = _NAMED_SO.sub(rf"\1{HIDDEN}", _IN_URL.sub(rf"\1{HIDDEN}@", text))
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and len(value) >= _SHORTEST and not os.path.exists(value):
            text = text.replace(value, HIDDEN)
    return text
