"""The report page: a sweep, or several side by side, as one JSON document and one HTML file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import Engine

from sweeper.console.words import printable
from sweeper.errors import SweeperError, redact
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.study.request import Request

MORE_SEEDS = 4  # that the page proposes


def write_page(db: str, names: Sequence[str], out: Path, console: Console) -> None:
    """Writes `report.html` into `out`: the sweeps named, or the one launched last."""
    from analysis.files import write_files
    from analysis.html import page

    content = page(document_of(open_reader(db), names, db)).encode()
    try:
        (path,) = write_files({"report.html": content}, out)
    except ValueError as error:
        raise SweeperError(str(error)) from None
    console.print(printable(path), markup=False)


def document_of(engine: Engine, names: Sequence[str], db: str) -> dict[str, Any]:
    """The document of these sweeps, or of the one launched last.

    Raises SweeperError for a sweep that is not there, is named twice, or is no grid.
    """
    from analysis.document import document

    asked: Sequence[str | None] = names or [None]
    sweeps = [read.find_sweep(engine, name) for name in asked]
    for sweep in sweeps:
        if sweep.compares_encoders:
            raise SweeperError(
                f"sweep '{sweep.name}' compares encoders and has no grid; "
                "draw it with `sweeper report`, or name another sweep"
            )
    shown = [sweep.name for sweep in sweeps]
    if twice := [name for name in shown if shown.count(name) > 1]:
        raise SweeperError(f"'{twice[0]}' twice: name each sweep once")
    return document(engine, shown, {sweep.name: more_seeds(sweep, db) for sweep in sweeps})


def more_seeds(sweep: read.SweepInfo, db: str) -> str:
    """The command that adds seeds to every cell of the sweep; empty where its options are lost."""
    try:
        request = Request.of(sweep.name, sweep.options)
    except SweeperError:
        return ""
    words = ["sweeper", "launch", "--grid", request.grid, "--preset", request.preset]
    words += ["--seeds", str(request.seeds + MORE_SEEDS)]
    words += ["--dataset", request.dataset, "--encoder", request.encoder]
    if request.source is not None:
        words += ["--soundfont" if request.dataset == "notes" else "--data-root", request.source]
    if request.storage is not None:
        words += ["--storage", request.storage]
    words += ["--name", sweep.name, "--db", redact(db)]
    return shlex.join(map(printable, words))
