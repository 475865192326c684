"""One sweep, held by this driver: its cells registered, what is missing of it trained.

Nothing is printed here: a `Watcher` is told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd
from sqlalchemy.exc import IntegrityError

from analysis.factors import PAPER
from models.names import unknown
from models.shape import ModelShape
from models.spec import ModelSpec
from sweeper import plugins
from sweeper.data import make_dataset
from sweeper.data.latents import Source, data_config, latents_of, open_latents, width
from sweeper.driver.outbox import drain_spools
from sweeper.errors import SweeperError
from sweeper.events import Event
from sweeper.git import commit_of
from sweeper.ledger import read
from sweeper.ledger.clips import latents_with_clips
from sweeper.ledger.connect import is_copy_of, ledger_id
from sweeper.ledger.url import shown
from sweeper.ledger.write import Ledger
from sweeper.states import DONE, State
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage, ledger_root, reachable
from sweeper.storage.results import Manifest, find_result, leave_manifest, rename_former
from sweeper.study.axes import placed
from sweeper.study.config import DataConfig, RunConfig
from sweeper.study.grid import Cell, Grid, run_config
from sweeper.study.grid_file import Misplaced
from sweeper.study.plan import Plan, insist_on_precisions, reference_of
from sweeper.study.request import Request

if TYPE_CHECKING:
    from sweeper.driver.execute import Executor

Cells = Sequence[tuple[Cell, RunConfig]]
ENCODER_AXIS = "data.encoder"
DataProgress = Callable[[int, int, str], None]  # clips done, clips in all, what is being done


class Watcher(Protocol):
    """Who watches a sweep: see console.live."""

    def data(self) -> AbstractContextManager[DataProgress]:
        """Told of one making of latents."""

    def sweep(
        self, cells: pd.DataFrame, missing: Sequence[RunConfig]
    ) -> AbstractContextManager[Callable[[Event], None]]:
        """Told of every event of a sweep, whose cells are rows of the `results` view."""

    def notify(self, line: str) -> None:
        """Told a line for the user."""


def expand(request: Request) -> Cells:
    """Every cell of the request and the run that fills it. Raises SweeperError on bad input."""
    grid = request.load_grid()
    cells = grid.filled(request.seeds, study_of(request, grid), request.baseline_seeds or 0)
    if request.device != "auto":  # else the executor decides, and says so
        insist_on_precisions((run for _, run in cells), request.device)
    return cells


def study_of(request: Request, grid: Grid) -> Callable[[Cell], RunConfig]:
    """What the request trains for a cell: its preset, its grid's overrides, its data."""
    study = request.study(grid)
    _check_factors(request, grid, study.data)

    @cache
    def data_of(data: DataConfig, encoder: str) -> DataConfig:
        source = dataclasses.replace(source_of(request), encoder=encoder)
        with (
            grid.telling(request.dataset, "data.dataset"),
            grid.telling(encoder, ENCODER_AXIS, f"axes.{ENCODER_AXIS}"),
        ):
            return data_config(data, request.dataset, source)

    def config_of(cell: Cell) -> RunConfig:
        point = dict(cell.axes)
        encoder = point.pop(ENCODER_AXIS, request.encoder)
        placed_study = placed(study, point)
        data = data_of(placed_study.data, encoder)
        return run_config(cell, dataclasses.replace(placed_study, data=data))

    return config_of


def _check_factors(request: Request, grid: Grid, data: DataConfig) -> None:
    """SweeperError for a factor that the dataset does not tell; the paper's all tell."""
    if grid.factors == PAPER:
        return
    data = dataclasses.replace(data, dataset=request.dataset)
    known = make_dataset(data, source_of(request).location).factors
    asked = {f"study.tasks.{task}": task for task in grid.factors.tasks}
    asked |= {f"study.{name}": getattr(grid.factors, name) for name in ("share", "differ")}
    for key, factor in asked.items():
        if factor not in known:
            told = unknown(f"factor of the dataset {request.dataset}", factor, known)
            raise grid.error(Misplaced(told, key, "study", values=(factor,)))


def widened(request: Request, cells: Cells) -> Request:
    """The request with the encoders of its cells, by the fingerprints of their latents.

    And with the plugins that were found when the cells were made.
    """
    axes = ((run, dict(cell.axes)) for cell, run in cells)
    of_axis = {run.data.fingerprint: a[ENCODER_AXIS] for run, a in axes if ENCODER_AXIS in a}
    encoders, sources = {**request.encoders, **of_axis}, plugins.loaded()
    return dataclasses.replace(request, encoders=encoders, plugins=sources)


def source_of(request: Request) -> Source:
    """Where this machine finds what the request trains on."""
    return Source(request.encoder, request.source, request.encoders)


def register(ledger: Ledger, request: Request, cells: Cells, note: str | None = None) -> None:
    """Puts the cells into the sweep that this driver holds, and what a recovery needs beside.

    `note` is what the user says of the sweep; the one before stays where there is none.
    Raises SweeperError when the sweep already has a cell of that label with other settings.
    """
    options = dataclasses.asdict(request)
    ledger.register(options, cells, _references(run for _, run in cells))
    ledger.annotate(note, *commit_of(Path.cwd()))
    name = read.sweep_of(ledger.engine, ledger.sweep_id).name
    every_cell = read.cells_of(ledger.engine, ledger.sweep_id)
    references = _references(run for _, run in every_cell)
    storage = claim_storage(ledger, request.storage)
    with reachable():
        leave_manifest(storage, Manifest(name, options, every_cell, references))


