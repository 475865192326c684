"""The command line. A command parses and calls one function; heavy imports live inside it."""

from __future__ import annotations

import sys

from sweeper.signals import StoppedError, answer, last_words, leave


def main() -> None:
    """Entry point, which answers signals before it imports what takes time."""
    trains = sys.argv[1:2] in (["launch"], ["resume"])
    answer(" before anything was trained; the same command goes on" if trains else "")
    try:
        from sweeper.cli.app import run

        code = run()
    except StoppedError as stopped:
        print(f"sweeper: {last_words()}", file=sys.stderr)
        code = stopped.exit_code
    leave(code)
