"""Beyond the grid: Optuna proposes cells between its points, the ledger remembers them.

A proposal is an ordinary cell (principle, objective, λ in steps of 0.05) of the sweep, so it is
trained, stored, resumed and drawn like any other, and one that the sweep holds already costs
nothing. The study is made anew from the ledger each time: interrupted searches lose nothing.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from models.spec import OBJECTIVES
from sweeper.commands.launch import Request, go_on, study_of
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader, open_writer
from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid
from sweeper.study.plan import reference_of

if TYPE_CHECKING:
    import optuna

STEP = 0.05  # of λ: finer differences drown in the noise of one seed
ROUND = 8  # proposals trained together before Optuna sees what they scored
SEED = 0

# Both are maximised, on validation accuracies: the test clips choose nothing.
GOALS = ("the smaller margin", "mean overall accuracy")


def search(db: str, name: str | None, trials: int, address: str | None, console: Console) -> int:
    """Adds `trials` cells to a sweep, each round where the last one looked best."""
    if trials < 1:
        raise SweeperError(f"--trials {trials}: at least 1 is needed")
    open_reader(db).dispose()
    engine = open_writer(db)
    with Ledger.of(engine, read.find_sweep(engine, name).name) as ledger:
        sweep = read.sweep_of(engine, ledger.sweep_id)
        request, code = Request(**sweep.options), 0
        for start in range(0, trials, ROUND):
            known = read.results(engine, sweep.name)
            cells = propose(known, request, min(ROUND, trials - start), start)
            register(ledger, request, cells)
            code = go_on(ledger, db, address, False, console)
            if code not in (0, 2):
                break
    console.print(_front(read.results(engine, sweep.name)))
    return code


def register(ledger: Ledger, request: Request, cells: list[Cell]) -> None:
    """Adds proposed cells to the sweep, with the references that they need."""
    study = study_of(request)
    configs: list[tuple[Cell, RunConfig]] = [(cell, study(cell)) for cell in cells]
    references = (ref for _, run in configs if (ref := reference_of(run)))
    ledger.register(dataclasses.asdict(request), configs, references)


def propose(known: pd.DataFrame, request: Request, count: int, round_seed: int) -> list[Cell]:
    """The next cells, given the sweep's rows: a function of those, so a search is repeatable."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = distributions(request)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=SEED + round_seed, n_startup_trials=ROUND, constant_liar=True
        )
    study = optuna.create_study(directions=["maximize"] * len(GOALS), sampler=sampler)
    for _, row in finished(known).iterrows():
        study.add_trial(_trial(row, space))
    asked = (study.ask(space).params for _ in range(count))
    return [Cell("multiview", 0, p["principle"], p["objective"], round(p["lam"], 2)) for p in asked]


def distributions(request: Request) -> dict[str, optuna.distributions.BaseDistribution]:
    """The space: the grid's principles and objectives, every λ between 0 and 1."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    grid = load_grid(request.grid)
    return {
        "principle": CategoricalDistribution(grid.principles or load_grid("full").principles),
        "objective": CategoricalDistribution(grid.objectives or tuple(OBJECTIVES)),
        "lam": FloatDistribution(0.0, 1.0 - STEP, step=STEP),
    }


def finished(known: pd.DataFrame) -> pd.DataFrame:
    """Finished cells of seed 0 inside the space, with a column for each goal."""
    rows = known[(known["kind"] == "multiview") & (known["state"] == "finished")]
    rows = rows[(rows["lam"] < 1) & (rows["seed"] == 0)].copy()
    pitch = rows["valid_pitch_private"] - rows["valid_pitch_shared"]
    instrument = rows["valid_instrument_shared"] - rows["valid_instrument_private"]
    rows[GOALS[0]] = pd.concat([pitch, instrument], axis=1).min(axis=1)
    rows[GOALS[1]] = (rows["valid_pitch_overall"] + rows["valid_instrument_overall"]) / 2
    return rows


def _trial(row: Any, space: dict[str, Any]) -> optuna.trial.FrozenTrial:
    import optuna

    lam = round(STEP * math.floor(row["lam"] / STEP + 0.5), 2)
    params = {"principle": row["principle"], "objective": row["objective"], "lam": lam}
    values = [float(row[goal]) for goal in GOALS]
    return optuna.trial.create_trial(params=params, distributions=space, values=values)


def _front(known: pd.DataFrame) -> Table:
    """The cells that no other beats on both goals, best margin first."""
    rows = finished(known).sort_values(list(GOALS), ascending=False)
    table = Table("Pareto front", *GOALS, box=None, header_style="dim")
    best = -math.inf
    for _, row in rows.iterrows():
        if row[GOALS[1]] > best:
            best = row[GOALS[1]]
            table.add_row(row["label"], *(f"{row[goal]:+.3f}" for goal in GOALS))
    return table