def _references(runs: Iterable[RunConfig]) -> list[RunConfig]:
    references = (reference_of(run) for run in runs)
    return list({run.key: run for run in references if run is not None}.values())


def claim_storage(ledger: Ledger, storage: str | None) -> Storage:
    """The storage of this ledger's checkpoints and results, which from now on says so.

    A copy of a database has its original's identity. While the original is still where it was,
    the copy gets an identity, and so a storage, of its own.
    """
    claimed = Storage(ledger_root(storage, ledger_id(ledger.engine)))
    url = shown(ledger.engine.url)
    tag = claimed.read_json("ledger.json") or {}
    if is_copy_of(ledger.engine, str(tag.get("database"))):
        ledger.rename(uuid.uuid4().hex)
        ledger.note("copied", f"from {tag['database']}, which goes on under its old identity")
        claimed = Storage(ledger_root(storage, ledger_id(ledger.engine)))
    launched = datetime.now(UTC).isoformat()
    try:
        document = {"database": url, "launched": launched}
        claimed.write_json("ledger.json", document, writer=f".sweep-{ledger.sweep_id}")
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise SweeperError(f"cannot write to {claimed.root}: {reason}; check --storage") from None
    return claimed


def plan_of(ledger: Ledger) -> Plan:
    """The sweep's runs with their references, and what the ledger says of each."""
    return read.plan_of_sweep(ledger.engine, ledger.sweep_id)


def train_missing(
    ledger: Ledger,
    executor: Callable[[], Executor],
    watcher: Watcher,
    retry_failed: bool = False,
) -> tuple[int, int | None]:
    """Trains what is missing of the sweep that this driver holds.

    The executor is made only when there is something to train. Returns how many runs were
    missing, and the signal that stopped their training, if one did.
    """
    sweep = read.sweep_of(ledger.engine, ledger.sweep_id)
    request = Request.of(sweep.name, sweep.options)
    plugins.load(request.plugins)
    storage = settle(ledger, request.storage)
    plan = plan_of(ledger)
    missing = plan.missing(retry_failed)
    if not missing:
        describe_clips(ledger, plan)
        return 0, None
    source = source_of(request)
    prepare_all((run.data for run in missing), source, watcher)
    describe_clips(ledger, plan)
    from sweeper.driver.execute import Training, execute  # late: it brings torch

    how = (request.device, request.pack, retry_failed, request.weights)
    training = Training(executor(), storage, source, *how)
    cells = read.results(ledger.engine, sweep.name)
    with watcher.sweep(cells, missing) as observe:
        interrupt = execute(plan, ledger, training, observe, watcher.notify)
    return len(missing), interrupt.signum


def weights_size(runs: Iterable[RunConfig], request: Request) -> int:
    """Bytes of the weights that those runs will leave."""
    width_of = cache(lambda data: width(data, source_of(request)))
    shapes = (
        (run, ModelShape.of(run.kind, width_of(run.data), run.model or ModelSpec())) for run in runs
    )
    return 4 * sum(shape.size(decoder=bool(run.lam)) for run, shape in shapes)


def prepare_all(configs: Iterable[DataConfig], source: Source, watcher: Watcher) -> None:
    """Renders or reads the audio and caches the latents of every data config."""
    for data in dict.fromkeys(configs):
        with watcher.data() as progress:
            latents_of(data, source, progress=progress)


def describe_clips(ledger: Ledger, plan: Plan) -> None:
    """Stores which clips the plan's runs are probed on, as far as their latents are at hand."""
    known = latents_with_clips(ledger.engine)
    for data in dict.fromkeys(run.data for run in plan.runs):
        if data.fingerprint not in known:
            with contextlib.suppress(SweeperError):
                ledger.store_clips(data.fingerprint, open_latents(data).probe_clips())


def settle(ledger: Ledger, storage: str | None) -> Storage:
    """Claims the sweep's storage, and takes up what earlier drivers left there."""
    claimed = claim_storage(ledger, storage)
    with reachable():
        reconcile(ledger, claimed)
    return claimed


def reconcile(ledger: Ledger, storage: Storage) -> None:
    """Stores what earlier drivers of the sweep could not, and closes the attempts they left."""
    drain_spools(ledger)
    import_orphans(ledger, storage)
    ledger.close_attempts(State.INTERRUPTED, "its driver is gone")
    done = (key for key, state in plan_of(ledger).states.items() if state in DONE)
    Checkpoints(storage, ledger_id(ledger.engine)).remove_all(done)


def import_orphans(ledger: Ledger, storage: Storage) -> int:
    """Stores results of this sweep's runs that their driver did not live to store.

    They are the ledger's own: nobody else writes to its storage. A file that is damaged is noted
    and its run is trained again.
    """
    plan, imported = plan_of(ledger), 0
    rename_former(storage, plan.runs)
    for key in [run.key for run in plan.missing()]:
        try:
            if orphan := find_result(storage, key):
                ledger.record(orphan[0], [orphan[1]], None)
                imported += 1
        except (IntegrityError, ValueError) as error:
            ledger.note("result-refused", f"run {key[:12]}: {error}".splitlines()[0])
    return imported
