"""A principle's code is part of its runs' keys, once it is not the shipped code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import models
from sweeper.study import code
from sweeper.study.code import SHIPPED, digest, principle_code
from sweeper.study.grid import Cell, run_config
from sweeper.study.presets import PRESETS

Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Replaces text in a copy of `models`, which is then the one that is read."""
    copy = tmp_path / "models"
    shutil.copytree(Path(models.__file__).parent, copy, ignore=shutil.ignore_patterns("encoders"))

    class Spec:
        submodule_search_locations = (str(copy),)

    monkeypatch.setattr(code, "find_spec", lambda _package: Spec)

    def replace(file: str, old: str, new: str) -> None:
        text = (copy / file).read_text()
        assert old in text
        (copy / file).write_text(text.replace(old, new))
        forget()

    forget()
    yield replace
    monkeypatch.undo()
    forget()


def forget() -> None:
    for cached in (code._tree, code._definitions, code.digest):
        cached.cache_clear()


def changed(principles: tuple[str, ...] = tuple(SHIPPED)) -> set[str]:
    return {name for name in principles if principle_code(name) is not None}


def test_the_shipped_principles_are_as_they_were_shipped() -> None:
    """Whoever changes what one computes: RESULT_VERSION first, then the digest in code.py."""
    assert {name: digest(name) for name in SHIPPED} == SHIPPED


def test_an_edited_objective_is_another_run(edit: Edit) -> None:
    cell = Cell("multiview", 0, "Cosine", "SEP", 0.6)
    before = run_config(cell, PRESETS["smoke"])
    assert changed() == set()
    edit(
        "objectives.py",
        "matched_cosines(z1, z2), epsilon).mean(-1)",
        "matched_cosines(z1, z2), epsilon).sum(-1)",
    )
    assert changed() == {"Cosine"}
    after = run_config(cell, PRESETS["smoke"])
    assert after.key != before.key and after.principle_code == digest("Cosine")
    assert (
        run_config(Cell("multiview", 0, "VICReg", "SEP", 0.6), PRESETS["smoke"]).principle_code
        is None
    )
    alone = run_config(Cell("multiview", 0, "Cosine", "SEP", 1.0), PRESETS["smoke"])
    assert alone.principle_code is None  # the principle plays no part


def test_what_an_objective_calls_in_another_file_counts(edit: Edit) -> None:
    edit("similarity.py", "difference = z1 - z2", "difference = 2 * (z1 - z2)")
    assert changed() == {"VICReg"}


def test_constants_count(edit: Edit) -> None:
    edit("similarity.py", "SMALLEST_LENGTH = 1e-8", "SMALLEST_LENGTH = 1e-6")
    assert changed() == {"InfoNCE", "Cosine"}


def test_comments_and_docstrings_do_not_count(edit: Edit) -> None:
    edit("objectives.py", '"""Equation 4:', '"""Equation four:')
    edit(
        "objectives.py",
        "invariance, variance, covariance = weights",
        "invariance, variance, covariance = weights  # all",
    )
    assert changed() == set()


def test_a_new_principle_is_known_by_its_code(edit: Edit) -> None:
    addition = (
        '\n\nPRINCIPLES["Barlow"] = Principle(sim=PRINCIPLES["Cosine"].sim, sep=vicreg_sep)\n'
    )
    edit("objectives.py", "\n\ndef _separation", addition + "\n\ndef _separation")
    first = principle_code("Barlow")
    assert first is not None and changed() == set()
    edit("objectives.py", "sep=vicreg_sep)", "sep=vicreg_sim)")
    assert principle_code("Barlow") not in (None, first)


def test_planning_reads_the_code_without_torch() -> None:
    program = "import sys; from sweeper.study.code import digest; digest('VICReg')\n"
    program += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
