"""`sweeper encoders`: the frozen encoders, side by side."""

from __future__ import annotations

import typer

encoders_app = typer.Typer(
    help="Frozen encoders: compare them, or pre-train one.", no_args_is_help=True
)
