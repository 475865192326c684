"""Writes figures, the table and the findings of a sweep: pure functions of its rows."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis import facets, findings, searched, table1, views
from analysis.comparison import Comparison
from analysis.factors import PAPER, Factors
from analysis.figures import (
    encoders,
    figure2,
    figure3,
    figure4,
    forest,
    front,
    response,
    style,
    variance,
)
from analysis.files import Files, write_files
from analysis.markdown import without_html
from analysis.results import Provenance, Results
from analysis.trainings import VARIED, Trainings

FORMATS = ("png", "pdf", "svg")
# Without dates and versions: the same rows give the same bytes.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


class FigureModule(Protocol):
    """What a module of a figure offers; errors are ValueErrors with what to do."""

    def caption(self, factors: Factors) -> str: ...
    def data(self, trainings: Trainings) -> pd.DataFrame: ...
    def note(self, table: pd.DataFrame) -> str: ...
    def draw(self, table: pd.DataFrame, foot: str, factors: Factors = ...) -> Figure: ...


FIGURES: dict[str, FigureModule] = {  # the paper's by their number, then ours
    "2": figure2, "3": figure3, "4": figure4,
    "claims": forest, "lambda": response, "variance": variance, "pareto": front,
}  # fmt: skip
TABLES = (1,)


class Written(NamedTuple):
    """What a report wrote, and why some of what was asked for is left out."""

    paths: list[Path]  # sorted
    omitted: list[str]  # one line each, with what to do


def report(
    results: Results,
    figures: Collection[str] = tuple(FIGURES),
    tables: Collection[int] = TABLES,
    out: Path = Path("report"),
    formats: Sequence[str] = FORMATS,
    paper: bool = False,
) -> Written:
    """Writes what is asked for into `out`.

    A figure is `figure-N.{png,pdf,svg}` or has a name of its own, `claims.png`; its data is `.csv`,
    its caption with the provenance `.md`. The table is `table-1.{md,tex,csv}`, with the paper's
    numbers beside ours on request. A whole report also holds `findings.{md,csv}`, the check against
    the paper, and `views.{md,csv}`, other views of disentanglement. Where one of several cannot be
    drawn yet, it has no file. Raises ValueError, and writes nothing, for an unknown figure, table
    or format, and when nothing of what is asked for can be drawn.
    """
    _check_choices("figure", figures, FIGURES)
    _check_choices("table", tables, TABLES)
    _check_choices("format", formats, FORMATS)
    trainings = Trainings.of_results(results)
    asked = [name for name in FIGURES if name in figures]
    makers = [partial(_figure, trainings, results.provenance, name, formats) for name in asked]
    makers += [partial(_table, trainings, results.provenance, paper) for _ in tables]
    files: Files = {}
    omitted: list[str] = []
    for make in makers:
        try:
            files |= make()
        except ValueError as problem:
            omitted.append(str(problem))
    if omitted and not files:
        raise ValueError(omitted[0])
    if set(figures) == set(FIGURES) and set(tables) == set(TABLES):
        files |= _views(results)
        if trainings.factors == PAPER:  # else the figure of the claims has said why not
            files |= _findings(trainings, results.provenance)
    return Written(write_files(files, out), omitted)


def figure(results: Results, name: str) -> Figure:
    """One of FIGURES, as a report draws it. ValueError where it is unknown or cannot be drawn."""
    _check_choices("figure", [name], FIGURES)
    return _drawn(Trainings.of_results(results), results.provenance, name)[0]


def report_facets(
    results: Results,
    figures: Collection[str],
    tables: Collection[int],
    out: Path,
    formats: Sequence[str],
    paper: bool,
) -> Written:
    """A report; of a sweep with further axes one in a folder for each place on them.

    Beside the folders stands `axes.{md,csv}`, which compares them.
    """
    grids = facets.facets(results)
    if set(grids) == {""}:
        written = report(grids[""], figures, tables, out, formats, paper)
        return Written([*written.paths, *_search(results, out)], written.omitted)
    table = facets.compared(results)
    text = _text(facets.markdown(table), results.provenance)
    paths = write_files({"axes.md": text, "axes.csv": _csv(facets.numbers(table))}, out)
    paths += _search(results, out)
    omitted = []
    for name, grid in grids.items():
        written = report(grid, figures, tables, out / name.replace("/", "-"), formats, paper)
        paths += written.paths
        omitted += [f"{name}: {line}" for line in written.omitted]
    return Written(paths, omitted)


def report_comparison(
    comparison: Comparison, out: Path = Path("report"), formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Writes `encoders.{png,pdf,svg}`, its table `.csv`, its caption and table `.md`."""
    _check_choices("format", formats, FORMATS)
    drawn = encoders.draw(comparison)
    files = {f"encoders.{format}": _picture(drawn, format) for format in formats}
    files["encoders.csv"] = _csv(comparison.table)
    files["encoders.md"] = without_html(encoders.markdown(comparison)).encode()
    return write_files(files, out)


