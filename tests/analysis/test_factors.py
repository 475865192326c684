"""The [study] of a grid file: what the pairs share, and which subspace should hold each task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.factors import PAPER, Factors, WrongFactors
from analysis.figures import figure3
from analysis.measured import measures

THREE = {"velocity": "private", "instrument": "shared", "pitch": "private"}


def test_the_default_is_the_papers_question() -> None:
    assert Factors.of({}) == Factors.of({"share": "instrument"}) == PAPER
    assert PAPER.sides("instrument") == ("instrument_shared", "instrument_private")


@pytest.mark.parametrize(
    ("study", "differ", "wanted"),
    [
        ({"share": "pitch"}, "instrument", {"pitch": "shared", "instrument": "private"}),
        ({"share": "velocity"}, "pitch",
         {"pitch": "private", "instrument": "private", "velocity": "shared"}),
        ({"tasks": THREE}, "pitch",
         {"pitch": "private", "instrument": "shared", "velocity": "private"}),
        ({"differ": "velocity"}, "velocity", dict(PAPER.wanted)),
    ],
)  # fmt: skip
def test_what_is_not_said_follows(
    study: dict[str, Any], differ: str, wanted: dict[str, str]
) -> None:
    factors = Factors.of(study)
    assert factors.differ == differ and factors.wanted == tuple(wanted.items())
    assert factors != PAPER


@pytest.mark.parametrize(
    ("study", "key", "told"),
    [
        (["instrument"], "study", "must be one table"),
        ({"shar": "pitch"}, "study.shar", "did you mean 'share'?"),
        ({"share": "a_b"}, "study.share", "letters and digits are expected"),
        ({"share": "pitch", "differ": "pitch"}, "study.differ", "both share and differ in pitch"),
        ({"tasks": {"pitch": "private"}}, "study.tasks", "two tasks at least"),
        ({"tasks": {**THREE, "mean": "private"}}, "study.tasks.mean", "no name of a factor"),
        ({"tasks": {**THREE, "room": "privat"}}, "study.tasks.room", "did you mean 'private'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(study: Any, key: str, told: str) -> None:
    with pytest.raises(WrongFactors, match=told.replace("?", r"\?")) as raised:
        Factors.of(study)
    assert raised.value.key == key


def test_margins_of_three_tasks_are_of_the_subspace_that_should_hold_each() -> None:
    factors = Factors.of({"tasks": THREE})
    found = measures(np.array([0.5, 0.2, 0.6, 0.1, 0.4, 0.9, 0.7, 0.6, 0.9]), factors)
    margins = [float(found[margin]) for margin in factors.margins]
    np.testing.assert_allclose(margins, [0.3, 0.3, 0.1])
    np.testing.assert_allclose([found["worse_margin"], found["mean_overall"]], [0.1, 0.8])


def test_figure_3_sets_each_private_task_against_each_shared_one() -> None:
    assert figure3.panels(PAPER) == [("pitch", "instrument")]
    three = [("pitch", "instrument"), ("velocity", "instrument")]
    assert figure3.panels(Factors.of({"tasks": THREE})) == three
    assert len(figure3.panels(Factors.of({"tasks": dict.fromkeys(THREE, "private")}))) == 3
