"""Beyond the grid: Optuna proposes configurations, the ledger remembers them.

A proposal is an ordinary cell of the sweep, one a seed, so it is trained, stored, resumed and drawn
like any other; whatever the sweep holds teaches Optuna too. The study is made anew from the ledger
each time: the same command after an interruption does what is missing, and nothing else.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.factors import PAPER, Factors
from analysis.measured import measures
from analysis.pareto import AXES
from analysis.searched import Points, compared, front, shown, told
from sweeper.commands.launch import train
from sweeper.console.words import counted, printable
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader, writer
from sweeper.ledger.history import history
from sweeper.ledger.url import database_url, is_sqlite
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.storage.optuna_file import mirror
from sweeper.study.axes import Point
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.propose import Known, propose
from sweeper.study.ranges import ranges_of
from sweeper.study.request import Request
from sweeper.study.space import Space
from sweeper.sweep import plan_of, register, study_of, widened

if TYPE_CHECKING:
    from sweeper.driver.execute import Executor

ROUND = 8  # configurations trained together before Optuna sees what they scored
SEED = 0

# Both are maximised, on validation accuracies: the test clips choose nothing.
GOALS = ("the smaller margin", "mean overall accuracy")

_HEADS = ("smaller Δ", "accuracy − λ = 1's", "on it in")

ConfigOf = Callable[[Cell], RunConfig]


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched: a space, with so many seeds a configuration."""

    space: Space
    seeds: int
    config_of: ConfigOf
    factors: Factors = PAPER

    def cells(self, point: Point, trial: int) -> list[tuple[Cell, RunConfig]]:
        """A configuration's cells, one a seed, on those axes that play a part in them."""
        found = []
        for seed in range(self.seeds):
            cell = dataclasses.replace(self.space.cell(point, seed), trial=trial)
            run = self.config_of(cell)
            found.append((cell.along(run), run))
        return found

    def key_of(self, point: Point) -> str:
        """The key of a configuration's run with seed 0: of equal trainings it is equal."""
        return self.config_of(self.space.cell(point, 0)).key


def search(
    db: str,
    name: str | None,
    trials: int,
    executor: Callable[[], Executor],
    console: Console,
    over: Sequence[str] = (),
    seeds: int | None = None,
) -> int:
    """Adds `trials` configurations to a sweep, each round where the last one looked best."""
    if trials < 1:
        raise SweeperError(f"--trials {trials}: at least 1 is needed")
    open_reader(db).dispose()
    with writer(db) as engine, Ledger.of(engine, read.find_sweep(engine, name).name) as ledger:
        sweep = read.sweep_of(engine, ledger.sweep_id)
        request = Request.of(sweep.name, sweep.options)
        found, code = searched(request, over, seeds), 0
        target = _target(ledger, found, trials, console)
        if plan_of(ledger).missing():  # of a search that was interrupted, and of the sweep
            code = train(ledger, db, executor, False, console)
        start = target - trials
        while (have := _asked(ledger)) < target and code in (0, 2):
            room = min(ROUND - (have - start) % ROUND, target - have)
            held = read.cells_of(engine, ledger.sweep_id)
            known = known_of(held, read.results(engine, sweep.name), found)
            keys = {run.key for _, run in held}
            points = propose(found.space, known, room, found.key_of, keys, SEED + have)
            if not points:
                break
            cells = [each for n, p in enumerate(points, have) for each in found.cells(p, n)]
            register(ledger, widened(request, cells), cells)
            code = train(ledger, db, executor, False, console)
            _mirror(db, ledger, found)
        done, rows = _asked(ledger) - start, read.results(engine, sweep.name)
        study = _mirror(db, ledger, found)
    if done < trials and code in (0, 2):
        console.print(f"{counted(done, 'configuration')} left to ask: the sweep holds every other")
    _conclude(rows, found.factors, study, console)
    return code


def searched(request: Request, over: Sequence[str], seeds: int | None) -> Search:
    """What is asked for, checked. Raises SweeperError for an axis or a value that is none."""
    grid = request.load_grid()
    try:
        space = Space.of(grid, ranges_of(over))
        if seeds is not None and seeds < 1:
            raise ValueError(f"--seeds {seeds}: at least 1 is needed")
        factors = Factors.of_options({"grid_file": request.grid_file})
        found = Search(space, seeds or request.seeds, study_of(request, grid), factors)
        first = {axis: value for axis, value in reversed(list(space.corners()))}
        for axis, value in space.corners():
            found.key_of({**first, axis: value})
    except ValueError as error:
        raise SweeperError(f"search: {error}") from None
    return found


def _asked(ledger: Ledger) -> int:
    """How many configurations searches have put into the sweep."""
    cells = read.cells_of(ledger.engine, ledger.sweep_id)
    return max((cell.trial + 1 for cell, _ in cells if cell.trial is not None), default=0)


