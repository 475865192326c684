"""Reading the results database: which sweep, which of its runs are done, what they scored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from analysis.further import completed
from analysis.places import short, shown
from sweeper.errors import SweeperError, instead
from sweeper.ledger.lease import GONE, LIVE, Holder, holders
from sweeper.ledger.schema import (
    Attempt,
    CellRow,
    Epoch,
    Map,
    Run,
    Score,
    Sweep,
)
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.plan import Plan, cost, with_references

if TYPE_CHECKING:
    import pandas as pd

# A reader's memory does not grow with the database: it asks for what concerns its own sweep.
BATCH = 1_000  # keys in a query; databases bear some 30,000
PACED = 500  # attempts that tell how fast this machine is


@dataclass(frozen=True)
class SweepInfo:
    """A sweep, and what it was launched with."""

    id: int
    name: str
    options: dict[str, Any]
    launched: datetime  # the last time; UTC
    note: str | None  # the user's own
    git_commit: str | None  # of the repository that it was launched from
    git_dirty: bool | None

    @property
    def compares_encoders(self) -> bool:
        """Whether it is no grid, but the frozen encoders side by side."""
        return self.options.get("grid") == "encoders"


def _info(row: Sweep) -> SweepInfo:
    try:
        options = json.loads(row.options)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise SweeperError(
            f"the stored options of sweep '{row.name}' are damaged; move the database away and run "
            "`sweeper recover`"
        )
    about = (row.note, row.git_commit, row.git_dirty)
    return SweepInfo(row.id, row.name, options, row.launched, *about)


def find_sweep(engine: Engine, name: str | None) -> SweepInfo:
    """The sweep of that name, or the one launched last. Raises SweeperError when there is none."""
    with Session(engine) as session:
        asked = _SHOWN if name is None else _SHOWN.where(Sweep.name == name)
        if sweep := session.scalars(asked.limit(1)).first():
            return _info(sweep)
        names = [other.name for other in session.scalars(_SHOWN)]
    if name is None or not names:
        raise SweeperError("this database holds no sweep yet; run `sweeper launch` first")
    raise SweeperError(f"no sweep '{name}' in this database; {instead(name, names)}")


def sweeps(engine: Engine) -> list[SweepInfo]:
    """All of them, the one launched last first."""
    with Session(engine) as session:
        return [_info(row) for row in session.scalars(_SHOWN)]


# A sweep without a cell was forgotten, or its driver did not live to register it.
_SHOWN = (
    select(Sweep)
    .where(select(CellRow.id).where(CellRow.sweep_id == Sweep.id).exists())
    .order_by(Sweep.launch.desc())
)


def sweep_of(engine: Engine, sweep_id: int) -> SweepInfo:
    """The sweep of that id."""
    with Session(engine) as session:
        return _info(session.get_one(Sweep, sweep_id))


def cells_of(engine: Engine, sweep_id: int) -> list[tuple[Cell, RunConfig]]:
    """A sweep's cells and the runs that fill them."""
    query = select(CellRow, Run.key).join(Run).where(CellRow.sweep_id == sweep_id)
    runs = {run.key: run for run in runs_of(engine, sweep_id)}
    with Session(engine) as session:
        return [(_cell(row), runs[key]) for row, key in session.execute(query.order_by(CellRow.id))]


def _cell(row: CellRow) -> Cell:
    point = json.loads(row.point)
    further = {name: value for name, value in point.items() if "." in name}
    # Stored by name; their order is the grid's, as the label has it.
    told = {axis: f" {short(axis, further)}={shown(value)} " for axis, value in further.items()}
    ordered = sorted(further, key=lambda axis: row.label.find(told[axis]))
    axes = tuple((axis, further[axis]) for axis in ordered)
    named = (row.principle, row.objective, row.lam)
    cell = Cell(row.kind, row.seed, *named, axes=axes, trial=point.get("trial"))
    if cell.label == row.label:
        return cell
    encoder = row.label.removeprefix(f"{row.kind} ").removesuffix(f" seed {row.seed}")
    return dataclasses.replace(cell, encoder=encoder)


def is_tried(session: Session, sweep_id: int) -> bool:
    """Whether any run of the sweep's cells was ever tried, by whichever sweep."""
    runs = select(CellRow.run_id).where(CellRow.sweep_id == sweep_id)
    tried = select(Attempt.id).where(Attempt.run_id.in_(runs)).limit(1)
    return session.scalar(tried) is not None


