"""What a check of all that is stored has found: see commands/verify.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

SHOWN = 3  # names that a line has room for


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    place: str  # ledger, storage or cache
    what: str
    detail: str
    repair: str | None = None  # what `--repair` does about it; None: that is a person's to decide
    # How: by settling this sweep as its next launch would, or by a call that harms nobody.
    sweep: str | None = None
    mend: Callable[[], None] | None = None


@dataclass(frozen=True)
class Audit:
    """One place, looked through."""

    place: str
    counts: Mapping[str, int]  # what there is, by name
    findings: Sequence[Finding]


def some(names: Iterable[str]) -> str:
    """The first of the names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
