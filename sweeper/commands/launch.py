"""Launching and resuming: register the cells, plan the difference, execute it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import Engine

from sweeper.commands.data import prepare_all
from sweeper.commands.recover import adopt, storage_of
from sweeper.data.latents import Source, data_config
from sweeper.driver.outbox import drain_spools
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import explained, ledger_id, open_reader, open_writer
from sweeper.ledger.write import Ledger
from sweeper.signals import caught
from sweeper.states import DONE, INTERRUPTED
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.results import leave_manifest
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid, override, run_config
from sweeper.study.plan import Plan, reference_of, with_references
from sweeper.study.presets import preset


@dataclass(frozen=True)
class Request:
    """What a user asks `launch` for; stored with the sweep, so that `resume` knows it."""

    grid: str
    preset: str = "paper"
    seeds: int = 1
    dataset: str = "notes"
    encoder: str = "logmel"
    source: str | None = None  # a SoundFont for `notes`, else the directory of the dataset
    device: str = "auto"
    pack: int | None = None
    storage: str | None = None
    encoders: dict[str, str] = field(default_factory=dict)  # see Source

    @property
    def default_name(self) -> str:
        """Grid and preset, and the data where they are not the default."""
        default = ("notes", preset(self.preset).data.encoder)
        data = (self.dataset, self.encoder.partition(":")[0])
        own = [] if data == default else data
        return "-".join([Path(self.grid).stem, self.preset, *own])


def expand(request: Request) -> list[tuple[Cell, RunConfig]]:
    """Every cell of the request and the run that fills it. Raises SweeperError on bad input."""
    if request.seeds < 1:
        raise SweeperError(f"--seeds {request.seeds}: at least 1 is needed")
    config_of = study_of(request)
    return [(cell, config_of(cell)) for cell in load_grid(request.grid).cells(request.seeds)]


def study_of(request: Request) -> Callable[[Cell], RunConfig]:
    """What the request trains for a cell: its preset, its grid's overrides, its data."""
    study = override(preset(request.preset), load_grid(request.grid).overrides)
    data = data_config(study.data, request.dataset, source_of(request))
    return partial(run_config, preset=dataclasses.replace(study, data=data))


def launch(
    request: Request,
    db: str,
    name: str | None,
    *,
    address: str | None = None,
    retry_failed: bool = False,
    console: Console,
) -> int:
    """Registers the sweep and trains what is missing of it; returns the exit code."""
    cells = expand(request)
    with explained(db), Ledger.of(open_writer(db), name or request.default_name) as ledger:
        enter(ledger, request, cells)
        return go_on(ledger, db, address, retry_failed, console)


def enter(ledger: Ledger, request: Request, cells: Sequence[tuple[Cell, RunConfig]]) -> None:
    """Puts the cells into the sweep that this driver holds, and what a recovery needs beside."""
    options = dataclasses.asdict(request)
    references = [ref for _, run in cells if (ref := reference_of(run))]
    ledger.register(options, cells, references)
    name = read.sweep_of(ledger.engine, ledger.sweep_id).name
    storage = storage_of(ledger, request.storage)
    leave_manifest(storage, name, options, list(cells), references)


def resume(
    name: str | None,
    db: str,
    *,
    address: str | None = None,
    retry_failed: bool = False,
    console: Console,
) -> int:
    """Trains what is missing of a registered sweep; returns the exit code."""
    open_reader(db).dispose()  # a resume never makes a database
    engine = open_writer(db)
    with explained(db), Ledger.of(engine, read.find_sweep(engine, name).name) as ledger:
        return go_on(ledger, db, address, retry_failed, console)


def go_on(
    ledger: Ledger, db: str, address: str | None, retry_failed: bool, console: Console
) -> int:
    """Trains what is missing of the sweep that this driver holds; returns the exit code."""
    from sweeper.console.summary import conclude

    engine = ledger.engine
    sweep = read.sweep_of(engine, ledger.sweep_id)
    _settle(ledger, Request(**sweep.options).storage)
    plan = make_plan(engine, sweep.id)
    signum = None
    if missing := plan.missing(retry_failed):
        request = Request(**sweep.options)
        started = time.monotonic()
        try:
            with stoppable():
                prepare_all((run.data for run in missing), source_of(request), console)
            signum = _execute(plan, ledger, sweep, request, address, retry_failed, console).signum
        except StoppedError as stopped:
            signum = stopped.signum
        console.print(f"[dim]took {time.monotonic() - started:.0f} s[/dim]")
    else:
        console.print("nothing left to train")
    return conclude(engine, sweep, db, signum, console)


class StoppedError(Exception):
    """A signal, while latents were made: before there is a driver that could stop in order."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """Turns SIGINT and SIGTERM into StoppedError, so that the line to resume is printed."""

    def stop(signum: int, _frame: object) -> None:
        raise StoppedError(signum)

    with caught(stop):
        yield


def _settle(ledger: Ledger, storage: str | None) -> None:
    """Stores what earlier drivers of the sweep could not, and closes the attempts they left."""
    own = storage_of(ledger, storage)
    drain_spools(ledger)
    adopt(ledger, own)
    ledger.close_attempts(INTERRUPTED, "its driver is gone")
    states = make_plan(ledger.engine, ledger.sweep_id).states
    done = (key for key, state in states.items() if state in DONE)
    Checkpoints(own, ledger_id(ledger.engine)).remove_all(done)


def make_plan(engine: Engine, sweep_id: int) -> Plan:
    """The sweep's runs with their references, and what the ledger says of each."""
    return read.plan_of(engine, read.runs_of(engine, sweep_id))


def source_of(request: Request) -> Source:
    """Where this machine finds what the request trains on."""
    return Source(request.encoder, request.source, request.encoders)


def _execute(
    plan: Plan,
    ledger: Ledger,
    sweep: read.SweepInfo,
    request: Request,
    address: str | None,
    retry_failed: bool,
    console: Console,
) -> Any:
    from sweeper.console.live import sweep_view
    from sweeper.driver.execute import Resources, execute

    engine = ledger.engine
    cells = read.results(engine, sweep.name)
    with sweep_view(console, cells, plan.missing(retry_failed)) as observe:
        return execute(
            plan,
            ledger,
            Resources(address, request.device, request.pack),
            references=read.validation_mse(engine, plan.keys),
            storage=storage_of(ledger, request.storage),
            retry_failed=retry_failed,
            trial_options={"source": dataclasses.asdict(source_of(request))},
            observe=observe,
            notify=lambda line: console.print(line, markup=False),
        )


def dry_run(request: Request, db: str, name: str | None, console: Console) -> None:
    """Prints the plan of a launch: what is done, what is missing, how long it may take."""
    from sweeper.console.summary import print_plan

    cells = expand(request)
    runs = [run for _, run in cells]
    plan, pace = Plan(tuple(with_references(runs)), {}), None
    if "://" in db or Path(db).exists():
        engine = open_reader(db)
        plan, pace = read.plan_of(engine, runs), read.pace(engine)
    print_plan(plan, cells, name or request.default_name, db, pace, console)