def runs_of(engine: Engine, sweep_id: int | None = None) -> list[RunConfig]:
    """The distinct runs behind a sweep's cells, or all sweeps', in the order of the cells."""
    query = select(Run.key, Run.config).join(CellRow, CellRow.run_id == Run.id)
    if sweep_id is not None:
        query = query.where(CellRow.sweep_id == sweep_id)
    with Session(engine) as session:
        configs = {key: config for key, config in session.execute(query.order_by(CellRow.id))}
    return [RunConfig.from_json(config) for config in configs.values()]


def keys(engine: Engine) -> list[str]:
    """Of every run, whichever sweep it is of."""
    with Session(engine) as session:
        return list(session.scalars(select(Run.key)))


def cells_showing(engine: Engine, keys: Iterable[str]) -> list[tuple[str, str]]:
    """(sweep, label) of every cell of any sweep that shows one of the runs."""
    query = select(Sweep.name, CellRow.label).join(CellRow, CellRow.sweep_id == Sweep.id).join(Run)
    with Session(engine) as session:
        queries = (query.where(Run.key.in_(batch)) for batch in batches(keys))
        return [(sweep, label) for query in queries for sweep, label in session.execute(query)]


def options_behind(engine: Engine, keys: Iterable[str]) -> list[dict[str, Any]]:
    """The options of every sweep, forgotten ones too, that has tried one of the runs."""
    tried = select(Attempt.sweep_id).join(Run)
    with Session(engine) as session:
        ids = {
            i for batch in batches(keys) for i in session.scalars(tried.where(Run.key.in_(batch)))
        }
        return [json.loads(session.get_one(Sweep, i).options) for i in sorted(ids)]


def plan_of(engine: Engine, runs: Iterable[RunConfig]) -> Plan:
    """Those runs and their references, and what the ledger says of each."""
    planned = tuple(with_references(runs))
    return Plan(planned, states(engine, (run.key for run in planned)))


def plan_of_sweep(engine: Engine, sweep_id: int | None) -> Plan:
    """The plan of all that a sweep holds; of every sweep when it is None."""
    return plan_of(engine, runs_of(engine, sweep_id))


def states(engine: Engine, keys: Iterable[str]) -> dict[str, State]:
    """Run key → state, of those runs that were ever tried: finished, or their latest attempt's.

    A run is `running` only while the driver that opened its attempt lives; where nobody can
    tell, it is `unknown`.
    """
    with Session(engine) as session:
        return states_in(session, keys)


def states_in(session: Session, keys: Iterable[str]) -> dict[str, State]:
    """The same within a transaction."""
    drivers, (latest, scored) = holders(session), _tried(session, keys)
    states = {key: state_of(row, drivers.get(row.sweep_id)) for key, row in latest.items()}
    return states | dict.fromkeys(scored, State.FINISHED)


def taken_in(session: Session, keys: Iterable[str], sweep_id: int) -> set[str]:
    """Those of the runs that are done, or that the live driver of another sweep has claimed."""
    drivers, (latest, taken) = holders(session), _tried(session, keys)
    for key, row in latest.items():
        driver = drivers.get(row.sweep_id)
        is_live = driver is not None and driver.token == row.token and driver.verdict == LIVE
        is_open = row.ended is None and row.sweep_id != sweep_id and is_live
        if is_open or row.state == State.DIVERGED:
            taken.add(key)
    return taken


def _tried(session: Session, keys: Iterable[str]) -> tuple[dict[str, Any], set[str]]:
    """The latest attempt of each of the runs that was ever tried, and those that have scores."""
    latest, scored = dict[str, Any](), set[str]()
    columns = (Run.key, Attempt.state, Attempt.sweep_id, Attempt.token, Attempt.ended)
    for batch in batches(keys):
        tried = select(*columns).join(Attempt).where(Run.key.in_(batch)).order_by(Attempt.id)
        latest.update({row.key: row for row in session.execute(tried)})
        have_scores = select(Run.key).join(Score, Score.run_id == Run.id).where(Run.key.in_(batch))
        scored.update(session.scalars(have_scores))
    return latest, scored


def state_of(attempt: Any, driver: Holder | None) -> State:
    """An attempt's state in the light of what is known of its driver."""
    state = State(attempt.state)
    if state != State.RUNNING:
        return state
    if driver is None or driver.token != attempt.token or driver.verdict == GONE:
        return State.INTERRUPTED
    return State.RUNNING if driver.verdict == LIVE else State.UNKNOWN


