"""What every line on a terminal has in common: good counts and times, no control codes."""

from __future__ import annotations

from sweeper.errors import redact


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(seconds: float) -> str:
    """`1:02:03`."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def ago(seconds: float) -> str:
    """`5 minutes ago`; of the largest unit that there is one of."""
    for noun, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(int(seconds // length), noun)} ago"
    return "just now"


def printable(text: object) -> str:
    """Text of a database or a user, with what moves a cursor escaped, and no secrets."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in redact(str(text))
    )
