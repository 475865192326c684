"""A sweep, to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from rich.console import RenderableType
from sqlalchemy import Engine

from analysis import findings, report
from analysis.comparison import load_comparison
from analysis.estimates import bounded
from analysis.facets import facets, tabulated
from analysis.factors import PAPER, Factors
from analysis.figures import encoders
from analysis.places import places_of
from analysis.results import Results, load_results
from analysis.trainings import Trainings
from sweeper.api.reading import reader
from sweeper.commands.report import clear_errors
from sweeper.commands.status import Status, look
from sweeper.console.notebook import html
from sweeper.console.words import counted, printable
from sweeper.errors import SweeperError, instead, redact
from sweeper.ledger import read
from sweeper.ledger.view import COLUMNS, measured_of
from sweeper.states import State

if TYPE_CHECKING:
    from torch import Tensor

    from models.trained import Encoders


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
        return html(self)

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
        with reader(self.db) as engine:
            cells = read.results(engine, self.name)
            factors = Factors.of_options(read.find_sweep(engine, self.name).options)
        cells = cells[cells["state"] == State.FINISHED].reset_index(drop=True)
        axes = pd.DataFrame(places_of(cells), index=cells.index)
        frame = cells.drop(columns="point").join(axes)
        measures = (*PAPER.measures, *factors.measures)
        frame = frame.astype(dict.fromkeys(("lam", "gamma", *measures), "float64"))
        told = COLUMNS | measured_of(factors)
        frame.attrs = {"sweep": self.name, "columns": {c: told[c] for c in frame if c in told}}
        return frame

    def configurations(self) -> pd.DataFrame:
        """One row a configuration with a finished run: means over seeds, with 95 % intervals.

        Columns: `sweep`, with its place on further axes; `name`, `kind`, `principle`, `objective`,
        `lam`, `seeds`; then each measure on test, `pitch_private` (units as in `results`), with
        `pitch_private_low` and `_high`, crossed over seeds and the notes of the test clips, cut to
        what the measure can be; and the means on validation, `valid_pitch_private`. Ends are NaN
        where nothing bounds them.

        Raises SweeperError for a comparison of encoders.

        >>> table = sweeper.open().configurations()
        >>> list(table["name"])[:2], list(table["seeds"])[:2]
        (['Cosine SIM λ=0.6', 'Cosine SEP λ=0.6'], [1, 1])
        """
        return self._tabulated(bounded)

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
        with reader(self.db) as engine, clear_errors():
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
        with reader(self.db) as engine:
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

    def encoder(self, cell: str | Mapping[str, Any] | pd.Series, seed: int = 0) -> Encoders:
        """The trained private and shared encoders of a cell, as a torch module.

        `cell` is its label, with or without the seed, or a row of `results`. Called with latents
        (N, T, D) the module gives what the probes saw, features (2, N, F): see
        `models.trained.Encoders`. The weights are those of the epoch that was probed.

        Raises SweeperError for a cell that is none, is not finished or trains nothing, and where
        no weights of it are kept (`--no-weights`) or they are damaged.

        >>> x, labels = sweeper.open().latents()
        >>> private, shared = sweeper.open().encoder("Cosine SEP λ=0.6")(x)
        >>> private.shape  # (clips, features)
        torch.Size([60, 4])
        """
        from sweeper.api.features import encoder  # late: it brings torch

        with reader(self.db) as engine:
            return encoder(engine, self.name, cell, seed)

    def latents(
        self, clips: str = "downstream", cell: str | Mapping[str, Any] | pd.Series | None = None
    ) -> tuple[Tensor, pd.DataFrame]:
        """The frozen encoder's latents (N, T, D), float16 and standardised, and a row a clip.

        `clips` are those of the `train` or `valid` part of the training, or the `downstream` ones
        that are probed. Columns: `pitch` (MIDI number), `instrument` (what the probes tell, by
        name), `program` (who plays, a number), `velocity` (0 to 127), each factor of a folder's
        own (`room`: a number, its values counted in the order of their names), and of downstream
        clips `part`: train, validation or test of the probes. `cell`, as for `encoder`, says whose
        latents where a sweep has several.

        Raises SweeperError where the latents are not in the cache, for another name, and for a
        sweep of several encoders without a cell.

        >>> x, labels = sweeper.open().latents()
        >>> tuple(x.shape), list(labels)
        ((60, 1, 8), ['pitch', 'instrument', 'program', 'velocity', 'part'])
        """
        from sweeper.api.features import latents  # late: it brings torch

        with reader(self.db) as engine:
            return latents(engine, self.name, clips, cell)

    def figure(self, name: int | str, place: str | None = None) -> Figure:
        """A figure of `sweeper report`: 2, 3, 4, "claims", "lambda", "variance" or "pareto", and of
        a comparison of encoders "encoders".

        `place` is where on a grid's further axes: "temperature=0.1". Raises SweeperError for
        another name or place, and where too little is finished.

        >>> float(sweeper.open().figure(3).get_figwidth())  # inches: one column of a paper
        3.4
        """
        with reader(self.db) as engine, clear_errors():
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
