import hashlib
import json
import random
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text

from analysis.results import Results, load_results
from tests.analysis.synthetic import (
    COLUMNS,
    baseline_row,
    database,
    full_rows,
    results,
    unfinished,
)


def test_importing_the_analysis_loads_neither_torch_nor_ray_nor_the_other_packages() -> None:
    program = (
        "import sys, analysis.report\n"
        "print({m.split('.')[0] for m in sys.modules} & {'torch', 'ray', 'sweeper', 'models'})"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert printed.stdout == "set()\n", printed.stderr


def test_every_cell_is_a_row_and_null_is_nan() -> None:
    frame = results(full_rows(1)).frame
    assert len(frame) == 57
    assert frame["label"].is_monotonic_increasing
    assert frame.loc[frame["lam"] == 0, "mse"].isna().all()
    assert frame["pitch_private"].dtype == "float64"


def test_the_digest_is_the_hash_of_the_canonical_rows() -> None:
    rows = [unfinished(baseline_row("encoder", seed)) for seed in (1, 0)]
    whole = [{name: row.get(name) for name in COLUMNS} for row in reversed(rows)]
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    assert canonical.startswith('[{"best_epoch":null,"delta_instrument":null,')
    expected = hashlib.sha256(canonical.encode()).hexdigest()
    assert results(rows).provenance.digest == expected


def test_the_order_of_rows_in_the_database_does_not_matter() -> None:
    rows = full_rows(2)
    shuffled = random.Random(0).sample(rows, len(rows))
    first, second = results(rows), results(shuffled)
    assert first.provenance == second.provenance
    assert first.frame.equals(second.frame)


def test_one_changed_accuracy_changes_the_digest() -> None:
    rows = full_rows(1)
    changed = [{**rows[0], "pitch_shared": rows[0]["pitch_shared"] + 1e-9}, *rows[1:]]
    assert results(rows).provenance.digest != results(changed).provenance.digest


def test_more_seeds_of_the_baselines_are_no_seeds_of_the_grid() -> None:
    more = [{**row, "seed": 1} for row in full_rows(1) if row["kind"] != "multiview"]
    assert results([*full_rows(1), *more]).provenance.seeds == 1
    assert results(more).provenance.seeds == 1


def test_the_provenance_counts_what_is_missing_failed_and_diverged() -> None:
    rows = full_rows(1)
    states = ["diverged", "diverged", "failed", "pending", "running", "interrupted"]
    broken = [unfinished(row, state) for row, state in zip(rows, states, strict=False)]
    provenance = results(broken + rows[len(states) :]).provenance
    assert (provenance.cells, provenance.finished, provenance.seeds) == (57, 51, 1)
    labels = provenance.unfinished
    assert labels["diverged"] == ("InfoNCE SIM λ=0 seed 0", "InfoNCE SIM λ=0.2 seed 0")
    assert labels["failed"] == ("InfoNCE SIM λ=0.4 seed 0",)
    assert len(labels["missing"]) == 3
    assert provenance.line.endswith(
        "1 seed · 51 of 57 cells finished, 3 missing, 1 failed, 2 diverged."
    )
    assert "failed: InfoNCE SIM λ=0.4 seed 0" in provenance.details


def test_a_long_list_of_missing_cells_is_cut_and_counted() -> None:
    details = results([unfinished(row) for row in full_rows(1)]).provenance.details
    assert details.endswith("; and 45 more")


def test_the_clips_and_the_encoder_are_named_as_the_sweep_was_launched() -> None:
    engine = database(full_rows(1))
    options = '{"dataset": "notes", "encoder": "logmel"}'
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sweeps (name TEXT, options TEXT)"))
        insert = text("INSERT INTO sweeps VALUES ('synthetic', :options)")
        connection.execute(insert, {"options": options})
    provenance = load_results(engine, "synthetic").provenance
    assert provenance.data == "notes through logmel"
    assert provenance.line.startswith("Sweep synthetic · notes through logmel · digest ")


def test_an_unknown_sweep_is_one_clear_line() -> None:
    with pytest.raises(ValueError, match="no sweep 'other' in this database; "):
        load_results(database(full_rows(1)), "other")


def test_a_database_without_the_view_is_one_clear_line() -> None:
    with pytest.raises(ValueError, match="no `results` view; run `sweeper launch` first"):
        load_results(create_engine("sqlite://"), "any")


def test_results_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        results(full_rows(1)).frame = None  # type: ignore[misc, assignment]
    assert Results.__hash__ is not None
