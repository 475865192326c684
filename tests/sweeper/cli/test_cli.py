"""The command line: a contract in its options, its exit codes and its one clear line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.ledger.write import Ledger, RunResult
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.cli.conftest import Sweeper
from tests.sweeper.conftest import scored, train

COMMANDS = [
    "launch",
    "resume",
    "recover",
    "status",
    "list",
    "diff",
    "retrain",
    "forget",
    "verify",
    "report",
    "export",
    "doctor",
    "data prepare",
    "data info",
    "grid show",
    "grid fields",
    "grid check",
]


@pytest.fixture
def half_done(db: str, ledger: Ledger, smoke: list[tuple[Cell, RunConfig]]) -> str:
    """A database with a sweep of four cells: one finished, one failed, one diverged."""
    ledger.register({"grid": "smoke"}, smoke)
    keys = [run.key for _, run in smoke]
    failed = RunResult(keys[1], "failed", cause="ValueError: odd", traceback="Traceback: here")
    diverged = RunResult(keys[2], "diverged", cause="NaN in epoch 1")
    train(ledger, "p", [scored(keys[0]), failed, diverged])
    ledger.engine.dispose()
    return db


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_says_what_it_does(sweeper: Sweeper, command: str) -> None:
    code, out, _ = sweeper(*command.split(), "--help")
    assert code == 0
    assert len(re.sub(r"\W+", " ", out).split()) > 15


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("launch --grid fool", "unknown grid 'fool'; choose one of full, ablation"),
        ("launch --preset papper", "unknown preset 'papper', did you mean 'paper'?"),
        ("launch --encoder logmell", "unknown encoder 'logmell', did you mean 'logmel'?"),
        ("launch --dataset note", "unknown dataset 'note', did you mean 'notes'?"),
        ("launch --preset big", "unknown preset 'big'; choose one of paper, quick, smoke"),
        ("launch --seeds 0", "--seeds 0: at least 1 is needed"),
        ("launch --seeds 5 --baseline-seeds 4", "--baseline-seeds 4: at least 5 is needed"),
        ("launch --seeds 100000 --dry-run", "--seeds 100000: a sweep has at most 1000"),
        ("launch --seeds many", "--seeds"),
        ("launch --name=", "--name is empty"),
        ("launch --name= --dry-run", "--name is empty"),
        ("launch --name a/b", "--name a/b: a slash, a line end or a control character"),
        ("launch --name a\x1b[2Jb", "--name a\\x1b[2Jb: a slash"),
        (f"launch --name {'n' * 101}", "has 101 characters; at most 100 are taken"),
        ("encoders compare --name a/b", "--name a/b: a slash"),
        ("launch --storage=", "--storage is empty"),
        ("launch --db=", "--db is empty"),
        ("launch --db= --dry-run", "--db is empty"),
        ("status --db=", "--db is empty"),
        ("verify --db=", "--db is empty"),
        ("launch --storage /dev/null/x", "cannot write to /dev/null/x (Not a directory)"),
        ("launch --storage /proc/x", "cannot write to /proc/x"),
        ("recover --storage=", "--storage is empty"),
        ("launch --pack ²", "--pack ²: a number of runs, or auto"),
        ("launch --pack none", "--pack none: a number of runs, or auto"),
        ("launch --device cuda --executor inline", "--executor inline trains on the CPU"),
        ("launch --device tpu", "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        ("launch --dataset birds", "unknown dataset 'birds'; choose one of notes"),
        ("launch --dataset nsynth", "the dataset nsynth needs --data-root DIR"),
        ("launch --dataset nsynth --data-root nowhere", "nowhere"),
        ("launch --encoder audiomae:nowhere.pth", "nowhere.pth"),
        ("search --trials 0", "--trials 0: at least 1 is needed"),
        ("launch --encoder wav9", "unknown encoder 'wav9'; choose one of logmel"),
        ("launch --soundfont no.sf2", "no.sf2"),
        ("launch --gird full", "No such option: --gird"),
        ("lunch", "No such command 'lunch'"),
        ("status", "no database at results.db; run `sweeper launch` first"),
        ("resume", "no database at results.db"),
        ("report", "no database at results.db"),
        ("report --figure 7", "'7' is not one of '2', '3', '4', 'claims', 'lambda'"),
        ("report --table 2", "there is no table 2; choose from: 1"),
        ("report --format gif", "'gif' is not one of 'png', 'pdf', 'svg'"),
        ("export", "no database at results.db"),
        ("export a --all", "--all is every sweep; leave out 'a', or --all"),
        ("list", "no database at results.db"),
        ("diff a b", "no database at results.db"),
        ("diff a", "Missing argument 'b'"),
        ("forget a --yes", "no database at results.db"),
        ("forget", "Missing argument"),
        ("retrain cell --yes", "no database at results.db"),
        ("data info --preset big", "unknown preset 'big'"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_1(
    sweeper: Sweeper,
    arguments: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = sweeper(*arguments.split())
    assert code == 1
    assert says in err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert not list(tmp_path.iterdir()), "bad input must leave nothing behind"


def test_the_dry_run_prints_the_plan_and_touches_nothing(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = sweeper("launch", "--preset", "smoke", "--seeds", "2", "--dry-run")
    assert code == 0
    assert "114 cells, 98 runs" in out
    assert "would train 98 runs" in out
    assert "beside the results: 28.5 MB of trained weights, none with --no-weights" in out
    assert not list(tmp_path.iterdir())


def test_status_counts_cells_and_runs_for_scripts(sweeper: Sweeper, half_done: str) -> None:
    code, out, _ = sweeper("status", "--json", "--db", half_done)
    assert code == 0
    found = json.loads(out)  # with what else `status` tells: its own tests
    assert found == found | {
        "sweep": "a",
        "note": None,
        "commit": None,
        "cells": 4,
        "cells_finished": 1,
        "runs": 4,
        "planned": 4,
        "finished": 1,
        "running": 0,
        "failed": 1,
        "diverged": 1,
        "blocked": 0,
        "unknown": 0,
        "interrupted": 0,
        "pending": 1,
        "events": [],
        "states": {"finished": 1, "failed": 1, "diverged": 1, "pending": 1},
        "eta_seconds": None,
        "failures": [
            {"label": "Cosine SEP λ=0.6 seed 0", "state": "failed", "cause": "ValueError: odd"},
            {"label": "Cosine SEP λ=1 seed 0", "state": "diverged", "cause": "NaN in epoch 1"},
        ],
    }


def test_status_shows_the_grid_and_the_traceback_of_a_failure(
    sweeper: Sweeper, half_done: str
) -> None:
    code, out, _ = sweeper("status", "--db", half_done)
    assert code == 0
    assert "1/4 cells" in out
    assert "Cosine SEP" in out
    assert "1 failed: ValueError: odd" in out and "Traceback: here" in out


@pytest.mark.parametrize("format", ["csv", "json"])
def test_export_writes_one_row_a_cell(sweeper: Sweeper, half_done: str, format: str) -> None:
    code, out, _ = sweeper("export", "--db", half_done, "--format", format)
    rows = json.loads(out) if format == "json" else out.strip().splitlines()[1:]
    assert code == 0 and len(rows) == 4


def test_export_of_all_has_every_sweeps_rows(
    sweeper: Sweeper, half_done: str, smoke: list[tuple[Cell, RunConfig]], ledger: Ledger
) -> None:
    with Ledger.of(ledger.engine, "B") as other:
        other.register({}, smoke[:2])
    for asked in ((), ("a",)):
        rows = json.loads(sweeper("export", *asked, "--db", half_done, "--format", "json")[1])
        assert len(rows) == (4 if asked else 2)
    rows = json.loads(sweeper("export", "--all", "--db", half_done, "--format", "json")[1])
    assert [row["sweep"] for row in rows] == ["B", "B", "a", "a", "a", "a"]
    assert [row["state"] for row in rows] == [
        *("finished", "failed"),
        *("finished", "failed", "diverged", "pending"),
    ]


def test_an_unknown_sweep_is_told_with_the_nearest_names(sweeper: Sweeper, half_done: str) -> None:
    code, _, err = sweeper("status", "aa", "--db", half_done)
    assert (code, err) == (1, "sweeper: no sweep 'aa' in this database; did you mean 'a'?\n")
    assert sweeper("status", "x", "--db", half_done)[2].endswith("this database; it holds: a\n")


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
@pytest.mark.parametrize("out", ["nowhere/cells", "."])
def test_an_export_to_a_bad_place_is_one_line(
    sweeper: Sweeper, half_done: str, format: str, out: str, tmp_path: Path
) -> None:
    place = tmp_path / out
    code, _, err = sweeper("export", "--db", half_done, "--format", format, "--out", str(place))
    assert code == 1
    assert err.startswith(f"sweeper: cannot write {place}: ") and err.count("\n") == 1


def test_a_cache_that_cannot_be_written_is_one_line_and_makes_no_database(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", "/dev/null/cache")
    code, _, err = sweeper("launch", "--preset", "smoke")
    assert (code, err) == (
        1,
        "sweeper: cannot write to /dev/null/cache (Not a directory); "
        "name another directory by SWEEPER_CACHE\n",
    )
    assert not list(tmp_path.iterdir())


def test_export_to_parquet_needs_a_file(sweeper: Sweeper, half_done: str, tmp_path: Path) -> None:
    import pandas as pd

    code, _, err = sweeper("export", "--db", half_done, "--format", "parquet")
    assert code == 1 and "give a file with --out" in err
    out = tmp_path / "cells.parquet"
    assert sweeper("export", "--db", half_done, "--format", "parquet", "--out", str(out))[0] == 0
    assert len(pd.read_parquet(out)) == 4


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    out = subprocess.check_output([sys.executable, "-m", "sweeper.cli", "--version"], text=True)
    assert out == f"sweeper {version('sweeper')}\n"


@pytest.mark.parametrize("arguments", ["--help", "launch --help", "status --help"])
def test_help_loads_neither_torch_nor_ray_nor_pandas(arguments: str) -> None:
    code = (
        "import sys, sweeper.cli\n"
        f"sys.argv = ['sweeper', *{arguments.split()!r}]\n"
        "try:\n    sweeper.cli.main()\n"
        "except SystemExit:\n    print({'torch', 'ray', 'pandas'} & set(sys.modules))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.strip().endswith("set()")


def test_the_contracts_options_are_there(sweeper: Sweeper) -> None:
    contract = {
        "launch": "--grid --preset --seeds --dataset --encoder --db --name --address --pack "
        "--device --dry-run --retry-failed --no-weights",
        "status": "--watch --json --db",
        "report": "--figure --table --out --format --claims --json --db",
        "export": "--format --all --by --db",
        "list": "--json --db",
        "diff": "--json --db",
        "forget": "--yes --db",
        "retrain": "--sweep --yes --db",
        "search": "--trials",
        "bench": "--json",
    }
    for command, options in contract.items():
        _, out, _ = sweeper(command, "--help")
        assert [option for option in options.split() if option not in out] == []


DATA = 'baselines = ["encoder"]\n[data]\nencoder = "mae"\n'


def test_the_data_of_a_grid_file_are_the_sweeps(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(DATA)
    launch = ("launch", "--grid", "mine.toml", "--preset", "smoke", "--dry-run")
    assert "sweep mine-smoke-notes-mae in" in sweeper(*launch)[1]
    assert sweeper(*launch, "--encoder", "mae")[0] == 0
    code, _, err = sweeper(*launch, "--encoder", "logmel")
    assert code == 1
    assert err == (
        'sweeper: --encoder logmel, but [data] in mine.toml says encoder = "mae"; '
        "leave one of them out\n"
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--data-root", "x"), "--data-root: the notes are rendered"),
        (("--dataset", "nsynth", "--soundfont", "x.sf2"), "--soundfont: --dataset nsynth"),
    ],
)
def test_an_option_that_would_be_dropped_is_refused(
    sweeper: Sweeper, options: tuple[str, ...], says: str
) -> None:
    for command in (("launch", "--dry-run"), ("data", "info")):
        code, _, err = sweeper(*command, "--preset", "smoke", *options)
        assert code == 1 and says in err
