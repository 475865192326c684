"""Every sweep of a database at a glance: a few queries, however many sweeps there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, case, func, select, text
from sqlalchemy.orm import Session

from sweeper.ledger import read
from sweeper.ledger.lease import GONE, LIVE, UNKNOWN, holders
from sweeper.ledger.schema import CellRow
from sweeper.states import DONE, State

UNFINISHED = "unfinished"  # nobody is at work, and a launch or resume would find something to do


@dataclass(frozen=True)
class Overview:
    """A sweep, and how many of its cells are in which state."""

    sweep: read.SweepInfo
    seeds: int
    cells: Mapping[State, int]
    driver: str  # what is known of the holder of its lease: see ledger.lease

    @property
    def total(self) -> int:
        return sum(self.cells.values())

    @property
    def finished(self) -> int:
        return self.cells.get(State.FINISHED, 0)

    @property
    def state(self) -> str:
        """How the sweep stands, in a word."""
        if self.driver == LIVE:
            return State.RUNNING
        if self.finished == self.total:
            return State.FINISHED
        if self.driver == UNKNOWN:
            return State.UNKNOWN
        if set(self.cells) == {State.PENDING}:
            return State.PENDING
        if not set(self.cells) <= set(DONE):
            return UNFINISHED
        return State.FAILED if State.FAILED in self.cells else State.DIVERGED


def overviews(engine: Engine) -> list[Overview]:
    """Of every sweep, the one launched last first."""
    of_grid = case((CellRow.kind == "multiview", CellRow.seed))  # baselines may have more
    counts = (func.count(of_grid.distinct()), func.count(CellRow.seed.distinct()))
    seeded = select(CellRow.sweep_id, *counts).group_by(CellRow.sweep_id)
    counted = text("SELECT sweep, state, COUNT(*) FROM results GROUP BY sweep, state")
    cells: dict[str, dict[State, int]] = {}
    with Session(engine) as session:
        seeds = {sweep_id: grid or every for sweep_id, grid, every in session.execute(seeded)}
        for sweep, state, count in session.execute(counted):
            cells.setdefault(sweep, {})[State(state)] = count
        drivers = {sweep_id: holder.verdict for sweep_id, holder in holders(session).items()}
    return [
        Overview(sweep, seeds[sweep.id], cells[sweep.name], drivers.get(sweep.id, GONE))
        for sweep in read.sweeps(engine)
    ]
