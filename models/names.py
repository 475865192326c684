"""What is said of a name that is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: str, choices: Iterable[str]) -> str:
    """`unknown preset 'papr', did you mean 'paper'? choose one of …`: one line for an error."""
    choices = list(choices)
    spelt = {choice.lower(): choice for choice in choices}
    near = get_close_matches(name.lower(), spelt, n=1)
    meant = f", did you mean '{spelt[near[0]]}'?" if near else ";"
    return f"unknown {what} '{name}'{meant} choose one of {', '.join(choices)}"
