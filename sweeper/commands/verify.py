"""`sweeper verify`: whether all that is stored is whole, and what `--repair` does about it.

Without `--repair` nothing is written: the database is looked at in a snapshot.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sweeper.console.summary import command
from sweeper.console.words import counted, printable
from sweeper.data import audit as cached
from sweeper.driver.outbox import spools_of
from sweeper.errors import SweepHeldError, redact
from sweeper.findings import Audit, Finding, some
from sweeper.ledger import audit as ledgers
from sweeper.ledger import read
from sweeper.ledger.connect import ledger_id, open_reader, writer
from sweeper.ledger.lease import LIVE, UNKNOWN, holders
from sweeper.ledger.trouble import damaged
from sweeper.ledger.url import database_url, is_sqlite
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.storage import audit as storages
from sweeper.storage.files import Storage, ledger_root, reachable
from sweeper.sweep import settle


@dataclass(frozen=True)
class Examined:
    """All that was looked through, at one moment."""

    audits: Sequence[Audit]
    at_work: Sequence[str]  # sweeps that a driver holds, or may hold

    @property
    def findings(self) -> list[Finding]:
        return [finding for audit in self.audits for finding in audit.findings]


def verify(db: str, *, repair: bool, as_json: bool, console: Console) -> int:
    """Prints what is whole and what is not; returns 0 when all is whole in the end, else 2.

    Raises SweeperError for a database that only a recovery mends, SweepHeldError for a repair
    while a driver is at work.
    """
    found, mended = examine(db), list[Finding]()
    if repair and (mendable := [finding for finding in found.findings if finding.repair]):
        if found.at_work:
            raise SweepHeldError(
                f"a driver is at work on {some(found.at_work)}; repair when it has ended"
            )
        mend(db, mendable)
        found = examine(db)
        mended = [finding for finding in mendable if finding not in found.findings]
    if as_json:
        print(json.dumps(_document(found, mended)))
    else:
        _show(found, mended, db, console)
    return 2 if found.findings else 0


def examine(db: str) -> Examined:
    """Looks through ledger, storages and cache. Raises SweeperError for a damaged database."""
    engine = open_reader(db)
    try:
        if how := ledgers.broken_pages(engine):
            raise damaged(redact(db), how)
        with Session(engine) as session:
            drivers = holders(session)
        at_work = {id for id, driver in drivers.items() if driver.verdict in (LIVE, UNKNOWN)}
        sweeps = read.sweeps(engine)
        idle = [sweep for sweep in sweeps if sweep.id not in at_work]
        ledger = ledgers.audit(engine)
        spooled = [*ledger.findings, *_spools(engine, db, idle)]
        names = [sweep.name for sweep in sweeps if sweep.id in at_work]
        audits = [Audit(ledger.place, ledger.counts, spooled), *_storages(engine, sweeps, at_work)]
        return Examined([*audits, cached.audit()], names)
    finally:
        engine.dispose()


def _spools(engine: Engine, db: str, sweeps: Iterable[read.SweepInfo]) -> Iterator[Finding]:
    url, ledger = database_url(db), ledger_id(engine)
    file = url.database if is_sqlite(url) else None
    for sweep in sweeps:
        for path in spools_of(file, ledger, sweep.id):
            detail = f"{path}, of sweep '{sweep.name}'"
            yield Finding("ledger", "a spool waits", detail, "stores what it holds", sweep.name)


def _storages(
    engine: Engine, sweeps: Sequence[read.SweepInfo], at_work: set[int]
) -> Iterator[Audit]:
    """One audit for each place that a sweep keeps its files in."""
    ledger, missing = ledger_id(engine), dict[str, str]()
    known = read.keys(engine)
    states = dict.fromkeys(known, State.PENDING) | read.states(engine, known)
    trained = defaultdict[str | None, set[str]](set)  # by place: those to have left weights there
    for sweep in sweeps:
        plan = read.plan_of_sweep(engine, sweep.id)
        if sweep.options.get("weights"):
            finished = (run for run in plan.runs if plan.state_of(run) == State.FINISHED)
            trained[sweep.options.get("storage")] |= {run.key for run in finished if run.model}
        lacking = {run.key for run in plan.missing()}
        for run in plan.runs:
            for key in filter(None, (run.key, run.former_key)):  # settling renames the latter
                states.setdefault(key, plan.state_of(run))
                if run.key in lacking:
                    missing.setdefault(key, sweep.name)
    names = {sweep.name for sweep in sweeps}
    for place in dict.fromkeys(sweep.options.get("storage") for sweep in sweeps):
        storage = Storage(ledger_root(place, ledger))
        with reachable():
            yield storages.audit(
                storage, ledger, states, missing, names, bool(at_work), trained[place]
            )


def mend(db: str, findings: Sequence[Finding]) -> None:
    """Settles the sweeps that are to be settled as their next launch would, then the rest."""
    with reachable(), writer(db) as engine:
        for sweep in dict.fromkeys(finding.sweep for finding in findings if finding.sweep):
            with Ledger.of(engine, sweep) as ledger:
                options = read.sweep_of(engine, ledger.sweep_id).options
                settle(ledger, options.get("storage"))
    with reachable():
        for finding in findings:
            if finding.mend:
                finding.mend()


def _document(found: Examined, mended: Sequence[Finding]) -> dict[str, object]:
    return {
        "whole": not found.findings,
        "counts": [{"place": audit.place, **audit.counts} for audit in found.audits],
        "findings": [_fields(finding) for finding in found.findings],
        "mended": [_fields(finding) for finding in mended],
    }


def _fields(finding: Finding) -> Mapping[str, str | None]:
    return {name: getattr(finding, name) for name in ("place", "what", "detail", "repair")}


def _show(found: Examined, mended: Sequence[Finding], db: str, console: Console) -> None:
    for finding in mended:
        console.print(Text(printable(f"mended: {finding.what} ({finding.detail})")))
    for audit in found.audits:
        what = f"{len(audit.findings)} found" if audit.findings else "whole"
        counts = ", ".join(f"{count} {name}" for name, count in audit.counts.items())
        style = "yellow" if audit.findings else "green"
        console.print(Text(f"{audit.place:8}"), Text(what, style=style), Text(counts))
        for finding in audit.findings:
            repair = f"; --repair {finding.repair}" if finding.repair else ""
            console.print(Text(printable(f"  {finding.what} ({finding.detail}){repair}")))
    if found.at_work:
        line = f"a driver is at work on {some(found.at_work)}: what it has in hand is left out"
        console.print(Text(printable(line)))
    if mendable := sum(finding.repair is not None for finding in found.findings):
        again = command("verify --repair", None, db)
        console.print(f"{counted(mendable, 'finding')} can be mended: {again}", markup=False)
