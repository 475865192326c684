"""The driver over an executor of any kind: whose the signals are."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeper.data.latents import Source
from sweeper.driver.execute import Training, execute
from sweeper.driver.inline import Inline
from sweeper.driver.ray_cluster import Slots
from sweeper.ledger import read
from sweeper.ledger.write import Ledger
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell


class Greedy(Inline):
    """Takes SIGTERM when it is opened, as Ray does, and is sent one."""

    @contextmanager
    def slots(self) -> Iterator[Slots]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        yield Slots(cpus=1, gpus=0)

    def run(self, pack_queue: Any, recorder: Any, stop: Any, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()


def test_a_signal_is_the_sweeps_though_its_executor_took_it(
    ledger: Ledger, smoke: list[tuple[Cell, RunConfig]], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ledger.register({}, smoke)
    plan = read.plan_of_sweep(ledger.engine, ledger.sweep_id)
    training = Training(Greedy(), Storage(str(tmp_path / "storage")), Source(), "cpu")
    assert execute(plan, ledger, training).signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
