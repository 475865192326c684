"""Writes figures, the table and the findings of a sweep: pure functions of its rows."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis import findings, table1
from analysis.comparison import Comparison
from analysis.figures import encoders, figure2, figure3, figure4, style
from analysis.results import Provenance, Results

FORMATS = ("png", "pdf", "svg")
# Without dates and versions: the same rows give the same bytes.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


class FigureModule(Protocol):
    """What a module of a figure offers; errors are ValueErrors with what to do."""

    def data(self, frame: pd.DataFrame) -> pd.DataFrame: ...
    def caption(self, table: pd.DataFrame) -> str: ...
    def draw(self, table: pd.DataFrame, foot: str) -> Figure: ...


FIGURES: dict[int, FigureModule] = {2: figure2, 3: figure3, 4: figure4}
TABLES = (1,)


Files = dict[str, bytes]  # by name


def report(
    results: Results,
    figures: Collection[int] = tuple(FIGURES),
    tables: Collection[int] = TABLES,
    out: Path = Path("report"),
    formats: Sequence[str] = FORMATS,
    paper: bool = False,
) -> list[Path]:
    """Writes what is asked for into `out`; returns the paths, sorted.

    A figure is `figure-N.{png,pdf,svg}`, its data `.csv`, its caption with the provenance `.md`;
    the table is `table-1.{md,tex,csv}`, with the paper's numbers beside ours on request. A whole
    report also holds `findings.{md,csv}`, the check against the paper. Where one of several
    cannot be drawn yet, its `.md` says why. Raises ValueError, and writes nothing, for an unknown
    figure, table or format, and when nothing of what is asked for can be drawn.
    """
    _known("figure", figures, FIGURES)
    _known("table", tables, TABLES)
    _known("format", formats, FORMATS)
    parts: dict[str, Callable[[], Files]] = {
        **{f"figure-{n}": lambda n=n: _figure(results, n, formats) for n in sorted(figures)},  # type: ignore[misc]
        **{f"table-{n}": lambda: _table(results, paper) for n in tables},
    }
    files, problems = _made(parts)
    if problems and not files:
        raise ValueError(next(iter(problems.values())))
    files |= {f"{name}.md": f"{problem}\n".encode() for name, problem in problems.items()}
    if set(figures) == set(FIGURES) and set(tables) == set(TABLES):
        files |= _findings(results)
    return _write(files, out)


def report_comparison(
    comparison: Comparison, out: Path = Path("report"), formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Writes `encoders.{png,pdf,svg}`, its table `.csv`, its caption and table `.md`."""
    _known("format", formats, FORMATS)
    drawn = encoders.draw(comparison)
    files = {f"encoders.{format}": _picture(drawn, format) for format in formats}
    files["encoders.csv"] = _csv(comparison.table)
    files["encoders.md"] = encoders.markdown(comparison).encode()
    return _write(files, out)


def _made(parts: dict[str, Callable[[], Files]]) -> tuple[Files, dict[str, str]]:
    """The files of each part, and why a part could not be made."""
    files: Files = {}
    problems: dict[str, str] = {}
    for name, make in parts.items():
        try:
            files |= make()
        except ValueError as problem:
            problems[name] = str(problem)
    return files, problems


def _figure(results: Results, number: int, formats: Sequence[str]) -> Files:
    module, provenance = FIGURES[number], results.provenance
    table = module.data(results.frame)
    drawn = module.draw(table, provenance.line)
    pictures = {f"figure-{number}.{format}": _picture(drawn, format) for format in formats}
    text = _text(f"{module.caption(table)}\n", provenance)
    return {**pictures, f"figure-{number}.csv": _csv(table), f"figure-{number}.md": text}


def _table(results: Results, paper: bool) -> Files:
    table = table1.data(results.frame, paper)
    return {
        "table-1.md": _text(table1.markdown(table), results.provenance),
        "table-1.tex": table1.latex(table, results.provenance.line).encode(),
        "table-1.csv": _csv(table),
    }


def _findings(results: Results) -> Files:
    table = findings.findings(results.frame)
    text = _text(findings.markdown(table), results.provenance)
    return {"findings.md": text, "findings.csv": _csv(table)}


def _picture(figure: Figure, format: str) -> bytes:
    with style.paper(), io.BytesIO() as buffer:
        figure.savefig(buffer, format=format, metadata=_METADATA[format])
        return buffer.getvalue()


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _text(text: str, provenance: Provenance) -> bytes:
    """A text with the line of provenance below it, then the cells that are not finished."""
    parts = [text, f"{provenance.line}\n", f"{provenance.details}\n" if provenance.details else ""]
    return "\n".join(filter(None, parts)).encode()


def _known(what: str, asked: Collection[object], known: Collection[object]) -> None:
    for name in asked:
        if name not in known:
            choices = ", ".join(map(str, known))
            raise ValueError(f"unknown {what} '{name}'; choose from {choices}")


def _write(files: Files, out: Path) -> list[Path]:
    """Each file whole or not at all: written beside its place, then renamed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            beside = out / f".{name}.{os.getpid()}"
            beside.write_bytes(content)
            beside.replace(out / name)
    except OSError as error:
        raise ValueError(f"cannot write to {out}: {error.strerror}; choose another --out") from None
    return sorted(out / name for name in files)
