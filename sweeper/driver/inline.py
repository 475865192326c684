"""The executor without Ray: packs one after another in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from sweeper.driver.pack_queue import PackQueue
from sweeper.driver.ray_cluster import Slots
from sweeper.driver.recorder import Recorder
from sweeper.events import Ended, FromWorker
from sweeper.worker.trial import TrialOptions, run_trial


class Inline:
    """For tests, notebooks, and a first look in seconds: one core, and no GPU."""

    @contextmanager
    def slots(self) -> Iterator[Slots]:
        yield Slots(cpus=1, gpus=0)

    def run(
        self,
        pack_queue: PackQueue,
        recorder: Recorder,
        stop: Callable[[], bool],
        options: TrialOptions,
        slots: int,
    ) -> None:
        """Trains the queue's packs until there are none, or it is time to stop."""

        def send(event: FromWorker) -> None:
            stop()  # nobody else asks while a pack trains
            recorder.put(event)

        with _torch_as_it_was():
            while not pack_queue.over and not stop():
                assignment = pack_queue.next()
                if assignment is None:
                    time.sleep(0.002)  # the recorder has yet to hand on what this one waits for
                    continue
                recorder.started(assignment.pack)
                run_trial(assignment, options, send)
                recorder.put(Ended(assignment.pack))


@contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Training takes one thread and denormal numbers for zero; afterwards both are as before."""
    threads = torch.get_num_threads()
    tiny = torch.full((1,), 1e-38)
    flushed = not (tiny / 100).item()  # torch takes this setting, and does not tell it
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)