def _figure(
    trainings: Trainings, provenance: Provenance, name: str, formats: Sequence[str]
) -> Files:
    drawn, table, notes = _drawn(trainings, provenance, name)
    file = f"figure-{name}" if name.isdigit() else name
    pictures = {f"{file}.{format}": _picture(drawn, format) for format in formats}
    caption = " ".join([FIGURES[name].caption(trainings.factors), *notes, VARIED])
    return {
        **pictures, f"{file}.csv": _csv(table), f"{file}.md": _text(f"{caption}\n", provenance)
    }  # fmt: skip


def _drawn(
    trainings: Trainings, provenance: Provenance, name: str
) -> tuple[Figure, pd.DataFrame, list[str]]:
    """The figure, what it shows, and what is to be noted of it."""
    module = FIGURES[name]
    table = module.data(trainings)
    notes = [note for note in (module.note(table), trainings.basis) if note]
    foot = " ".join([*notes, provenance.line])
    return module.draw(table, foot, trainings.factors), table, notes


def _table(trainings: Trainings, provenance: Provenance, paper: bool) -> Files:
    table, basis, factors = table1.data(trainings, paper), trainings.basis, trainings.factors
    return {
        "table-1.md": _text(table1.markdown(table, basis, factors), provenance),
        "table-1.tex": table1.latex(table, basis, provenance.line, factors).encode(),
        "table-1.csv": _csv(table),
    }


def _findings(trainings: Trainings, provenance: Provenance) -> Files:
    table = findings.findings(trainings)
    text = _text(findings.markdown(table, trainings), provenance)
    return {"findings.md": text, "findings.csv": _csv(table)}


def _views(results: Results) -> Files:
    if results.measures.empty:  # trained by an earlier version
        return {}
    table = views.views(results)
    text = _text(views.markdown(table, results.factors), results.provenance)
    return {"views.md": text, "views.csv": _csv(table)}


def _search(results: Results, out: Path) -> list[Path]:
    """`search.md` of a sweep that was searched, once there is a front."""
    try:
        points = searched.Points.of(results.frame, results.factors)
    except ValueError:
        return []
    if not points.searched.any():
        return []
    return write_files({"search.md": _text(searched.markdown(points), results.provenance)}, out)


def _picture(figure: Figure, format: str) -> bytes:
    with style.paper(), io.BytesIO() as buffer:
        figure.savefig(buffer, format=format, metadata=_METADATA[format])
        return buffer.getvalue()


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _text(text: str, provenance: Provenance) -> bytes:
    """A text with the line of provenance below it, then the cells that are not finished."""
    details = f"\n{provenance.details}\n" if provenance.details else ""
    return without_html(f"{text}\n{provenance.line}\n{details}").encode()


def _check_choices(what: str, asked: Collection[object], choices: Collection[object]) -> None:
    for name in asked:
        if name not in choices:
            raise ValueError(f"unknown {what} '{name}'; choose from {', '.join(map(str, choices))}")
