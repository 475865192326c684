"""A whole launch of one run in this process, by `sweeper.commands`, whose training is pretended."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from models.pack.runs import RunState
from sweeper.commands.launch import launch
from sweeper.driver.inline import Inline
from sweeper.driver.outbox import Outbox
from sweeper.errors import SweeperError
from sweeper.events import Event, Provenance, Results
from sweeper.ledger import read
from sweeper.ledger.connect import PRAGMAS, open_reader
from sweeper.storage.files import Storage
from sweeper.storage.results import find_result
from sweeper.storage.weights import RunWeights, find_weights
from sweeper.study.config import RunConfig
from sweeper.study.request import Request
from tests.faults import toy
from tests.faults.conftest import FINISHED, TRAINED_AGAIN
from tests.faults.disk import Fault
from tests.sweeper.conftest import scored
from tests.sweeper.storage.test_checkpoints import state

UNSYNCED = tuple(pragma.replace("= FULL", "= OFF") for pragma in PRAGMAS)


@dataclass
class Place:
    """A directory with a sweep of one run, and a database that is there already."""

    directory: Path
    blank: Path  # a database of no sweep
    trained: list[str] = field(default_factory=list)  # keys, since the last look
    kept: set[str] = field(default_factory=set)  # keys of results that were said to be safe

    def __post_init__(self) -> None:
        self.directory.mkdir()
        text = toy.GRID.replace("[0.0, 0.6, 1.0]", "[0.0]").replace('"SEP", "SIM"', '"SEP"')
        text = text.replace('baselines = ["encoder"]\n', "")
        self.grid = toy.grid_file(self.directory, 2, text)
        shutil.copy(self.blank, self.db)

    @property
    def db(self) -> Path:
        return self.directory / "results.db"

    def launch(self) -> int:
        """The exit code; whatever is raised and is no user's error is a defect."""
        storage = str(self.directory / "storage")
        request = Request(str(self.grid), "smoke", device="cpu", storage=storage, pack=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SWEEPER_CACHE", str(self.directory / "cache"))
            patch.setattr("sweeper.sweep.prepare_all", lambda *_: None)
            patch.setattr("sweeper.worker.trial.latents_of", lambda *_, **__: None)
            patch.setattr("sweeper.worker.trial.train", self._train)
            patch.setattr(Outbox, "deliver", self._deliver(Outbox.deliver))
            patch.setattr("sweeper.driver.execute.provenance", Provenance)
            patch.setattr("sweeper.driver.execute.CHECKPOINT_SECONDS", 0.0)
            patch.setattr("sweeper.driver.recorder.LAST_DRAIN_SECONDS", 0.0)
            patch.setattr("sweeper.driver.outbox.RETRY_SECONDS", 0.0)
            patch.setattr("sweeper.ledger.connect.PRAGMAS", UNSYNCED)
            try:
                return launch(
                    request, str(self.db), "toy", Inline, console=Console(file=io.StringIO())
                )
            except SweeperError as error:
                return error.exit_code

    def _train(self, runs: Sequence[RunConfig], *_: Any, saver: Any, states: Any, keep: Any) -> Any:
        """Two epochs, each checkpointed; whoever goes on from a bad state is found out."""
        results = []
        for run in runs:
            before: RunState | None = states.get(run.key)
            done = 0 if before is None else before.epoch
            assert before is None or torch.equal(before.vector, torch.zeros(4))
            self.trained.append(run.key)
            for epoch in range(done + 1, 3):
                saver.after_epoch(lambda key=run.key, epoch=epoch: [state(key, epoch)])
            keep(RunWeights(run, "flatten", {"encoder1.bias": np.zeros(4, np.float32)}))
            results.append(scored(run.key, int(run.key[:4], 16) / 2**16))
        return results

    def _deliver(self, deliver: Any) -> Any:
        def keep(box: Outbox, event: Event) -> bool:
            survives = bool(deliver(box, event))
            if survives and isinstance(event, Results):
                self.kept |= {result.key for result in event.results}
            return survives

        return keep

    def query(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.db, isolation_level=None)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def end(self) -> None:
        """As if the process of the last launch had ended."""
        self.query("UPDATE leases SET process = process || '0'")

    def acknowledged(self) -> set[str]:
        """Runs that need no training any more: stored, spooled, or left whole in the storage."""
        stored = {key for (key,) in self.query(FINISHED)}
        return self.kept | stored | self._left()

    def _left(self) -> set[str]:
        whole = set()
        for file in self.directory.glob("storage/ledgers/*/results/*.json"):
            result = find_result(Storage(str(file.parents[1])), file.stem)
            assert result is not None  # BadResultError: half a file was taken for a result
            whole.add(result[1].key)
        for file in self.directory.glob("storage/ledgers/*/weights/*.safetensors"):
            assert find_weights(Storage(str(file.parents[1])), file.stem)  # BadWeightsError: half
        return whole

    def table(self) -> pd.DataFrame:
        engine = open_reader(str(self.db))
        table = read.results(engine, "toy")
        engine.dispose()
        return table

    def check(self, fault: Fault, undisturbed: pd.DataFrame) -> None:
        """What must hold of a second launch, after one that met the fault."""
        safe = self.acknowledged()
        self.trained.clear()
        self.end()
        assert self.launch() == 0, fault
        assert not safe & set(self.trained), f"{fault}: trained again"
        assert self.query(TRAINED_AGAIN) == [(0,)], fault
        assert self.query("SELECT COUNT(*) FROM scores") == [(1,)], fault
        assert self.query("PRAGMA integrity_check") == [("ok",)]
        assert not list(self.directory.rglob("*spool-*")), fault
        assert not list(self.directory.rglob("checkpoints/*")), fault
        pd.testing.assert_frame_equal(self.table(), undisturbed, obj=str(fault))
