"""Sweeps from Python, in a notebook say: launched, and read as frames and figures.

What is read is read anew at every call, so that a sweep in training is seen as it stands.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console, RenderableType
from sqlalchemy import Engine

from analysis import findings, report
from analysis.comparison import load_comparison
from analysis.estimates import configurations
from analysis.facets import facets, tabulated
from analysis.figures import encoders
from analysis.places import places_of
from analysis.results import MEASURES, Results, load_results
from analysis.trainings import Trainings
from models.names import unknown
from sweeper import plugins as own_code
from sweeper.commands.list import document
from sweeper.commands.report import clear_errors
from sweeper.commands.status import Status, look
from sweeper.console.terminal import console as terminal
from sweeper.console.words import counted, printable
from sweeper.errors import ClusterDiedError, SweeperError, instead, redact
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.ledger.overview import overviews
from sweeper.ledger.url import DEFAULT, to_write
from sweeper.ledger.view import COLUMNS
from sweeper.states import State
from sweeper.study import toml
from sweeper.study.grid import grid_text
from sweeper.study.request import Request, data_of

__all__ = ["Sweep", "SweeperError", "launch", "open", "sweeps"]

EXECUTORS = ("inline", "ray")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, repr=False)
class Sweep:
    """A sweep of a database, to be read: made by `open` and `launch`.

    Printed by rich, and in a notebook, it is its grid as `sweeper status` shows it.

    >>> sweeper.open("results.db")
    <Sweep toy-smoke in results.db: 5 of 5 cells finished; a toy>
    """

    db: str
    name: str

    def __repr__(self) -> str:
        counts = self.status
        done = f"{counts['cells_finished']} of {counted(counts['cells'], 'cell')} finished"
        note = f"; {printable(counts['note'])}" if counts["note"] else ""
        return f"<Sweep {printable(self.name)} in {redact(self.db)}: {done}{note}>"

    def __rich__(self) -> RenderableType:
        return self._look().shown

    def _repr_html_(self) -> str:
        console = Console(record=True, file=io.StringIO(), width=100, force_jupyter=False)
        console.print(self)
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")

    def _look(self) -> Status:
        return look(self.db, self.name)

    @property
    def status(self) -> dict[str, Any]:
        """Counts of cells and runs by state, as `sweeper status --json` has them.

        Raises SweeperError where the database or the sweep is gone.

        >>> status = sweeper.open().status
        >>> status["cells"], status["cells_finished"], status["failed"]
        (5, 5, 0)
        """
        return self._look().counts

    def results(self) -> pd.DataFrame:
        """One row a finished cell, in the order of the grid; what a column is, unit and all, is
        in `attrs["columns"]`.

        Each further axis of the grid has a column too, `loss.temperature` say. The nine λ = 1
        cells of a seed show one run, as their `run_key` tells: count it once.

        >>> frame = sweeper.open().results()
        >>> frame[["principle", "objective", "lam", "seed"]].head(2)
          principle objective  lam  seed
        0    Cosine       SEP  0.6     0
        1    Cosine       SEP  1.0     0
        >>> frame.attrs["columns"]["pitch_private"]
        'accuracy of pitch from private, test clips, 0 to 1'
        """
        with _reader(self.db) as engine:
            cells = read.results(engine, self.name)
        cells = cells[cells["state"] == State.FINISHED].reset_index(drop=True)
        axes = pd.DataFrame(places_of(cells), index=cells.index)
        frame = cells.drop(columns="point").join(axes)
        frame = frame.astype(dict.fromkeys(("lam", "gamma", *MEASURES), "float64"))
        frame.attrs = {
            "sweep": self.name,
            "columns": {c: COLUMNS[c] for c in frame if c in COLUMNS},
        }
        return frame

    def configurations(self) -> pd.DataFrame:
        """One row a configuration with a finished run: means over seeds, with 95 % intervals.

        Columns: `sweep`, with its place on further axes; `name`, `kind`, `principle`, `objective`,
        `lam`, `seeds`; then each measure on test, `pitch_private` (units as in `results`), with
        `pitch_private_low` and `_high`, crossed over seeds and the notes of the test clips; and
        the means on validation, `valid_pitch_private`. Ends are NaN where nothing bounds them.

        Raises SweeperError for a comparison of encoders.

        >>> table = sweeper.open().configurations()
        >>> list(table["name"])[:2], list(table["seeds"])[:2]
        (['Cosine SIM λ=0.6', 'Cosine SEP λ=0.6'], [1, 1])
        """
        return self._tabulated(configurations)

    def claims(self) -> pd.DataFrame:
        """One row a claim of the paper: `verdict` (supported, contradicted, undecided), `ours`
        (the estimate behind it, with its 95 % interval), `needs` (what would settle it) and more.

        Of a sweep with further axes for each place on them, by column `sweep`. Raises SweeperError
        where no run is finished, and for a comparison of encoders.

        >>> sorted(set(sweeper.open().claims()["verdict"]))  # one seed settles no claim
        ['undecided']
        """
        return self._tabulated(findings.findings)

    def _tabulated(self, make: Callable[[Trainings], pd.DataFrame]) -> pd.DataFrame:
        with _reader(self.db) as engine:
            return tabulated([self._grid(engine)], make)

    def epochs(self) -> pd.DataFrame:
        """One row a finished run and epoch: `run_key`, `label` (of the first cell that shows it),
        `epoch` (from 1), and the means of the losses, which have no unit: `train_total`,
        `train_rec`, `train_dis`, `valid_total`, `valid_rec`, `valid_dis`. NaN for a term that the
        run lacks; a run that trains nothing has no row.

        >>> losses = sweeper.open().epochs()
        >>> losses.loc[losses["label"] == "Cosine SEP λ=0.6 seed 0", "epoch"].tolist()
        [1]
        """
        with _reader(self.db) as engine:
            cells = read.results(engine, self.name)
            found = read.losses(engine, cells["run_key"].unique())
        labels = dict(zip(reversed(cells["run_key"]), reversed(cells["label"]), strict=True))
        rows = [
            {"run_key": key, "label": labels[key], "epoch": epoch, **losses}
            for key in cells["run_key"].unique()
            for epoch, losses in found.get(key, {}).items()
        ]
        terms = [
            f"{part}_{term}" for part in ("train", "valid") for term in ("total", "rec", "dis")
        ]
        frame = pd.DataFrame(rows, columns=["run_key", "label", "epoch", *terms])
        return frame.astype(dict.fromkeys(terms, "float64"))

    def figure(self, name: int | str, place: str | None = None) -> Figure:
        """A figure of `sweeper report`: 2, 3, 4, "claims", "lambda", "variance" or "pareto", and of
        a comparison of encoders "encoders".

        `place` is where on a grid's further axes: "temperature=0.1". Raises SweeperError for
        another name or place, and where too little is finished.

        >>> float(sweeper.open().figure(3).get_figwidth())  # inches: one column of a paper
        3.4
        """
        with _reader(self.db) as engine, clear_errors():
            if read.find_sweep(engine, self.name).compares_encoders and name == "encoders":
                return encoders.draw(load_comparison(engine, self.name))
            grids = facets(self._grid(engine))
            if place is None and len(grids) == 1:
                place = next(iter(grids))
            if place not in grids:
                has = "several places" if place is None else f"no place '{place}'"
                there = instead(place or "", list(grids))
                raise SweeperError(f"sweep '{self.name}' has {has}; {there}")
            return report.figure(grids[place], str(name))

    def _grid(self, engine: Engine) -> Results:
        if read.find_sweep(engine, self.name).compares_encoders:
            raise SweeperError(
                f"sweep '{self.name}' compares encoders: it has results() and figure('encoders')"
            )
        results = load_results(engine, self.name)
        if not results.provenance.finished:
            raise SweeperError(f"no run of '{self.name}' is finished; go on with `sweeper resume`")
        return results


def open(db: str | PathLike[str] = DEFAULT, sweep: str | None = None) -> Sweep:
    """A sweep of a database (a SQLite file or a URL): the one launched last unless it is named.

    Nothing is written. Raises SweeperError where there is no such database or sweep.

    >>> sweeper.open("results.db", "toy-smoke").name
    'toy-smoke'
    """
    with _reader(str(db)) as engine:
        return Sweep(str(db), read.find_sweep(engine, sweep).name)


def sweeps(db: str | PathLike[str] = DEFAULT) -> pd.DataFrame:
    """One row a sweep, the one launched last first, as `sweeper list --json` has them: `sweep`,
    `cells`, `cells_finished`, `state`, `seeds` (counts), `launched` (UTC), `note` and more.

    Raises SweeperError where there is no such database.

    >>> sweeper.sweeps()[["sweep", "cells", "cells_finished", "state"]]
           sweep  cells  cells_finished     state
    0  toy-smoke      5               5  finished
    """
    with _reader(str(db)) as engine:
        frame = pd.DataFrame([document(row, str(db)) for row in overviews(engine)])
    return frame.assign(launched=pd.to_datetime(frame["launched"])) if len(frame) else frame


def launch(
    grid: str | PathLike[str] | Mapping[str, Any] = "full",
    *,
    preset: str = "paper",
    db: str | PathLike[str] | None = None,
    seeds: int = 1,
    baseline_seeds: int | None = None,
    name: str | None = None,
    note: str | None = None,
    dataset: str | None = None,
    encoder: str | None = None,
    source: str | PathLike[str] | None = None,
    plugins: Iterable[str | PathLike[str]] = (),
    executor: str = "inline",
    address: str | None = None,
    device: str = "auto",
    retry_failed: bool = False,
) -> Sweep:
    """Trains what is missing of a sweep, as `sweeper launch` does, and opens it.

    `grid` is a name, a grid file or a dict of its keys, which needs a `name`. `source` is a
    SoundFont for the dataset `notes`, else the dataset's directory. `executor` "inline" trains in
    this process, "ray" in others, with `address` those of a cluster. Progress is printed.

    Cells that fail raise nothing: see `Sweep.status`. Raises SweeperError on bad input,
    SweepHeldError where another driver has the sweep, ClusterDiedError where Ray died, and
    KeyboardInterrupt when it was stopped; a second signal ends this process at once. The same call
    goes on.

    >>> grid = {"principles": ["Cosine"], "objectives": ["SEP"], "lambdas": [0.6, 1.0]}
    >>> sweep = sweeper.launch(grid, preset="smoke", db="mine.db", name="mine", device="cpu")
    in a browser: sweeper serve --db mine.db
    ...
    >>> sweep
    <Sweep mine in mine.db: 2 of 2 cells finished>
    """
    from sweeper.commands import launch as launching  # late: readers need none of it

    for what, asked, known in (("executor", executor, EXECUTORS), ("device", device, DEVICES)):
        if asked not in known:
            raise SweeperError(unknown(what, asked, known))
    grid, text, files = _grid_of(grid, name)
    own_code.load(own_code.read([*files, *map(str, plugins)]))
    dataset, encoder = data_of(grid, preset, dataset, encoder, text)
    request = Request(
        grid=grid,
        preset=preset,
        seeds=seeds,
        baseline_seeds=baseline_seeds,
        dataset=dataset,
        encoder=encoder,
        source=None if source is None else _place_of(source),
        device=device,
        grid_file=grid_text(grid) if text is None else text,
        plugins=own_code.loaded(),
    )
    made_by, where = (
        launching.executor_of(executor, address),
        to_write(None if db is None else str(db)),
    )
    console = _console()
    code = launching.launch(
        request, where, name, made_by, note=note, retry_failed=retry_failed, console=console
    )
    if code > 128:
        raise KeyboardInterrupt
    if code == ClusterDiedError.exit_code:
        raise ClusterDiedError("the Ray cluster died; the same call goes on")
    return open(where, request.sweep_name(name))


def _place_of(source: str | PathLike[str]) -> str:
    """By its whole path, for workers; what is not there may be a hub's name."""
    return str(Path(source).absolute() if Path(source).exists() else source)


def _console() -> Console:
    """In a notebook plain lines: rich would make HTML of each, and redraw what cannot be redrawn.

    Jupyter's kernels ask for colours by FORCE_COLOR, which rich takes for a terminal.
    """
    return terminal(force_jupyter=False, force_terminal=sys.stdout.isatty())


def _grid_of(
    grid: str | PathLike[str] | Mapping[str, Any], name: str | None
) -> tuple[str, str | None, list[str]]:
    """Its name, and of a dict the text of a file that holds it, and the plugins that it names."""
    if not isinstance(grid, Mapping):
        return str(grid), None, []
    if name is None:
        raise SweeperError("a grid that is a dict has no name; give the sweep one: name=…")
    files = grid.get("plugins", [])
    if not isinstance(files, list):
        raise SweeperError("plugins must be a list of Python files or modules")
    return f"{name}.toml", toml.document(grid), [str(file) for file in files]


@contextmanager
def _reader(db: str) -> Iterator[Engine]:
    engine = open_reader(db)
    try:
        yield engine
    finally:
        engine.dispose()
