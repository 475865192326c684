"""Sweeps from Python: launched and read as a notebook would."""

from __future__ import annotations

import ast
import doctest
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import sweeper
from analysis.figures.style import Drawn
from models import trained
from models.native.probes import probe
from models.probes import ProbeSplit, ProbeTask
from sweeper import api
from sweeper.api.reading import reader
from sweeper.data.clips import FAMILIES, LOWEST_PITCH, PARTS, PITCHES
from sweeper.ledger import read
from sweeper.ledger.schema import ACCURACIES
from sweeper.ledger.view import COLUMNS
from sweeper.ledger.write import Ledger
from sweeper.study.config import DataConfig, RunConfig
from sweeper.study.grid import Cell
from sweeper.study.presets import PRESETS, Preset
from tests.faults import toy
from tests.sweeper.conftest import scored, train

SHIPPED = str(Path(__file__).parents[2] / "results.db")
GRID = {
    "principles": ["Cosine"],
    "objectives": ("SEP", "SIM"),
    "lambdas": np.array([0.6, 1.0]),
    "baselines": ["encoder"],
}


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose `results.db` holds the finished sweep `toy-smoke`, of random latents."""
    place, patch = tmp_path_factory.mktemp("api"), pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.chdir(place)
        patched.setenv("SWEEPER_CACHE", str(place / "cache"))
        data = DataConfig(train_clips=40, valid_clips=36, downstream_clips=60)
        smoke = PRESETS["smoke"]
        small = Preset(data, smoke.model, smoke.loss, smoke.training, smoke.probe)
        patched.setitem(PRESETS, "smoke", small)
        toy.make_latents()
        grid = {**GRID, "training": {"epochs": 1}}
        torch.set_flush_denormal(False)
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        sweeper.launch(grid, preset="smoke", name="toy-smoke", note="a toy", device="cpu")
        # The caller's floats and threads are as they were.
        assert (torch.full((1,), 1e-38) / 100).item()
        assert torch.get_num_threads() == 2
        torch.set_num_threads(before)
        yield place


def test_the_examples_of_the_docstrings_are_true(launched: Path) -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = (api.launching, api.opening, api.sweep, trained)
    found = [t for module in modules for t in finder.find(module, globs={"sweeper": sweeper})]
    runner, said = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), list[str]()
    for example in found:
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)
    public = {"Sweep", "open", "sweeps", "launch"} | {
        f"Sweep.{name}" for name in vars(api.Sweep) if not name.startswith("_")
    } - {"Sweep.db", "Sweep.name"}
    public |= {"Encoders"}
    names = (example.name for example in found if example.examples)
    shown = {re.sub(r"^(sweeper\.api|models)\.\w+\.", "", name) for name in names}
    assert shown == public


def test_a_launch_again_trains_nothing_and_says_so_in_plain_lines(
    launched: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter's kernels do
    before = sweeper.open().results()
    sweep = sweeper.launch(
        {**GRID, "training": {"epochs": 1}}, preset="smoke", name="toy-smoke", device="cpu"
    )
    out = capsys.readouterr().out
    assert "nothing left to train" in out and "\x1b" not in out
    pd.testing.assert_frame_equal(sweep.results(), before)


def test_every_column_of_the_results_is_told(launched: Path) -> None:
    frame = sweeper.open().results()
    assert frame.attrs["columns"].keys() == set(frame) == set(COLUMNS) - {"point"}
    assert len(frame) == 5 and frame["run_key"].nunique() == 4  # the λ = 1 cells share a run


def test_a_sweep_shows_itself(launched: Path) -> None:
    sweep, console = sweeper.open(), Console(width=100)
    with console.capture() as capture:
        console.print(sweep)
    assert "Cosine SEP" in capture.get() and "5/5 cells" in capture.get()
    picture = sweep.figure(3)
    assert isinstance(picture, Drawn) and picture._repr_png_().startswith(b"\x89PNG")
    assert sweep._repr_html_().startswith("<pre>") and "Cosine SEP" in sweep._repr_html_()


def test_trained_encoders_reproduce_what_is_stored_to_the_bit(launched: Path) -> None:
    """By the run's own probes, on its latents and its weights alone."""
    sweep = sweeper.open()
    with reader("results.db") as engine:
        runs = {run.key: run for run in read.runs_of(engine)}
    x, labels = sweep.latents()
    families = pd.Index(FAMILIES).get_indexer(labels["instrument"])
    tasks = {
        "pitch": ProbeTask(np.array(labels["pitch"]) - LOWEST_PITCH, PITCHES),
        "instrument": ProbeTask(families, len(FAMILIES)),
    }
    split = ProbeSplit(*(np.flatnonzero(labels["part"] == part) for part in PARTS))
    trained = sweep.results().query("kind == 'multiview'")
    assert len(trained) == 4
    for _, row in trained.iterrows():
        encoders, run = sweep.encoder(row), runs[row["run_key"]]
        rates = (run.probe.dropout, 0.0)
        (probed,), _ = probe([encoders(x)], tasks, split, run.probe, rates, run.seed)
        said = {name: probed.accuracies[name] for name in ACCURACIES}
        assert said == {name: row[name] for name in ACCURACIES}
        error = (encoders.reconstruct(x) - x.float()).square().sum(dtype=torch.float64)
        assert float(error) / x.numel() == row["mse"]


