"""Power loss: after every commit, all that was never synced is gone, and no result is.

The statements are those of the real ledger, caught as SQLAlchemy sends them; they are sent
again through a VFS that can undo whatever was written to a file since its last sync.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from sweeper.ledger.connect import PRAGMAS, open_writer
from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid, run_config
from sweeper.study.presets import PRESETS
from tests.faults.conftest import counts
from tests.sweeper.conftest import scored, train

apsw = pytest.importorskip("apsw", reason="pip install apsw")
pytestmark = pytest.mark.faults

Undo = list[tuple[int, bytes, int]]  # offset, bytes that were there, size of the file then
unsynced: dict[str, Undo] = defaultdict(list)


class CutFile(apsw.VFSFile):  # type: ignore[misc]
    """A file that remembers what its unsynced writes have overwritten."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        self.path = name if isinstance(name, str) else name.filename()
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._remember(offset, len(data))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._remember(size, max(0, self.xFileSize() - size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        unsynced[self.path].clear()

    def _remember(self, offset: int, length: int) -> None:
        old = Path(self.path).read_bytes()
        unsynced[self.path].append((offset, old[offset : offset + length], len(old)))


class CutVFS(apsw.VFS):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("cut", "")

    def xOpen(self, name: Any, flags: list[int]) -> CutFile:
        return CutFile(name, flags)


def after_the_cut(db: Path, copy: Path) -> Path:
    """A copy of the database as the disk would hold it if the power failed now."""
    for suffix in ("", "-wal"):
        source = Path(f"{db}{suffix}")
        if not source.exists():
            continue
        data = bytearray(source.read_bytes())
        for offset, overwritten, size in reversed(unsynced[str(source)]):
            data[offset : offset + len(overwritten)] = overwritten
            del data[size:]
        Path(f"{copy}{suffix}").write_bytes(data)
    return copy


def caught(directory: Path, runs: list[tuple[Cell, RunConfig]]) -> list[tuple[str, Any]]:
    """Every statement of a ledger that stores `runs` one by one; COMMIT ends a transaction."""
    engine = open_writer(str(directory / "model.db"))
    found: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def on_execute(_c: Any, _cursor: Any, sql: str, parameters: Any, _x: Any, many: bool) -> None:
        found.extend((sql, own) for own in (parameters if many else [parameters]))

    event.listen(engine, "commit", lambda _connection: found.append(("COMMIT", ())))
    event.listen(engine, "rollback", lambda _connection: found.append(("ROLLBACK", ())))
    with Ledger.of(engine, "a") as ledger:
        ledger.register({}, runs)
        for key in dict.fromkeys(run.key for _, run in runs):
            train(ledger, f"pack {key}", [scored(key)])
    engine.dispose()
    return found


def lost_to_power_cuts(tmp_path: Path, pragmas: tuple[str, ...]) -> tuple[int, int]:
    """(commits, results that a cut right after a commit would have lost)."""
    vfs = CutVFS()  # must live as long as its connections
    cells = [(c, run_config(c, PRESETS["smoke"])) for c in load_grid("ablation").cells(1)]
    statements = caught(tmp_path, cells)
    db = tmp_path / "cut.db"
    open_writer(str(db)).dispose()
    connection = apsw.Connection(str(db), vfs="cut")
    for pragma in ("locking_mode = EXCLUSIVE", *pragmas):
        connection.execute(f"PRAGMA {pragma}")
    commits = lost = 0
    for sql, parameters in statements:
        connection.execute(sql, tuple(parameters))
        if sql == "COMMIT":
            commits += 1
            acknowledged = connection.execute("SELECT COUNT(*) FROM scores").fetchone()[0]
            lost += acknowledged - survivors(after_the_cut(db, tmp_path / f"{commits}.db"))
    connection.close()
    vfs.unregister()
    return commits, lost


def survivors(db: Path) -> int:
    connection = sqlite3.connect(db)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    count = connection.execute("SELECT COUNT(*) FROM scores").fetchone()[0]
    connection.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{db}{suffix}").unlink(missing_ok=True)
    return int(count)


def test_a_power_cut_after_any_commit_loses_no_result(tmp_path: Path) -> None:
    commits, lost = lost_to_power_cuts(tmp_path, PRAGMAS)
    counts["injected"] += commits
    counts["lost"] += lost
    assert commits > 46 * 2
    assert lost == 0


def test_the_power_cut_is_real(tmp_path: Path) -> None:
    """With SQLite's usual setting for a WAL the same cuts do lose results."""
    hasty = tuple(p.replace("synchronous = FULL", "synchronous = NORMAL") for p in PRAGMAS)
    assert hasty != PRAGMAS
    assert lost_to_power_cuts(tmp_path, hasty)[1] > 0
