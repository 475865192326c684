"""What workers leave in the storage: enough to adopt results that a dead driver never stored,
and to rebuild a lost database."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rich.console import Console

from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import database_url, ledger_id, open_writer
from sweeper.ledger.write import Ledger, RunResult
from sweeper.storage.files import LEDGERS, Storage, cache_root, ledger_root
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell

Cells = list[tuple[Cell, RunConfig]]


def storage_of(ledger: Ledger, storage: str | None) -> Storage:
    """The storage of a ledger's checkpoints and results, told where its database is."""
    own = Storage(ledger_root(storage, ledger_id(ledger.engine)))
    url = ledger.engine.url.render_as_string(hide_password=True)
    launched = datetime.now(UTC).isoformat()
    own.write_json("ledger.json", {"database": url, "launched": launched})
    return own


def adopt(ledger: Ledger, storage: Storage) -> int:
    """Stores results of this sweep's own packs that their driver did not live to store.

    A result counts only when it comes from a pack that this database has opened an attempt for.
    """
    adopted = 0
    for key, packs in read.orphans(ledger.engine, ledger.sweep_id).items():
        left = storage.read_json(f"results/{key}.json")
        if left is not None and left["pack"] in packs:
            ledger.record(left["pack"], [RunResult(**left["result"])], None)
            adopted += 1
    return adopted


def recover(db: str, storage: str | None, console: Console) -> int:
    """`sweeper recover`: rebuilds a database from its storage; adds to it what is missing."""
    root = _newest(db, storage)
    engine = open_writer(db, ledger_id=Path(root.root).name)
    for file in root.names("sweeps"):
        with Ledger.of(engine, unquote(file.removesuffix(".json"))) as ledger:
            found, planned = _rebuild(ledger, root, root.read_json(f"sweeps/{file}"))
        console.print(f"{file}: {found} of {planned} runs recovered", markup=False)
    return 0


def _rebuild(ledger: Ledger, storage: Storage, manifest: Any) -> tuple[int, int]:
    cells = [(Cell(**row["cell"]), RunConfig.from_json(row["run"])) for row in manifest["cells"]]
    extra = [RunConfig.from_json(text) for text in manifest["extra"]]
    ledger.register(manifest["options"], cells, extra)
    keys = {run.key for run in (*extra, *(run for _, run in cells))}
    left = [storage.read_json(f"results/{key}.json") for key in sorted(keys)]
    found = [document for document in left if document is not None]
    for document in found:
        ledger.record(document["pack"], [RunResult(**document["result"])], None)
    return len(found), len(keys)


def _newest(db: str, storage: str | None) -> Storage:
    """The storage that was used last for this database; where none was, the newest named."""
    base = storage or os.environ.get("SWEEPER_STORAGE") or str(cache_root())
    roots = [
        Storage(f"{base.rstrip('/')}/{LEDGERS}/{name}") for name in Storage(base).names(LEDGERS)
    ]
    told = [(root.read_json("ledger.json") or {}, root) for root in roots]
    own = [(tag, root) for tag, root in told if tag.get("database") == database_url(db)]
    # A database may have been elsewhere before: a storage that the user names is meant.
    candidates = own or (told if storage else [])
    if not candidates:
        raise SweeperError(f"nothing in {base} belongs to {db}; name its --storage")
    return max(candidates, key=lambda pair: str(pair[0].get("launched")))[1]
