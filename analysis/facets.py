"""A sweep with further axes as several grids of the paper's three: one a value of those axes.

The paper's figures show principle, objective and λ. A sweep that varies the temperature too is as
many such grids as there are temperatures; a cell in which an axis plays no part (λ = 1, say) stands
in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pandas as pd

from analysis.claims import ACCURACY
from analysis.configurations import OBJECTIVES, RECONSTRUCTION_ONLY, finished_runs
from analysis.factors import tasks_of
from analysis.findings import estimate
from analysis.intervals import interval
from analysis.markdown import markdown_table
from analysis.places import Place, fits, name_of_place, places_of, whole_places
from analysis.results import Results, provenance_of
from analysis.searched import off_grid
from analysis.trainings import Trainings


def facets(results: Results) -> dict[str, Results]:
    """The grids of a sweep, by name (`temperature=0.1`); one without a name where it is one.

    What a search asked for on further axes is on no grid: see `searched`.
    """
    if (searched := off_grid(results.frame)).any():
        results = replace(results, frame=results.frame[~searched].reset_index(drop=True))
    places = places_of(results.frame)
    wholes = list(whole_places(places))
    if not wholes:
        return {"": results}
    return {
        name_of_place(whole): _facet(results, [fits(place, whole) for place in places], whole)
        for whole in wholes
    }


def _facet(results: Results, chosen: list[bool], place: Place) -> Results:
    frame, whole = results.frame[chosen].reset_index(drop=True), results.provenance
    name = f"{whole.sweep} · {name_of_place(place)}"
    return replace(
        results, frame=frame, provenance=provenance_of(name, whole.digest, frame, whole.data)
    )


def tabulated(sweeps: Iterable[Results], make: Callable[[Trainings], pd.DataFrame]) -> pd.DataFrame:
    """A table of each grid of the sweeps, one below the other, by column `sweep`."""
    grids = [grid for results in sweeps for grid in facets(results).values()]
    tables = [make(Trainings.of_results(grid)) for grid in grids]
    names = [grid.provenance.sweep for grid in grids]
    whole = pd.concat(tables, keys=names, names=["sweep", None])
    return whole.reset_index("sweep").reset_index(drop=True)


def compared(results: Results) -> pd.DataFrame:
    """One row a facet and objective: means over principles and 0 < λ < 1, and their intervals.

    Reconstruction only stands among the objectives. The interval is Student's, over the seeds'
    means.
    """
    rows, compared = [], [*results.factors.margins, "mean_overall"]
    for name, facet in facets(results).items():
        runs = finished_runs(facet.frame, results.factors)
        runs = runs[(runs["kind"] == "multiview") & (runs["lam"] > 0)]
        shown = runs["objective"].where(runs["lam"] < 1, RECONSTRUCTION_ONLY)
        for objective in (RECONSTRUCTION_ONLY, *OBJECTIVES):
            of_seed = runs[shown == objective].groupby("seed")[compared].mean()
            if len(of_seed):
                found = {m: interval(of_seed[m].to_numpy()[:, None]) for m in compared}
                rows.append({"facet": name, "objective": objective, "seeds": len(of_seed), **found})
    return pd.DataFrame(rows, columns=["facet", "objective", "seeds", *compared])


def _measures(table: pd.DataFrame) -> list[str]:
    return [*(f"delta_{task}" for task in tasks_of(table)), "mean_overall"]


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The comparison with each mean and the ends of its interval in columns of their own."""
    ends = {
        f"{name}{edge}": [getattr(each, part) for each in table[name]]
        for name in _measures(table)
        for edge, part in (("", "mean"), ("_low", "low"), ("_high", "high"))
    }
    return table.drop(columns=_measures(table)).assign(**ends)


def markdown(table: pd.DataFrame) -> str:
    """The comparison as a table."""
    shown = table.assign(
        seeds=table["seeds"].astype(str),
        **{name: [estimate(each, ACCURACY) for each in table[name]] for name in _measures(table)},
    )
    heads = {f"delta_{task}": f"Δ {task}" for task in tasks_of(table)}
    heads |= {"mean_overall": "overall accuracy", "facet": ""}
    return (
        "# Along the further axes\n\nMeans over principles and 0 < λ < 1 [95 % over seeds]; each "
        "folder beside this file has the figures of one place on the axes.\n\n"
        + markdown_table(shown.rename(columns=heads))
        + "\n"
    )
