"""The numbers of FINDINGS.md, from a database: `python -m analysis.findings_page results.db`.

The page's text is written by hand; what stands between `<!-- NAME -->` and `<!-- end -->` is made
here, so that every number on it has its n and its interval, and none is older than the database.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine, create_engine

from analysis import findings, table1, tried, views
from analysis.markdown import markdown_table
from analysis.results import Results, load_results
from analysis.trainings import Trainings
from analysis.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED

PAGE = Path(__file__).with_name("FINDINGS.md")
SWEEPS = {  # of the shipped database
    "log-mel": "full-quick",
    "mae": "full-quick-notes-mae",
    "mae, paper preset": "full-paper",
}
TRIES = {  # of log-mel: one thing changed, three seeds
    "γ init-ratio": "try-init-ratio",
    "γ converged-ratio": "try-converged-ratio",
    "VICReg 5, 25, 1": "try-vicreg-invariance-5",
    "τ = 0.1": "try-temperature-0.1",
    "probe without dropout": "try-probe-without-dropout",
    "divided by clip": "try-split-by-clip",
}
BLOCKS = ("sweeps", "table 1", "verdicts", "views", "tried", "gamma", "split")
_BLOCK = r"(<!-- {name} -->\n).*?(<!-- end -->)"


def page(engine: Engine, text: str) -> str:
    """The page with its blocks made anew from the sweeps of a database.

    Raises ValueError for a page that does not have each of BLOCKS once.
    """
    for name in BLOCKS:
        if (found := len(_block(name).findall(text))) != 1:
            raise ValueError(f"the page has {found} blocks called '{name}', and should have one")
    results = {name: load_results(engine, sweep) for name, sweep in SWEEPS.items()}
    tries = {name: load_results(engine, sweep) for name, sweep in TRIES.items()}
    default, by_clip = results["log-mel"], tries["divided by clip"]
    few = tried.same_seeds(default, by_clip)
    rules = {
        "init-ratio": tries["γ init-ratio"],
        "geometric-ratio": few,
        "converged-ratio": tries["γ converged-ratio"],
    }
    trainings = {name: Trainings.of_results(of) for name, of in results.items()}
    blocks = (
        _sweeps(results, trainings),
        "\n\n".join(_table(name, of) for name, of in trainings.items()),
        _verdicts(trainings),
        "\n\n".join(f"Through {n}:\n\n{_views(of)}" for n, of in results.items()),
        tried.verdicts(default, tries),
        tried.gamma(rules),
        tried.split(few, by_clip),
    )
    for name, block in zip(BLOCKS, blocks, strict=True):
        text = _block(name).sub(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)  # type: ignore[misc]
    return text


def _block(name: str) -> re.Pattern[str]:
    return re.compile(_BLOCK.format(name=name), flags=re.S)


def _sweeps(results: dict[str, Results], trainings: dict[str, Trainings]) -> str:
    return "\n".join(
        f"- {name}: {of.provenance.line} {trainings[name].basis}" for name, of in results.items()
    )


def _table(name: str, trainings: Trainings) -> str:
    made = table1.markdown(table1.data(trainings), trainings.basis)
    rows = [line for line in made.splitlines() if line.startswith("|")]
    return f"Through {name}:\n\n" + "\n".join(rows)


def _verdicts(trainings: dict[str, Trainings]) -> str:
    tables = {name: findings.findings(of).set_index("key") for name, of in trainings.items()}
    first = next(iter(tables.values()))
    columns: dict[str, list[str]] = {"": list(first["section"]), "claim": list(first["claim"])}
    for name, table in tables.items():
        columns[f"{name} [95 %]"] = [
            f"{findings.verdict_of(row)}<br>{row['ours']}" for _, row in table.iterrows()
        ]
    counts = "; ".join(f"{name}: {_counts(table)}" for name, table in tables.items())
    return f"{counts}.\n\n{markdown_table(pd.DataFrame(columns))}"


def _counts(table: pd.DataFrame) -> str:
    found = table["verdict"].value_counts()
    return ", ".join(
        f"{found.get(word, 0)} {word}" for word in (SUPPORTED, CONTRADICTED, UNDECIDED)
    )


def _views(results: Results) -> str:
    return views.tables(views.views(results))


def main() -> None:
    """Rewrites the page."""
    database = Path(sys.argv[1] if len(sys.argv) > 1 else "results.db").absolute()
    engine = create_engine(f"sqlite:///file:{database}?mode=ro&uri=true")
    PAGE.write_text(page(engine, PAGE.read_text()))


if __name__ == "__main__":
    main()
