"""Beyond the grid: Optuna proposes cells between its points, the ledger remembers them.

A proposal is an ordinary cell (principle, objective, λ in steps of 0.05) of the sweep, so it is
trained, stored, resumed and drawn like any other, and one that the sweep holds already costs
nothing. The study is made anew from the ledger each time: interrupted searches lose nothing.
"""

from __future__ import annotations

import dataclasses
import math
import random
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.commands.launch import train
from sweeper.console.words import counted, printable
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader, writer
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.study.grid import Cell, Grid, load_grid
from sweeper.study.request import Request
from sweeper.sweep import register, study_of

if TYPE_CHECKING:
    import optuna

    from sweeper.driver.execute import Executor

STEP = 0.05  # of λ: finer differences drown in the noise of one seed
ROUND = 8  # proposals trained together before Optuna sees what they scored
SEED = 0
ASKS = 20  # of Optuna, for each cell that a round is to have

# Both are maximised, on validation accuracies: the test clips choose nothing.
GOALS = ("the smaller margin", "mean overall accuracy")


def search(
    db: str, name: str | None, trials: int, executor: Callable[[], Executor], console: Console
) -> int:
    """Adds `trials` cells to a sweep, each round where the last one looked best."""
    if trials < 1:
        raise SweeperError(f"--trials {trials}: at least 1 is needed")
    open_reader(db).dispose()
    with writer(db) as engine, Ledger.of(engine, read.find_sweep(engine, name).name) as ledger:
        sweep = read.sweep_of(engine, ledger.sweep_id)
        request, code, added = Request.of(sweep.name, sweep.options), 0, 0
        config_of = study_of(request, request.load_grid())
        while added < trials and code in (0, 2):
            rows = read.results(engine, sweep.name)
            cells = propose(rows, request, min(ROUND, trials - added), added)
            if not cells:
                break
            added += len(cells)
            register(ledger, request, [(cell, config_of(cell)) for cell in cells])
            code = train(ledger, db, executor, False, console)
        rows = read.results(engine, sweep.name)
    if added < trials and code in (0, 2):
        console.print(
            f"{counted(added, 'cell')} left to ask: the sweep holds every point of the space"
        )
    console.print(_front(rows))
    return code


def propose(rows: pd.DataFrame, request: Request, count: int, round_seed: int) -> list[Cell]:
    """At most `count` cells that the sweep's `rows` lack, fewer only when the space has no more.

    A function of the rows, so that a search is repeatable.
    """
    study, space = _study(rows, request, round_seed)
    held = set(rows["label"])
    free = {cell.label: cell for cell in _points(request) if cell.label not in held}
    proposed: dict[str, Cell] = {}
    for _ in range(ASKS * count):  # Optuna asks for what it knows already, more often than not
        if len(proposed) == min(count, len(free)):
            break
        point = study.ask(space).params
        cell = Cell("multiview", 0, point["principle"], point["objective"], round(point["lam"], 2))
        if cell.label in free:
            proposed[cell.label] = cell
    rest = [cell for label, cell in free.items() if label not in proposed]
    random.Random(SEED + round_seed).shuffle(rest)
    return [*proposed.values(), *rest[: min(count, len(free)) - len(proposed)]]


def _points(request: Request) -> list[Cell]:
    """Every point of the space."""
    grid = _space_of(request)
    lambdas = tuple(round(STEP * number, 2) for number in range(round(1 / STEP)))
    return dataclasses.replace(grid, lambdas=lambdas, baselines=()).cells(1)


def _space_of(request: Request) -> Grid:
    """The request's grid, with all principles where it has none."""
    grid = request.load_grid()
    return dataclasses.replace(grid, principles=grid.principles or load_grid("full").principles)


def _study(
    rows: pd.DataFrame, request: Request, round_seed: int
) -> tuple[optuna.Study, dict[str, optuna.distributions.BaseDistribution]]:
    """An Optuna study that has seen the finished rows, and the space that it may ask in."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = distributions(request)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=SEED + round_seed, n_startup_trials=ROUND, constant_liar=True
        )
    study = optuna.create_study(directions=["maximize"] * len(GOALS), sampler=sampler)
    grid, rows = _space_of(request), finished(rows)
    inside = rows["principle"].isin(grid.principles) & rows["objective"].isin(grid.objectives)
    for _, row in rows[inside].iterrows():
        study.add_trial(_trial(row, space))
    return study, space


def distributions(request: Request) -> dict[str, optuna.distributions.BaseDistribution]:
    """The space: the grid's principles and objectives, every λ between 0 and 1."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    grid = _space_of(request)
    return {
        "principle": CategoricalDistribution(grid.principles),
        "objective": CategoricalDistribution(grid.objectives),
        "lam": FloatDistribution(0.0, 1.0 - STEP, step=STEP),
    }


def finished(rows: pd.DataFrame) -> pd.DataFrame:
    """Finished cells of seed 0 with both losses, with a column for each goal."""
    rows = rows[(rows["kind"] == "multiview") & (rows["state"] == State.FINISHED)]
    rows = rows[(rows["lam"] < 1) & (rows["seed"] == 0)].copy()
    pitch = rows["valid_pitch_private"] - rows["valid_pitch_shared"]
    instrument = rows["valid_instrument_shared"] - rows["valid_instrument_private"]
    rows[GOALS[0]] = pd.concat([pitch, instrument], axis=1).min(axis=1)
    rows[GOALS[1]] = (rows["valid_pitch_overall"] + rows["valid_instrument_overall"]) / 2
    return rows


def _trial(row: Any, space: dict[str, Any]) -> optuna.trial.FrozenTrial:
    import optuna

    nearest = STEP * math.floor(row["lam"] / STEP + 0.5)
    lam = round(min(nearest, 1 - STEP), 2)
    params = {"principle": row["principle"], "objective": row["objective"], "lam": lam}
    values = [float(row[goal]) for goal in GOALS]
    return optuna.trial.create_trial(params=params, distributions=space, values=values)


def _front(rows: pd.DataFrame) -> Table:
    """The cells that no other beats on both goals, best margin first."""
    rows = finished(rows).sort_values(list(GOALS), ascending=False)
    table = Table("Pareto front", *GOALS, box=None, header_style="dim")
    best = -math.inf
    for _, row in rows.iterrows():
        if row[GOALS[1]] > best:
            best = row[GOALS[1]]
            table.add_row(Text(printable(row["label"])), *(f"{row[goal]:+.3f}" for goal in GOALS))
    return table
