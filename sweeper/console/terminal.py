"""The terminal that is printed to."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console


def console(**options: Any) -> Console:
    """A console for standard output; on a terminal that knows no escapes it writes as to a log.

    NO_COLOR takes the colours alone, as the convention has it: bold and dim stay.
    """
    if os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        options["force_terminal"] = False
    return Console(soft_wrap=True, highlight=False, **options)
