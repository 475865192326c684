"""Sweeps of a database as the one document that the page shows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from analysis.document import Judge, document, judged
from sweeper.console.words import printable
from sweeper.errors import SweeperError, redact
from sweeper.ledger import read
from sweeper.study.request import Request

MORE_SEEDS = 4  # that the page proposes


def document_of(
    engine: Engine, names: Sequence[str], db: str, judge: Judge = judged
) -> dict[str, Any]:
    """The document of these sweeps, or of the one launched last.

    Raises SweeperError for a sweep that is not there, is named twice, or is no grid.
    """
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
    launches = {sweep.name: more_seeds(sweep, db) for sweep in sweeps}
    states = dict[str, str]()
    for sweep in sweeps:
        plan = read.plan_of_sweep(engine, sweep.id)
        states |= {run.key: plan.state_of(run) for run in plan.runs}
    return document(engine, shown, launches, states, judge)


def more_seeds(sweep: read.SweepInfo, db: str) -> str:
    """The command that adds seeds to every cell of the sweep; empty where its options are lost."""
    try:
        request = Request.of(sweep.name, sweep.options)
    except SweeperError:
        return ""
    words = ["sweeper", "launch", "--grid", request.grid, "--preset", request.preset]
    seeds = request.seeds + MORE_SEEDS
    words += ["--seeds", str(seeds)]
    if (request.baseline_seeds or 0) > seeds:
        words += ["--baseline-seeds", str(request.baseline_seeds)]
    words += ["--dataset", request.dataset, "--encoder", request.encoder]
    if request.source is not None:
        words += ["--soundfont" if request.dataset == "notes" else "--data-root", request.source]
    if request.storage is not None:
        words += ["--storage", request.storage]
    words += ["--name", sweep.name, "--db", redact(db)]
    return shlex.join(map(printable, words))
