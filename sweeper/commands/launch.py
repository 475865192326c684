"""`sweeper launch` and `sweeper resume`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sweeper.console.live import ConsoleWatcher
from sweeper.console.summary import Stopped, command, conclude, print_plan
from sweeper.errors import ClusterDiedError, SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import is_there, open_reader, writer
from sweeper.ledger.write import Ledger
from sweeper.signals import StoppedError, caught, go_on_with, leave_at_once
from sweeper.storage.files import check_writable
from sweeper.study.plan import Plan, conflict, with_references
from sweeper.study.request import Request
from sweeper.sweep import Cells, expand, register, train_missing, weights_size, widened

if TYPE_CHECKING:
    from sweeper.driver.execute import Executor


def launch(
    request: Request,
    db: str,
    name: str | None,
    executor: Callable[[], Executor],
    *,
    note: str | None = None,
    retry_failed: bool = False,
    page: bool = False,
    console: Console,
) -> int:
    """Registers the sweep and trains what is missing of it; returns the exit code.

    With `page` the sweep is shown in a browser for as long.
    """
    name, cells = request.sweep_name(name), expand(request)
    check_writable(request.storage)
    with ExitStack() as stack, writer(db) as engine, Ledger.of(engine, name) as ledger:
        register(ledger, widened(request, cells), cells, note)
        stack.enter_context(_shown(db, name, page, console))  # until the lease is given back
        return train(ledger, db, executor, retry_failed, console)


@contextmanager
def _shown(db: str, name: str, page: bool, console: Console) -> Iterator[None]:
    """Serves the page, or says how to open it."""
    if page:
        from sweeper.page.beside import beside  # late: it brings a web server

        with beside(db, name) as address:
            console.print(f"in a browser: {address}", markup=False)
            yield
    else:
        console.print(f"in a browser: {command('serve', None, db)}", markup=False)
        yield


def resume(
    name: str | None,
    db: str,
    executor: Callable[[], Executor],
    *,
    retry_failed: bool = False,
    console: Console,
) -> int:
    """Trains what is missing of a registered sweep; returns the exit code."""
    open_reader(db).dispose()  # a resume never makes a database
    with writer(db) as engine, Ledger.of(engine, read.find_sweep(engine, name).name) as ledger:
        return train(ledger, db, executor, retry_failed, console)


def train(
    ledger: Ledger,
    db: str,
    executor: Callable[[], Executor],
    retry_failed: bool,
    console: Console,
) -> int:
    """Trains what is missing and says how the sweep stands; returns the exit code."""
    sweep = read.sweep_of(ledger.engine, ledger.sweep_id)
    go_on_with(command("resume", sweep.name, db))
    started = time.monotonic()
    missing, stopped = True, None
    try:
        count, signum = train_missing(ledger, executor, ConsoleWatcher(console), retry_failed)
        missing = count > 0
        if signum is not None:
            raise StoppedError(signum)
    except StoppedError as stop:
        stopped = Stopped("stopped by a signal", stop.exit_code)
    except ClusterDiedError as error:
        stopped = Stopped(str(error), error.exit_code)
    with caught(leave_at_once):
        if missing:
            console.print(f"[dim]took {time.monotonic() - started:.0f} s[/dim]")
        else:
            console.print("nothing left to train")
        engine = open_reader(db)  # a writer would wait for whoever has the database now
        try:
            return conclude(engine, sweep, db, stopped, console)
        finally:
            engine.dispose()


def executor_of(name: str, address: str | None, device: str = "auto") -> Callable[[], Executor]:
    """What makes the executor `ray` or `inline`, once there is something to train.

    Raises SweeperError for an address that nobody would use, and for a device that is not there:
    a cluster elsewhere must be asked, this machine is known before anything is rendered.
    """

    def ray_tune() -> Executor:
        from sweeper.driver.ray_tune import RayTune  # late: it brings Ray

        return RayTune(address)

    def inline() -> Executor:
        from sweeper.driver.inline import Inline  # late: it brings torch

        return Inline()

    if address and name == "inline":
        raise SweeperError("--address names a Ray cluster; leave out --executor inline")
    if device == "cuda" and name == "inline":
        raise SweeperError("--device cuda: --executor inline trains on the CPU; leave out one")
    if device == "cuda" and not address and not _gpus():
        raise SweeperError("--device cuda: no GPU on this machine; use --device cpu, or --address")
    return inline if name == "inline" else ray_tune


def _gpus() -> int:
    import torch  # late: it takes seconds

    return torch.cuda.device_count()  # by NVML: a context would stay with the driver


def dry_run(request: Request, db: str, name: str | None, console: Console) -> None:
    """Prints the plan of a launch: what is done, what is missing, how long it may take."""
    name, cells = request.sweep_name(name), expand(request)
    runs = [run for _, run in cells]
    plan, pace = Plan(tuple(with_references(runs)), {}), None
    if is_there(db):
        engine = open_reader(db)
        _check(engine, name, cells)
        plan, pace = read.plan_of(engine, runs), read.pace(engine)
    print_plan(plan, cells, name, db, pace, console)
    if missing := [run for run in plan.missing() if run.model]:
        size = weights_size(missing, widened(request, cells)) if request.weights else 0
        told = f"{size / 1e6:.1f} MB of trained weights, none with --no-weights"
        console.print(f"beside the results: {told if size else 'no trained weights'}")


def _check(engine: Engine, name: str, cells: Cells) -> None:
    """Raises SweeperError when a sweep of that name holds other settings, as a launch would."""
    for sweep in read.sweeps(engine):
        if sweep.name == name:
            held = {cell.label: run for cell, run in read.cells_of(engine, sweep.id)}
            with Session(engine) as session:
                tried = read.is_tried(session, sweep.id)
            if tried and (message := conflict(name, held, cells)):
                raise SweeperError(message)