def test_without_weights_there_are_results_and_no_encoder(launched: Path) -> None:
    grid = {**GRID, "lambdas": [1.0], "objectives": ["SEP"], "training": {"epochs": 1}}
    how = {"preset": "smoke", "db": "light.db", "device": "cpu"}
    sweep = sweeper.launch(grid, name="light", weights=False, **how)
    assert len(sweep.results()) == 2
    with pytest.raises(
        sweeper.SweeperError, match="no weights of 'Cosine SEP λ=1 seed 0' are kept"
    ):
        sweep.encoder("Cosine SEP λ=1")


def test_weights_that_are_damaged_or_of_another_attempt_are_no_encoder(
    launched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = "Cosine SEP λ=0.6 seed 0"
    key = sweeper.open().results().set_index("label").loc[label, "run_key"]
    (file,) = launched.rglob(f"weights/{key}.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(read, "scoring_pack", lambda *_: "another")
        with pytest.raises(sweeper.SweeperError, match="no weights of"):
            sweeper.open().encoder(label)
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1])
        with pytest.raises(sweeper.SweeperError, match="are damaged"):
            sweeper.open().encoder(label)
    finally:
        file.write_bytes(whole)


def test_losses_are_those_of_the_epochs_of_runs_that_train(launched: Path) -> None:
    losses = sweeper.open().epochs()
    assert losses["label"].is_unique and len(losses) == 3  # not of the frozen encoder
    assert losses[["train_total", "valid_rec"]].notna().all(axis=None)
    whole = losses.set_index("label").loc["Cosine SEP λ=1 seed 0"]
    assert np.isnan(whole["train_dis"])


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: sweeper.open("no.db"), "no database at no.db"),
        (lambda: sweeper.open(sweep="toy-smok"), "did you mean 'toy-smoke'?"),
        (lambda: sweeper.sweeps("no.db"), "no database at no.db"),
        (lambda: sweeper.open().figure(7), "unknown figure '7'; choose from 2, 3"),
        (lambda: sweeper.open().figure("encoders"), "unknown figure 'encoders'"),
        (lambda: sweeper.open().figure(3, "lr=1"), "has no place 'lr=1'"),
        (lambda: sweeper.open().encoder("Cosine SEP λ=0.7"), "did you mean 'Cosine SEP λ=0.6"),
        (lambda: sweeper.open().encoder("encoder"), "trains nothing: its features are the latents"),
        (lambda: sweeper.open().latents("test"), "unknown clips 'test'; choose"),
        (lambda: sweeper.launch({}), "a grid that is a dict has no name"),
        (lambda: sweeper.launch({}, name="x", preset="smoke"), "x.toml: the grid has no cells"),
        (lambda: sweeper.launch({"prinzip": []}, name="x"), "unknown key 'prinzip'"),
        (lambda: sweeper.launch({"lambdas": {1.0}}, name="x"), "and not {1.0}"),
        (lambda: sweeper.launch({"plugins": "a.py"}, name="x"), "plugins must be a list"),
        (lambda: sweeper.launch(plugins=["a.py"]), "plugin a.py cannot be read"),
        (lambda: sweeper.launch("fool"), "unknown grid 'fool'"),
        (lambda: sweeper.launch(preset="papper"), "did you mean 'paper'?"),
        (lambda: sweeper.launch(executor="rey"), "unknown executor 'rey', did you mean 'ray'?"),
        (lambda: sweeper.launch(device="tpu"), "unknown device 'tpu'"),
        (lambda: sweeper.launch(seeds=0), "at least 1 is needed"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    launched: Path, act: Callable[[], Any], says: str
) -> None:
    there = sorted(launched.iterdir())
    with pytest.raises(sweeper.SweeperError) as error:
        act()
    assert says in str(error.value) and "\n" not in str(error.value)
    assert sorted(launched.iterdir()) == there


