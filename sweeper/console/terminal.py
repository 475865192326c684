"""The terminal that is printed to."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console


class _Console(Console):
    """Goes on in silence once whoever read it is gone, as `head` is: what is at work is to end."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what is left in its buffer goes there
        os.close(nowhere)


def console(**options: Any) -> Console:
    """A console for standard output; on a terminal that knows no escapes it writes as to a log.

    NO_COLOR takes the colours alone, as the convention has it: bold and dim stay.
    """
    if os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        options["force_terminal"] = False
    return _Console(soft_wrap=True, highlight=False, **options)
