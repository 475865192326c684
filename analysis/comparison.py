"""The sweep that compares frozen encoders (paper, section 2.1) as frames."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Engine, bindparam, inspect, text

from analysis.markdown import seeds_note
from analysis.results import TASKS

METHODS = ("UMAP", "PCA")  # the first that there is of an encoder's latents is drawn
_GO_ON = "run `sweeper encoders compare` again"
_MAP = (
    "id AS map, latents, method, settings, tokens, width, clips, "
    "separation_pitch, separation_instrument"
)
_POINTS = (
    "SELECT map_id AS map, x, y, pitch, family FROM map_points WHERE map_id IN :maps "
    "ORDER BY map_id, clip"
)


@dataclass(frozen=True)
class Comparison:
    """A sweep that compares encoders."""

    table: pd.DataFrame  # one row an encoder, see `load_comparison`
    points: pd.DataFrame  # encoder, x, y, pitch (MIDI), family
    line: str  # of provenance


def load_comparison(engine: Engine, sweep: str) -> Comparison:
    """Reads a comparison; never writes.

    The table, the encoder that sees both best first: encoder, tokens, width, method of its map,
    settings, clips, seeds, {task} and {task}_sd (test accuracy of the probes, mean over seeds),
    separation_{task}, and `both`, the smaller of the two separations. NaN where not there yet.

    Raises ValueError when the sweep has no such cells, or none of them a map.
    """
    cells = _cells(engine, sweep)
    maps, points = _maps(engine, set(cells["latents"]))
    table = _table(cells, maps)
    data = ", ".join(sorted(cells["dataset"].unique()))
    points = points.merge(table[["encoder", "map"]], on="map").drop(columns="map")
    return Comparison(table.drop(columns="map"), points, _line(sweep, data, table))


def _cells(engine: Engine, sweep: str) -> pd.DataFrame:
    """One row a cell: encoder, latents, seed, state, the two accuracies."""
    query = text(
        "SELECT label, seed, state, run_key, config, pitch_overall AS pitch, "
        "instrument_overall AS instrument FROM results JOIN runs ON runs.key = run_key "
        "WHERE sweep = :sweep AND kind = 'encoder' ORDER BY label"
    )
    with engine.connect() as connection:
        cells = pd.read_sql(query, connection, params={"sweep": sweep})
    if cells.empty:
        raise ValueError(f"sweep '{sweep}' compares no encoders; see `sweeper encoders compare`")
    names = cells["label"].str.replace(r"^encoder | seed \d+$", "", regex=True)
    data = pd.DataFrame([json.loads(config)["data"] for config in cells["config"]])
    numbers = dict.fromkeys(TASKS, "float64")
    named = cells.assign(encoder=names, latents=data["fingerprint"], dataset=data["dataset"])
    return named.drop(columns="config").astype(numbers)


def _maps(engine: Engine, latents: set[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The best map of each of these latents, and the points of all of them."""
    if not inspect(engine).has_table("maps"):
        raise ValueError(f"this database is older than maps; {_GO_ON}")
    with engine.connect() as connection:
        maps = pd.read_sql(text(f"SELECT {_MAP} FROM maps"), connection)
        maps = maps[maps["latents"].isin(latents)]
        rank = {method: place for place, method in enumerate(METHODS)}
        maps = maps.sort_values("method", key=lambda methods: methods.map(rank), kind="stable")
        maps = maps.drop_duplicates("latents")
        if maps.empty:
            raise ValueError(f"none of these encoders has a map yet; {_GO_ON}")
        query = text(_POINTS).bindparams(bindparam("maps", expanding=True))
        points = pd.read_sql(query, connection, params={"maps": maps["map"].to_list()})
    return maps, points


def _table(cells: pd.DataFrame, maps: pd.DataFrame) -> pd.DataFrame:
    finished = cells[cells["state"] == "finished"]
    groups = finished.groupby("encoder")[list(TASKS)]
    scores = pd.concat(
        [groups.size().rename("seeds"), groups.mean(), groups.std().add_suffix("_sd")], axis=1
    )
    table = cells[["encoder", "latents"]].drop_duplicates("encoder")
    table = table.merge(scores.reset_index(), on="encoder", how="left")
    table = table.merge(maps, on="latents", how="left")
    numbers = [f"separation_{task}" for task in TASKS]
    table[numbers] = table[numbers].astype("float64")
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    table["both"] = table[numbers].min(axis=1, skipna=False)
    return table.sort_values(["both", *TASKS, "encoder"], ascending=[False] * 3 + [True],
                             ignore_index=True)  # fmt: skip


def _line(sweep: str, data: str, table: pd.DataFrame) -> str:
    digest = hashlib.sha256(table.drop(columns="map").to_json().encode()).hexdigest()
    seeds = seeds_note(table["seeds"])
    return f"Sweep {sweep} · {data} · digest {digest[:12]} · {seeds}"
