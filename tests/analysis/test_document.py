"""The document of a sweep says what the analysis says, in the shape that its schema has."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pandas as pd
import pytest

from analysis.claim_cells import judged_claims
from analysis.document import SCHEMA, document, rounded
from analysis.estimates import configurations
from analysis.results import load_results
from analysis.trainings import Trainings
from sweeper.ledger.connect import open_reader
from sweeper.states import State
from sweeper.study.grid import Cell
from tests.analysis.synthetic import frame, full_rows, unfinished
from tests.page.planted import plant

LAUNCH = "sweeper launch --seeds 9"


def document_of(db: str, *names: str) -> dict[str, Any]:
    return document(open_reader(db), names, dict.fromkeys(names, LAUNCH))


def trainings_of(db: str, name: str) -> Trainings:
    return Trainings.of_results(load_results(open_reader(db), name))


def table(columns: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def some_ended(cell: Cell) -> State:
    if cell.seed == 2 and cell.lam == 0.4:
        return State.PENDING
    return State.DIVERGED if cell.principle == "VICReg" and cell.lam == 0.2 else State.FINISHED


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("planted") / "planted.db")
    plant(path, "one", data="clap")  # other latents: no run of another sweep
    plant(path, "three", seeds=3, state=some_ended)
    plant(path, "higher", seeds=3, data="mae", shift=0.125)
    plant(path, "empty", data="hf", state=lambda cell: State.PENDING)
    return path


@pytest.mark.parametrize("names", [("one",), ("three", "higher"), ("empty",), ("empty", "one")])
def test_every_document_keeps_to_the_schema_and_to_json(db: str, names: tuple[str, ...]) -> None:
    made = document_of(db, *names)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(made, SCHEMA)
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_the_columns_of_a_table_have_one_length(db: str) -> None:
    (sweep,) = document_of(db, "three")["sweeps"]
    for name in ("cells", "configurations", "effects"):
        assert len({len(column) for column in sweep[name].values()}) == 1


def test_the_means_are_those_of_the_figures_and_their_ends_too(db: str) -> None:
    (sweep,) = document_of(db, "three")["sweeps"]
    ours = table(sweep["configurations"]).set_index("name")
    theirs = configurations(trainings_of(db, "three")).set_index("name")
    for name, row in theirs.iterrows():
        for column, value in (
            ("delta_pitch", row["delta_pitch"]),
            ("mse_low", row["mse_low"]),
            ("pitch_overall_high", row["pitch_overall_high"]),
        ):
            assert ours.loc[name, column] == pytest.approx(value, rel=1e-3, nan_ok=True)
        assert ours.loc[name, "seeds"] == row["seeds"]
    rest = ours.drop(index=list(theirs.index))
    assert set(rest["seeds"]) == {0} and rest["mse"].isna().all() and len(rest) == 3


def test_the_smaller_margin_brings_its_interval(db: str) -> None:
    (sweep,) = document_of(db, "three")["sweeps"]
    for _, row in table(sweep["configurations"]).dropna(subset=["smaller_margin_low"]).iterrows():
        smaller = min(("delta_pitch", "delta_instrument"), key=lambda name: row[name])
        assert row["smaller_margin"] == row[smaller]
        assert row["smaller_margin_high"] == row[f"{smaller}_high"]


def test_a_cell_points_to_its_configuration(db: str) -> None:
    (sweep,) = document_of(db, "three")["sweeps"]
    names = sweep["configurations"]["name"]
    cells = table(sweep["cells"])
    by_label = {
        label: names[c] for label, c in zip(cells["label"], cells["configuration"], strict=True)
    }
    assert by_label["Cosine SEP λ=0.6 seed 2"] == "Cosine SEP λ=0.6"
    assert by_label["VICReg SIM λ=1 seed 1"] == "reconstruction only"
    assert by_label["cl-pitch seed 0"] == "cl-pitch"


def test_a_second_sweep_is_compared_within_seeds(db: str) -> None:
    made = document_of(db, "three", "higher")
    (pair,) = made["pairs"]
    rows = table(pair["differences"])
    # VICReg at λ = 0.2 diverged in one of them: three configurations have no pair.
    assert len(rows) == 46 + 3 - 3
    assert set(rows["seeds"].dropna()) == {2, 3}
    margins = rows["delta_pitch"].dropna()
    assert margins.tolist() == pytest.approx([0.125] * len(margins))
    names = [made["sweeps"][place]["configurations"]["name"] for place in (0, 1)]
    for row in rows.itertuples():
        assert names[0][row.in_a] == names[1][row.in_b]


def test_curves_are_means_of_finished_runs_with_the_runs_beside(db: str) -> None:
    (sweep,) = document_of(db, "three")["sweeps"]
    names = sweep["configurations"]["name"]
    means = {names[mean["configuration"]]: mean for mean in sweep["curves"]["means"]}
    assert means["Cosine SEP λ=0.6"]["valid_total"][:2] == [1.11, 0.56]
    assert means["Cosine SEP λ=0.6"]["valid_total_low"][0] == pytest.approx(1.085)  # 4.3 × .01 / √3
    assert "VICReg SEP λ=0.2" not in means
    runs = [names[run["configuration"]] for run in sweep["curves"]["runs"]]
    assert runs.count("VICReg SEP λ=0.2") == 3 and runs.count("Cosine SEP λ=0.6") == 3
    (alone,) = document_of(db, "one")["sweeps"]
    assert alone["curves"]["runs"] == [] and len(alone["curves"]["means"]) == 48


def test_runs_that_did_not_finish_say_why(db: str) -> None:
    (sweep,) = document_of(db, "three")["sweeps"]
    assert len(sweep["troubles"]) == 9
    assert {(t["state"], t["cause"]) for t in sweep["troubles"]} == {("diverged", "exploded")}
    assert "Traceback" in sweep["troubles"][0]["traceback"]


def judged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return judged_claims(Trainings.of(frame(rows)))


def test_a_claim_names_what_it_rests_on() -> None:
    claims = {claim["claim"]: claim for claim in judged(full_rows(1))}
    assert claims["The paper's choice beats CL-Pitch on pitch"]["cells"] == {
        "Cosine SEP λ=0.6",
        "cl-pitch",
    }
    consistent = claims["Configurations with both losses beat CL-Pitch on pitch"]["cells"]
    assert len(consistent) == 36 + 1 and not any(name[-3:] == "λ=0" for name in consistent)
    assert all(claim["cells"] for claim in claims.values())


def test_one_seed_settles_no_claim_and_no_seed_judges_none() -> None:
    assert {claim["verdict"] for claim in judged(full_rows(1))} == {"undecided"}
    assert judged([unfinished(row) for row in full_rows(1)]) == []


@pytest.mark.parametrize(
    ("value", "as_json"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (0.123456, 0.1235),
        (3.0, 3),
        (None, None),
        (7, 7),
    ],
)
def test_a_number_is_short_and_what_json_does_not_have_is_null(value: Any, as_json: Any) -> None:
    assert rounded(value) == as_json
