"""A driver in a forked process, with packs trained in that process instead of by Ray.

All but Ray is real: the command line, the lease, the writer, the trials, the checkpoints. It
starts in a tenth of a second, so that it can be killed a hundred times. test_signals.py and
test_workers.py hold the same claims to real Ray.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

import sweeper.cli
import sweeper.commands.launch
import sweeper.commands.recover
import sweeper.console.summary
import sweeper.driver.execute
import sweeper.driver.outbox
import sweeper.driver.pack_queue
import sweeper.worker.trial


def drive(arguments: list[str], log: str, environment: Mapping[str, str], **settings: Any) -> None:
    """`sweeper ARGUMENTS` in this process; `settings` are module attributes by dotted name."""
    handle = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    for name, value in settings.items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    sweeper.driver.execute._cluster = _no_cluster  # type: ignore[assignment]
    sweeper.driver.execute._fit = _fit_here
    sys.argv = ["sweeper", *arguments]
    sweeper.cli.main()


@contextmanager
def _no_cluster(_address: str | None) -> Iterator[sweeper.driver.execute.Slots]:
    yield sweeper.driver.execute.Slots(cpus=2, gpus=0)


def _fit_here(dispatcher: Any, writer: Any, stop: Callable[[], bool], options: Any) -> None:
    while not dispatcher.over and not stop():
        config = dispatcher.next()
        if config is None:
            time.sleep(0.002)
            continue
        pack = config["pack"]
        writer.put({"event": "started", "pack": pack})
        sweeper.worker.trial.run_trial(
            {**config, **options}, lambda message, pack=pack: writer.put({**message, "pack": pack})
        )
        writer.put({"event": "ended", "pack": pack})
