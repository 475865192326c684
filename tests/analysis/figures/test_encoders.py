"""The comparison of encoders: ordered by who sees both, drawn from the database alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from analysis.comparison import Comparison, load_comparison
from analysis.figures import encoders
from analysis.report import report_comparison
from tests.analysis.synthetic import Row, database, unfinished

UMAP = json.dumps({"n_neighbors": 15, "min_dist": 0.1, "random_state": 0, "neighbours": 5})
PCA = json.dumps({"neighbours": 5})
FAMILIES = ("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string",
            "synth_lead", "vocal")  # fmt: skip

# Encoder: pitch and family accuracies of seed 0, separations.
SEEN = {"pitchy": (0.9, 0.3, 0.8, 0.1), "both": (0.7, 0.9, 0.5, 0.4), "neither": (0.1, 0.2, 0, 0.0)}


def cell(name: str, seed: int) -> Row:
    pitch, instrument = SEEN[name][:2]
    return {
        "sweep": "synthetic", "label": f"encoder {name} seed {seed}", "kind": "encoder",
        "seed": seed, "state": "finished", "run_key": f"{name} {seed}",
        "pitch_overall": pitch + 0.02 * seed, "instrument_overall": instrument,
    }  # fmt: skip


def points(key: int) -> pd.DataFrame:
    rng = np.random.default_rng(key)
    clips = np.arange(66)
    return pd.DataFrame({
        "map_id": key, "clip": clips, "x": rng.normal(size=66), "y": rng.normal(size=66),
        "pitch": 21 + clips, "family": [FAMILIES[i % 11] for i in clips],
    })  # fmt: skip


def compared(
    names: Sequence[str] = tuple(SEEN), methods: Sequence[str] = ("UMAP",), seeds: int = 2
) -> Engine:
    """A database with cells, runs and maps as `encoders compare` leaves them."""
    rows = [cell(name, seed) for name in names for seed in range(seeds)]
    engine = database(rows)
    config = {name: json.dumps({"data": {"fingerprint": f"of {name}", "dataset": "notes"}})
              for name in names}  # fmt: skip
    runs = [{"key": row["run_key"], "config": config[row["run_key"].split()[0]]} for row in rows]
    maps = [
        {
            "id": index, "latents": f"of {name}", "encoder": name, "method": method,
            "settings": UMAP if method == "UMAP" else PCA, "tokens": 8, "width": 128,
            "clips": 66, "separation_pitch": SEEN[name][2], "separation_instrument": SEEN[name][3],
        }
        for index, (method, name) in enumerate((m, n) for m in methods for n in names)
    ]  # fmt: skip
    with engine.begin() as connection:
        pd.DataFrame(runs).to_sql("runs", connection, index=False)
        pd.DataFrame(maps).to_sql("maps", connection, index=False)
        for drawn in maps:
            points(int(str(drawn["id"]))).to_sql(
                "map_points", connection, index=False, if_exists="append"
            )
    return engine


def comparison(**options: Sequence[str]) -> Comparison:
    return load_comparison(compared(**options), "synthetic")  # type: ignore[arg-type]


def test_the_encoder_that_sees_both_comes_before_one_that_sees_one_better() -> None:
    table = comparison().table
    assert table["encoder"].to_list() == ["both", "pitchy", "neither"]
    assert table["both"].to_list() == [0.4, 0.1, 0.0]


def test_accuracies_are_means_over_seeds_with_their_deviation() -> None:
    row = comparison().table.set_index("encoder").loc["pitchy"]
    assert row["seeds"] == 2
    assert row["pitch"] == pytest.approx(0.91)
    assert row["pitch_sd"] == pytest.approx(0.02 / 2**0.5)
    shown = encoders.text_table(comparison().table).set_index("encoder").loc["pitchy"]
    assert shown.to_list() == ["8 × 128", "0.91 ± 0.01", "0.30 ± 0.00", "0.80", "0.10"]


def test_an_unfinished_probe_leaves_its_numbers_open() -> None:
    engine = compared(["both"], seeds=1)
    pd.DataFrame([unfinished(cell("both", 0))]).drop(columns=["mse"]).to_sql(
        "results", engine, if_exists="replace", index=False
    )
    table = load_comparison(engine, "synthetic").table
    assert encoders.text_table(table).iloc[0].to_list()[2:] == ["–", "–", "0.50", "0.40"]


def test_umap_is_drawn_where_there_is_one_and_each_is_called_what_it_is() -> None:
    both_ways = comparison(methods=("PCA", "UMAP"))
    assert set(both_ways.table["method"]) == {"UMAP"}
    assert len(both_ways.points) == 3 * 66
    plain = comparison(methods=("PCA",))
    assert "PCA: both, pitchy, neither" in encoders.note(plain)
    labels = [axes.get_xlabel() for axes in encoders.draw(plain).axes]
    assert labels.count("PCA") == 3 and "UMAP" not in labels


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_encoder_has_a_map_by_pitch_and_one_by_family(count: int) -> None:
    figure = encoders.draw(comparison(names=list(SEEN)[:count]))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert sum("pitch sep" in title for title in titles) == count
    assert sum("family sep" in title for title in titles) == count
    drawn = [axes for axes in figure.axes if "family sep" in axes.get_title(loc="left")]
    assert all(len(axes.collections) == len(FAMILIES) for axes in drawn)
    assert all(sum(len(c.get_offsets()) for c in axes.collections) == 66 for axes in drawn)


def test_no_two_families_share_a_colour() -> None:
    families = encoders._families(comparison().points)
    assert len({colour for colour, _ in families.values()}) == len(FAMILIES)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written = report_comparison(comparison(), tmp_path / name)
    assert [path.name for path in written] == [
        "encoders.csv", "encoders.md", "encoders.pdf", "encoders.png", "encoders.svg"
    ]  # fmt: skip
    for path in written:
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()


def test_the_text_names_sweep_data_and_digest() -> None:
    text = encoders.markdown(comparison())
    assert "| both | 8 × 128 | 0.71 ± 0.01 |" in text
    assert "Sweep synthetic · notes · digest " in text and "Means of 2 seeds, ± 1 sd." in text


def test_what_cannot_be_drawn_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="sweep 'other' compares no encoders"):
        load_comparison(compared(), "other")
    with pytest.raises(ValueError, match="none of these encoders has a map yet; run `sweeper enc"):
        load_comparison(_without("DELETE FROM maps"), "synthetic")
    with pytest.raises(ValueError, match="this database is older than maps"):
        load_comparison(_without("DROP TABLE maps"), "synthetic")


def _without(statement: str) -> Engine:
    engine = compared()
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    return engine