def test_a_sweep_with_nothing_finished_has_no_rows_and_says_so(
    db: str, ledger: Ledger, smoke: list[tuple[Cell, RunConfig]]
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    sweep = sweeper.open(db)
    assert len(sweep.results()) == len(sweep.epochs()) == 0
    assert sweep.status["cells_finished"] == 0
    for act in (sweep.claims, sweep.configurations, lambda: sweep.figure(3)):
        with pytest.raises(sweeper.SweeperError, match="no run of 'a' is finished"):
            act()
    keys = dict.fromkeys(run.key for _, run in smoke)
    train(ledger, "p", [scored(key) for key in keys])
    assert len(sweep.results()) == len(smoke)  # read anew


def test_further_axes_are_columns_and_places(launched: Path) -> None:
    grid = {
        **GRID,
        "lambdas": [0.6],
        "axes": {"training.lr": [1e-3, 1e-4]},
        "training": {"epochs": 1},
    }
    sweep = sweeper.launch(grid, preset="smoke", name="axes", db="axes.db", device="cpu")
    multiview = sweep.results().query("kind == 'multiview'")
    assert sorted(multiview["training.lr"]) == [1e-4, 1e-4, 1e-3, 1e-3]
    assert set(sweep.configurations()["sweep"]) == {"axes · lr=0.001", "axes · lr=0.0001"}
    assert sweep.figure(3, "lr=0.001").axes
    with pytest.raises(sweeper.SweeperError, match="has several places; it holds: lr=0"):
        sweep.figure(3)


def test_the_python_of_the_study_page_runs_and_so_does_the_notebook(launched: Path) -> None:
    study = Path(SHIPPED).parent / "sweeper" / "study"
    found = re.search(r"```python\nimport sweeper\n.*?```", (study / "README.md").read_text(), re.S)
    assert found is not None
    exec(found[0].removeprefix("```python").removesuffix("```"), {})
    notebook = json.loads((study / "notebook.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)
    shown = outputs(["".join(cell["source"]) for cell in cells])
    assert "Cosine SEP" in shown[0] and "delta_pitch" in shown[1] and "accuracy" in shown[2]
    assert shown[3].startswith("b'\\x89PNG") and shown[4].startswith("Encoders(private and shared")
    assert set(ast.literal_eval(shown[5])) == {"private", "shared"}


def outputs(cells: list[str]) -> list[str]:
    """What a kernel would show: of each cell its last expression, by the best repr that it has."""
    names, shown = dict[str, Any](), list[str]()
    for cell in cells:
        *body, last = ast.parse(cell).body
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
        assert isinstance(last, ast.Expr)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        best = (n for n in ("_repr_png_", "_repr_html_") if hasattr(value, n))
        shown.append(str(getattr(value, next(best, "__repr__"))()))
    return shown


def test_the_shipped_sweeps_can_be_read() -> None:
    table = sweeper.sweeps(SHIPPED)
    assert {"full-quick", "full-quick-notes-mae"} <= set(table["sweep"])
    sweep = sweeper.open(SHIPPED, "full-quick")
    assert len(sweep.results()) == sweep.status["cells_finished"]


def test_import_sweeper_is_light_and_names_are_there() -> None:
    code = (
        "import sys, sweeper\n"
        "print({'pandas', 'matplotlib', 'rich', 'sqlalchemy', 'torch'} & set(sys.modules))\n"
        "print(callable(sweeper.open), hasattr(sweeper, 'opne'), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\nTrue False False\n"
