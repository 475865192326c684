"""`sweeper recover`: a lost database, rebuilt from what its sweeps left in their storage."""

from __future__ import annotations

import sys

from rich.console import Console

from sweeper.console.words import counted, printable
from sweeper.errors import SweeperError, redact
from sweeper.ledger.connect import writer
from sweeper.ledger.url import database_url, shown
from sweeper.ledger.write import Ledger
from sweeper.states import DONE
from sweeper.storage.files import LEDGERS, Storage, base_of, ledger_root
from sweeper.storage.results import Manifest, manifest_names, read_manifest
from sweeper.sweep import import_orphans, plan_of


def recover(db: str, storage: str | None, console: Console) -> int:
    """Rebuilds a database from its storage; adds to it what is missing. Returns the exit code.

    A sweep whose manifest is damaged is told, and the others are recovered; the code is then 1.
    """
    code, ledger_id = 0, _newest(db, storage)
    root = Storage(ledger_root(storage, ledger_id))
    with writer(db, ledger_id) as engine:
        for name in manifest_names(root):
            try:
                manifest = read_manifest(root, name)
            except SweeperError as error:
                print(f"sweeper: {printable(error)}", file=sys.stderr)
                code = 1
                continue
            with Ledger.of(engine, name) as ledger:
                recovered, planned = _rebuild(ledger, root, manifest)
            line = f"{printable(name)}: {recovered} of {counted(planned, 'run')} recovered"
            console.print(line, markup=False)
    return code


def _rebuild(ledger: Ledger, storage: Storage, manifest: Manifest) -> tuple[int, int]:
    ledger.register(manifest.options, manifest.cells, manifest.extra_runs)
    import_orphans(ledger, storage)
    plan = plan_of(ledger)
    return plan.count(*DONE), len(plan.runs)


def _newest(db: str, storage: str | None) -> str:
    """The ledger that was used last for this database; else the one in what the user names."""
    base = base_of(storage)
    tagged = [
        (Storage(ledger_root(storage, name)).read_json("ledger.json") or {}, name)
        for name in Storage(base).names(LEDGERS)
    ]
    url = shown(database_url(db))  # as the driver wrote it
    of_database = [(tag, name) for tag, name in tagged if tag.get("database") == url]
    # A database may have been elsewhere before: a storage that the user names is meant.
    candidates = of_database or (tagged if storage else [])
    if not candidates:
        raise SweeperError(f"nothing in {base} belongs to {redact(db)}; name its --storage")
    if not of_database and len(candidates) > 1:
        names = ", ".join(sorted(str(tag.get("database")) for tag, _ in tagged))
        raise SweeperError(
            f"{base} holds what several databases left ({names}), and none of them is "
            f"{redact(db)}; recover under the old name, or copy one of its {LEDGERS}/ folders "
            "to a --storage of its own"
        )
    return max(candidates, key=lambda pair: str(pair[0].get("launched")))[1]