def scoring_pack(engine: Engine, key: str) -> str | None:
    """The pack in which a run was trained whose scores are stored; None where there are none."""
    query = select(Attempt.pack).join(Score, Score.attempt_id == Attempt.id)
    with Session(engine) as session:
        return session.scalar(query.join(Run, Run.id == Score.run_id).where(Run.key == key))


def suspects(engine: Engine, keys: Iterable[str]) -> set[str]:
    """Those of the runs whose latest attempt broke off with an error that may be another run's."""
    return {key for key, state in states(engine, keys).items() if state == State.UNCONFIRMED}


def validation_mse(engine: Engine, keys: Iterable[str]) -> dict[str, float]:
    """Run key → validation L_rec at the best epoch, of those of the runs that have one."""
    query = select(Run.key, Score.valid_rec).join(Score, Score.run_id == Run.id)
    with Session(engine) as session:
        answers = (session.execute(query.where(Run.key.in_(batch))) for batch in batches(keys))
        return {key: rec for rows in answers for key, rec in rows if rec is not None}


def pace(engine: Engine) -> float | None:
    """Core-seconds a unit of `plan.cost`, by the latest attempts; None where none has finished."""
    # Of whole trainings: what was recovered has no time, what was resumed only a part of it.
    query = (
        select(Run.config, Attempt.seconds)
        .join(Attempt)
        .where(Attempt.state == State.FINISHED, Attempt.seconds.is_not(None))
        .where(Attempt.from_epoch == 0)
    )
    with Session(engine) as session:
        latest = session.execute(query.order_by(Attempt.id.desc()).limit(PACED)).all()
    past = [(RunConfig.from_json(config), seconds) for config, seconds in latest]
    work = sum(cost(run) for run, _ in past)
    return sum(seconds or 0.0 for _, seconds in past) / work if work else None


def results(engine: Engine, sweep: str | None) -> pd.DataFrame:
    """The sweep's rows of the `results` view, one a cell, in the order of the cells.

    Further tasks of its study have columns too: see analysis.further.

    Of every sweep, one after another by name, when `sweep` is None.
    """
    import pandas as pd  # late: most readers of a database are there before pandas would be

    query, of = "SELECT * FROM results", None
    if sweep is not None:
        query, of = f"{query} WHERE sweep = :sweep", find_sweep(engine, sweep).id
    with engine.connect() as connection:  # not by pandas, which has errors of its own
        cells = connection.execute(text(query), {"sweep": sweep} if sweep else {})
        columns, found = list(cells.keys()), cells.mappings().all()
    rows = completed(engine, found)
    columns = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    frame = pd.DataFrame.from_records(rows, columns=columns, coerce_float=True)
    # The view knows heartbeats alone; on this machine the driver itself can be looked at.
    plan = plan_of_sweep(engine, of)
    states = {run.key: str(plan.state_of(run)) for run in plan.runs}
    seen = zip(frame["run_key"], frame["state"], strict=True)
    frame["state"] = [states.get(key, state) for key, state in seen]
    return frame if sweep else frame.sort_values("sweep", kind="stable", ignore_index=True)


def losses(engine: Engine, keys: Iterable[str]) -> dict[str, dict[int, dict[str, float | None]]]:
    """Run key → epoch, from 1 → the losses of the attempt that scored, by name."""
    names = [column.name for column in Epoch.__table__.columns if column.name != "attempt_id"]
    columns = [getattr(Epoch, name) for name in names]
    query = select(Run.key, *columns).join(Score, Score.run_id == Run.id)
    query = query.join(Epoch, Epoch.attempt_id == Score.attempt_id)
    found: dict[str, dict[int, dict[str, float | None]]] = {}
    with Session(engine) as session:
        for batch in batches(keys):
            rows = session.execute(query.where(Run.key.in_(batch)).order_by(Epoch.epoch))
            for key, epoch, *numbers in rows:
                of_run = found.setdefault(key, {})
                of_run[epoch] = dict(zip(names[1:], numbers, strict=True))
    return found


def maps(engine: Engine) -> dict[tuple[str, str], str]:
    """(latents, method) → settings, of every map."""
    with Session(engine) as session:
        rows = session.execute(select(Map.latents, Map.method, Map.settings))
        return {(latents, method): settings for latents, method, settings in rows}


def batches(keys: Iterable[str]) -> Iterator[list[str]]:
    """Of keys, as many as a query bears."""
    distinct = list(dict.fromkeys(keys))
    return (distinct[start : start + BATCH] for start in range(0, len(distinct), BATCH))
