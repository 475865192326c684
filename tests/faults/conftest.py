"""Sweeps to hurt, and what must hold of every one of them afterwards."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from tests.faults import toy

ROOT = Path(__file__).parents[2]
PATIENCE = float(os.environ.get("SWEEPER_TEST_PATIENCE", "60"))  # seconds; longer is a hang

counts = {"injected": 0, "lost": 0, "repeated": 0}
stops: dict[str, list[tuple[float, float]]] = {}  # by phase: seconds to the answer, to the end


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The README's line."""
    if counts["injected"]:
        line = "{injected} faults injected, {lost} results lost, {repeated} repeated"
        terminalreporter.write_line(line.format(**counts))
    for phase, seconds in stops.items():
        told, ended = map(max, zip(*seconds, strict=True))
        terminalreporter.write_line(
            f"stopped at {phase}: {len(seconds)}, told within {told:.2f} s, over in {ended:.1f} s"
        )


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache with toy latents, used by every sweep of the session."""
    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(root))
        toy.make_latents()
        yield root


@pytest.fixture(scope="session")
def processes(study: Path) -> Iterator[Any]:
    """A server that forks processes in which everything is loaded already."""
    sys.path.insert(0, str(ROOT))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.drive"])
    yield context
    sys.path.remove(str(ROOT))


@dataclass
class Sweep:
    """A toy sweep in a directory of its own."""

    directory: Path
    processes: Any
    epochs: int = 4
    storage: Path = field(init=False)
    log: Path = field(init=False)  # what it says goes there
    environment: dict[str, str] = field(default_factory=dict)
    started: list[BaseProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.storage = self.directory / "storage"
        self.log = self.directory / "log"
        self.grid = toy.grid_file(self.directory, self.epochs)

    @property
    def db(self) -> str:
        return str(self.directory / "results.db")

    @property
    def faults(self) -> Path:
        """Where injected faults are noted."""
        return self.directory / "faults"

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def start(self, fault: str = "", *arguments: str, **settings: Any) -> BaseProcess:
        """A launch in a process of its own. Every epoch is checkpointed."""
        command = ["launch", "--grid", str(self.grid), "--preset", "smoke", "--db", self.db]
        command += ["--storage", str(self.storage), "--device", "cpu", "--pack", "4"]
        command += arguments
        return self._process(command, fault, settings)

    def sweeper(self, *arguments: str, fault: str = "") -> int:
        """Any command, to its end: its exit code, negative when a signal killed it."""
        return ended(self._process(list(arguments), fault, {}))

    def _process(self, command: list[str], fault: str, settings: Mapping[str, Any]) -> BaseProcess:
        from tests.faults.drive import drive

        faults = {"SWEEPER_FAULT": fault, "SWEEPER_FAULT_LOG": str(self.faults)}
        environment = {**self.environment, **faults}
        settings = {"sweeper.driver.execute.CHECKPOINT_SECONDS": 0.0, **settings}
        process: BaseProcess = self.processes.Process(
            target=drive, args=(command, str(self.log), environment), kwargs=settings
        )
        process.start()
        self.started.append(process)
        return process

    def launch(self, fault: str = "", *arguments: str, **settings: Any) -> int:
        """A launch, to its end: its exit code, negative when a signal killed it."""
        return ended(self.start(fault, *arguments, **settings))

    def table(self) -> pd.DataFrame:
        engine = open_reader(self.db)
        table = read.results(engine, read.find_sweep(engine, None).name)
        engine.dispose()
        return table.set_index("label")

    def finished(self) -> set[str]:
        """Keys of the runs whose results are acknowledged."""
        if not Path(self.db).exists():
            return set()
        return {str(key) for (key,) in self.query(FINISHED)}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.db)
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:  # killed before there was a table
            return []
        finally:
            connection.close()


FINISHED = "SELECT runs.key FROM scores JOIN runs ON runs.id = scores.run_id"
TRAINED_AGAIN = """SELECT COUNT(*) FROM attempts AS later JOIN attempts AS first
    ON first.run_id = later.run_id AND later.id > first.id AND first.state = 'finished'"""


def ended(process: BaseProcess, patience: float = PATIENCE) -> int:
    """The exit code of a process that ends in time."""
    process.join(patience)
    if process.exitcode is None:
        process.kill()
        pytest.fail(f"process {process.pid} hangs")
    return int(process.exitcode)


@pytest.fixture
def sweep(tmp_path: Path, processes: Any) -> Iterator[Sweep]:
    made = Sweep(tmp_path, processes)
    yield made
    for process in made.started:  # one that a failed test has left frozen would never end
        if process.is_alive():
            process.kill()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, processes: Any) -> pd.DataFrame:
    """The table of the same sweep when nothing goes wrong."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), processes)
    assert sweep.launch() == 0, sweep.output
    return sweep.table()


Whole = Callable[..., None]


@pytest.fixture
def assert_whole(undisturbed: pd.DataFrame) -> Whole:
    """The invariants, after a fault (`acknowledged`: finished then) and a launch that went well."""

    def check(
        sweep: Sweep,
        acknowledged: set[str],
        *,
        injected: int = 1,
        table: pd.DataFrame | None = None,
    ) -> None:
        lost = acknowledged - sweep.finished()
        repeated = sweep.query(TRAINED_AGAIN)[0][0]
        counts["injected"] += injected
        counts["lost"] += len(lost)
        counts["repeated"] += repeated
        assert not lost
        assert repeated == 0
        assert sweep.query("PRAGMA integrity_check") == [("ok",)]
        assert not list(sweep.directory.glob("*.spool*"))
        assert not [p for p in sweep.storage.rglob("checkpoints/*") if p.is_file()]
        expected = undisturbed if table is None else table
        pd.testing.assert_frame_equal(sweep.table(), expected, check_exact=True)

    return check
