"""The sweep that compares frozen encoders (paper, section 2.1) as frames."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Engine, inspect, text

from analysis.configurations import seeds_note
from analysis.results import TASKS

METHODS = ("UMAP", "PCA")  # the first that there is of an encoder's latents is drawn
_GO_ON = "run `sweeper encoders compare` again"
_MAP = (
    "id AS map, latents, method, settings, tokens, width, clips, "
    "separation_pitch, separation_instrument"
)
_POINTS = "SELECT x, y, pitch, family FROM map_points WHERE map_id = :map ORDER BY clip"


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
    named = points.merge(table[["encoder", "map"]], on="map")
    return Comparison(
        table.drop(columns="map"), named.drop(columns="map"), _line(sweep, data, table)
    )


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
    names = [
        label.removeprefix("encoder ").removesuffix(f" seed {seed}")
        for label, seed in zip(cells["label"], cells["seed"], strict=True)
    ]
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
        rank = maps["method"].map({name: i for i, name in enumerate(METHODS)})
        maps = maps.loc[rank.sort_values(kind="stable").index].drop_duplicates("latents")
        points = [
            pd.read_sql(text(_POINTS), connection, params={"map": int(key)}).assign(map=key)
            for key in maps["map"]
        ]
    if not points:
        raise ValueError(f"none of these encoders has a map yet; {_GO_ON}")
    return maps, pd.concat(points, ignore_index=True)


def _table(cells: pd.DataFrame, maps: pd.DataFrame) -> pd.DataFrame:
    finished = cells[cells["state"] == "finished"]
    groups = finished.groupby("encoder")[list(TASKS)]
    scores = pd.concat(
        [groups.size().rename("seeds"), groups.mean(), groups.std().add_suffix("_sd")], axis=1
    )
    own = cells[["encoder", "latents"]].drop_duplicates("encoder")
    table = own.merge(scores.reset_index(), on="encoder", how="left")
    table = table.merge(maps, on="latents", how="left")
    numbers = [f"separation_{task}" for task in TASKS]
    table[numbers] = table[numbers].astype("float64")
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    table["both"] = table[numbers].min(axis=1, skipna=False)
    return table.sort_values(["both", *TASKS, "encoder"], ascending=[False] * 3 + [True],
                             ignore_index=True)  # fmt: skip


def _line(sweep: str, data: str, table: pd.DataFrame) -> str:
    digest = hashlib.sha256(table.drop(columns="map").to_json().encode()).hexdigest()
    seeds = seeds_note(table["seeds"], "± 1 sd")
    return f"Sweep {sweep} · {data} · digest {digest[:12]} · {seeds}"
