"""Code of the user's own: run once, known by its digest, carried to whoever trains."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.objectives import PRINCIPLES
from sweeper import plugins
from sweeper.errors import SweeperError
from sweeper.study.config import RunConfig
from sweeper.study.request import Request
from sweeper.sweep import expand, widened

BARLOW = '''
"""A principle of one's own."""
from models.objectives import PRINCIPLES, Principle

def sim(z1, z2, loss):
    return loss.option("weight") * (z1 - z2).square().mean((-2, -1))

PRINCIPLES["Barlow"] = Principle(sim=sim, sep=sim, options={"weight": 0.25})
'''
GRID = """
plugins = ["barlow.py"]
principles = ["Barlow", "Cosine"]
objectives = ["SIM"]
lambdas = [0.6, 1.0]
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Path:
    """A directory with the plugin and a grid."""
    (tmp_path / "barlow.py").write_text(BARLOW)
    (tmp_path / "mine.toml").write_text(GRID)
    return tmp_path


def runs(place: Path, grid: str = GRID) -> dict[str, RunConfig]:
    (place / "mine.toml").write_text(grid)
    filled = expand(Request(str(place / "mine.toml"), "smoke"))
    return {cell.label: run for cell, run in filled}


def test_a_plugin_of_a_grid_file_is_in_the_keys_of_its_runs_and_of_no_others(place: Path) -> None:
    before = runs(place)
    own = before["Barlow SIM λ=0.6 seed 0"]
    assert own.principle_code == plugins.digest(BARLOW)
    assert own.loss is not None and own.loss.options == (("weight", 0.25),)
    assert before["Cosine SIM λ=0.6 seed 0"].principle_code is None
    (place / "barlow.py").write_text(BARLOW.replace("0.25", "0.5"))
    after = runs(place)
    same = {label for label in before if before[label].key == after[label].key}
    assert same == {"Barlow SIM λ=1 seed 0", "Cosine SIM λ=0.6 seed 0", "Cosine SIM λ=1 seed 0"}


def test_comments_and_docstrings_of_layout_change_no_key() -> None:
    assert plugins.digest(BARLOW + "\n# a thought\n") == plugins.digest(BARLOW)
    assert plugins.digest(BARLOW.replace("0.25", "0.5")) != plugins.digest(BARLOW)


def test_an_option_of_a_principle_is_an_axis_of_its_cells_alone(place: Path) -> None:
    found = runs(place, GRID + "[axes]\nloss.options.weight = [0.1, 1]\n")
    assert list(found) == [
        "Barlow SIM λ=0.6 weight=0.1 seed 0", "Barlow SIM λ=1 seed 0",
        "Cosine SIM λ=0.6 seed 0", "Cosine SIM λ=1 seed 0", "Barlow SIM λ=0.6 weight=1 seed 0",
    ]  # fmt: skip
    of_grid = runs(place, GRID + "[loss.options]\nweight = 0.1\n")
    assert of_grid["Barlow SIM λ=0.6 seed 0"].key == found["Barlow SIM λ=0.6 weight=0.1 seed 0"].key


def test_a_config_with_options_is_the_same_after_json_and_without_the_plugin(place: Path) -> None:
    run = runs(place)["Barlow SIM λ=0.6 seed 0"]
    plugins._loaded.clear()
    again = RunConfig.from_json(run.to_json())
    assert again == run and again.key == run.key


def test_a_stored_sweep_needs_neither_its_grid_file_nor_its_plugin_again(place: Path) -> None:
    before = runs(place)
    stored = Request("mine.toml", "smoke", grid_file=GRID, plugins={"barlow": BARLOW})
    for registry in (plugins._loaded, plugins._sources):
        registry.clear()
    del PRINCIPLES["Barlow"]
    for file in place.iterdir():
        file.unlink()
    assert {cell.label: run.key for cell, run in expand(stored)} == {
        label: run.key for label, run in before.items()
    }


def test_another_process_unpickles_what_a_plugin_made(place: Path) -> None:
    """As a worker does: the source travels, and stands before what is of it."""
    plugins.load(plugins.read(["barlow.py"], place))
    parcel = pickle.dumps((plugins.loaded(), pickle.dumps(PRINCIPLES["Barlow"].sim)))
    program = (
        "import pickle, sys; from sweeper import plugins\n"
        "sources, made = pickle.loads(sys.stdin.buffer.read())\n"
        "plugins.load(sources); print(pickle.loads(made).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=parcel, capture_output=True)
    assert done.stdout.decode() == "sim\n", done.stderr


def test_an_error_while_a_run_trains_shows_the_plugins_line(place: Path) -> None:
    plugins.load({"broken": BARLOW.replace("(z1 - z2)", "(z1 - z3)")})
    with pytest.raises(NameError) as caught:
        PRINCIPLES["Barlow"].sim(torch.ones(1, 2, 2), torch.ones(1, 2, 2), _Loss())  # type: ignore[arg-type]
    assert "z3" in str(caught.traceback[-1].statement)


class _Loss:
    def option(self, name: str) -> float:
        return 1.0


def installed(place: Path, entry: str, version: str = "1.2") -> None:
    """As pip would leave a package that declares an entry point."""
    for old in place.glob("*.dist-info"):
        shutil.rmtree(old)
    about = place / f"barlow_losses-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: barlow-losses\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(entry)


PRINCIPLE = "[sweeper.principles]\nBarlow = barlow\n"


def test_an_installed_package_is_found_by_name_and_its_version_is_code(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(place)
    keys = set()
    for version in ("1.2", "1.3"):
        installed(place, PRINCIPLE, version)
        own = runs(place, GRID.replace('plugins = ["barlow.py"]', ""))["Barlow SIM λ=0.6 seed 0"]
        assert own.loss is not None and own.loss.options == (("weight", 0.25),)
        keys |= {own.key, runs(place)["Barlow SIM λ=0.6 seed 0"].key}  # named, it is the file
        carried = plugins.loaded()["barlow"]
        plugins._loaded.clear()
        plugins._sources.clear()
        del PRINCIPLES["Barlow"]
    assert carried == BARLOW and len(keys) == 3


def test_an_installed_encoder_travels_with_the_sweep(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(place)
    installed(place, "[sweeper.encoders]\nloud = loud\n")
    (place / "loud.py").write_text(
        "from models.encoders import ENCODERS\n"
        "from models.encoders.logmel import LogMel\n"
        "class Loud(LogMel):\n    name = 'loud'\n"
        "ENCODERS['loud'] = Loud\n"
    )
    request = Request("smoke", "smoke", encoder="loud")
    cells = expand(request)
    assert "__package_version__ = 'barlow-losses 1.2'" in widened(request, cells).plugins["loud"]


BROKEN = {
    "[sweeper.principles]\nBarlow = syntax\n": "plugin syntax, line 2: SyntaxError",
    "[sweeper.principles]\nBarlow = raises\n": "plugin raises, line 1: ZeroDivisionError",
    "[sweeper.principles]\nBarlow = no.such\n": "neither a Python file",
    "[sweeper.principles]\nBarlow = empty\n": "but its empty registers none such",
}


@pytest.mark.parametrize("entry", BROKEN)
def test_a_broken_package_is_one_line_that_names_it(
    place: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    for name, text in {"syntax": "x = 1\nx = = 2\n", "raises": "1 / 0\n", "empty": ""}.items():
        (place / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(place)
    installed(place, entry)
    with pytest.raises(SweeperError) as caught:
        runs(place, GRID.replace('plugins = ["barlow.py"]', ""))
    said = str(caught.value)
    assert "package barlow-losses 1.2" in said and BROKEN[entry] in said and "\n" not in said


WRONG = {
    'plugins = ["barlw.py"]': "plugin barlw.py cannot be read",
    'plugins = ["no_such_module"]': "neither a Python file (ending in .py) nor a module",
    'plugins = "barlow.py"': "plugins must be a list",
    'plugins = ["syntax.py"]': "plugin syntax, line 2: SyntaxError",
    'plugins = ["raises.py"]': "plugin raises, line 1: ZeroDivisionError",
    'plugins = ["barlow.py"]\n[loss.options]\nwieght = 1': "did you mean 'weight'?",
    'plugins = ["barlow.py"]\n[loss.options]\nweight = "x"': "loss.options.weight = 'x': a number",
    'plugins = ["barlow.py"]\n[axes]\nloss.options.wieght = [1]': "loss.options.weight",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_plugin_is_one_line(place: Path, text: str) -> None:
    (place / "syntax.py").write_text("x = 1\nx = = 2\n")
    (place / "raises.py").write_text("1 / 0\n")
    first, _, rest = text.partition("\n")
    axes = 'principles = ["Cosine"]\nobjectives = ["SIM"]\nlambdas = [0.6]\n'
    with pytest.raises(SweeperError) as caught:
        runs(place, f"{first}\n{axes}{rest}\n")
    assert WRONG[text] in str(caught.value) and "\n" not in str(caught.value)