def _target(ledger: Ledger, found: Search, trials: int, console: Console) -> int:
    """How many the sweep is to hold in the end; the same command goes on where it stopped."""
    asked = _asked(ledger)
    settings = f"{trials} trials over {found.space}, {counted(found.seeds, 'seed')}"
    noted = [one for one in history(ledger.engine, ledger.sweep_id) if one.kind == "search"]
    last = re.fullmatch(r"(\d+) to (\d+): (.*)", noted[-1].detail) if noted else None
    if last and last[3] == settings and asked < int(last[2]):
        there = f"{asked - int(last[1])} of {trials} configurations are there"
        console.print(f"going on with a search that was interrupted: {there}")
        return int(last[2])
    ledger.note("search", f"{asked} to {asked + trials}: {settings}")
    return asked + trials


def trials_of(
    held: Sequence[tuple[Cell, RunConfig]], rows: pd.DataFrame, found: Search
) -> dict[str, tuple[Point, list[float] | None]]:
    """Each configuration of the sweep that is a point of the space, and its goals.

    By name, as labels have it less the seed. Goals are means over the search's seeds; None where
    one of them has failed or diverged. Those with seeds still to train are left out.
    """
    points = {_name(cell.label): found.space.point_of(run) for cell, run in held}
    rows = rows[(rows["seed"] < found.seeds) & (rows["kind"] == "multiview") & (rows["lam"] < 1)]
    values = finished(rows, found.factors).set_index("label")[list(GOALS)]
    trials: dict[str, tuple[Point, list[float] | None]] = {}
    for name, cells in rows.groupby(rows["label"].map(_name), sort=False):
        point = points.get(str(name))
        if point is None or len(cells) < found.seeds:
            continue
        goals = values.reindex(cells["label"])
        if not goals.isna().any(axis=None):
            trials[str(name)] = point, [float(value) for value in goals.mean()]
        elif cells["state"].isin([State.FAILED, State.DIVERGED, State.BLOCKED]).any():
            trials[str(name)] = point, None
    return trials


def known_of(held: Sequence[tuple[Cell, RunConfig]], rows: pd.DataFrame, found: Search) -> Known:
    """What Optuna is to know of the sweep."""
    trials = trials_of(held, rows, found).values()
    return [(point, values) for point, values in trials if values is not None]


def _mirror(db: str, ledger: Ledger, found: Search) -> str:
    """Writes the search for optuna-dashboard; returns what to type for it, or why there is none."""
    from sqlalchemy.exc import SQLAlchemyError

    url, sweep = database_url(db), read.sweep_of(ledger.engine, ledger.sweep_id)
    beside = Path(url.database or db) if is_sqlite(url) else Path(f"{sweep.name}.db")
    rows = read.results(ledger.engine, sweep.name)
    trials = trials_of(read.cells_of(ledger.engine, ledger.sweep_id), rows, found)
    try:
        file = beside.with_suffix(".optuna.db")
        return f"optuna-dashboard {mirror(file, sweep.name, found.space, GOALS, trials)}"
    except (OSError, SQLAlchemyError) as error:
        return f"no study for optuna-dashboard: {str(error).splitlines()[0]}"


def _conclude(rows: pd.DataFrame, factors: Factors, study: str, console: Console) -> None:
    """Prints the front, and what it is worth beside the grid's."""
    try:
        points = Points.of(rows, factors)
    except ValueError as error:
        console.print(f"no front yet: {error}", markup=False)
        return
    table = Table("Pareto front on test", *_HEADS, box=None, header_style="dim")
    for _, row in front(points).iterrows():
        name = Text(printable(row["name"]), style="bold" if row["searched"] else "")
        margin, change = (f"{row[axis]:+.3f}" for axis in reversed(AXES))
        table.add_row(name, margin, change, f"{row['membership']:.0%} of draws")
    console.print(table)
    volumes = Table("hypervolume", "", "of", box=None, header_style="dim")
    for what, (count, volume) in compared(points).items():
        volumes.add_row(what, Text(shown(volume)), str(count))
    console.print(volumes)
    console.print(told(points), markup=False, style="dim")
    console.print(study, markup=False, style="dim")


def _name(label: str) -> str:
    return label.rpartition(" seed ")[0]


def finished(rows: pd.DataFrame, factors: Factors = PAPER) -> pd.DataFrame:
    """Finished cells with both losses, with a column for each goal."""
    rows = rows[(rows["kind"] == "multiview") & (rows["state"] == State.FINISHED)]
    rows = rows[rows["lam"] < 1].copy()
    accuracies = rows[[f"valid_{name}" for name in factors.accuracies]]
    valid = measures(accuracies.to_numpy(float), factors)
    rows[GOALS[0]], rows[GOALS[1]] = valid["worse_margin"], valid["mean_overall"]
    return rows
