"""Where in a grid file a mistake stands: line and column, whatever the file's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.study.grid_file import GridFile, Misplaced

TEXT = '''\
# a study = "of mine"
principles = ["Cosine"]

lambdas = [
    0.2, 0.4,   # small ones
    1.5,
]
where = """
lam < 1"""

[axes]
loss.temperature = [0.1, 1.5]
"training.lr" = [
    1e-3,
]
[loss.options]  # of our own
weight = -1.5
[probe]
lr = 0.1
'''

PLACES: list[tuple[str, tuple[object, ...], str]] = [
    ("principles", (), "2:1"),
    ("principles", ("Cosine",), "2:15"),
    ("lambdas", (1.5,), "6:5"),
    ("lambdas", (0.4,), "5:10"),
    ("lambdas", (0.3,), "4:1"),
    ("where", (), "8:1"),
    ("axes", (), "11:1"),
    ("axes.loss.temperature", (1.5,), "12:26"),
    ("axes.training.lr", (), "13:1"),
    ("loss.options", (), "16:1"),
    ("loss.options.weight", (-1.5,), "17:10"),
    ("probe.lr", (0.1,), "19:6"),
    ("nowhere", (1.5,), "1:1"),
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GridFile:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(TEXT)
    return GridFile("mine.toml", TEXT)


@pytest.mark.parametrize(("key", "values", "place"), PLACES)
def test_a_key_or_a_value_is_found(
    file: GridFile, key: str, values: tuple[object, ...], place: str
) -> None:
    error = file.error(Misplaced("wrong", key, values=values))
    assert str(error) == f"mine.toml:{place}: wrong"


def test_of_several_keys_the_first_that_is_there_is_told(file: GridFile) -> None:
    error = file.error(Misplaced("wrong", "zip", "axes.lam", "where"))
    assert str(error) == "mine.toml:8:1: wrong"


def test_a_grid_that_is_no_file_has_no_place(file: GridFile) -> None:
    Path("mine.toml").unlink()  # of a stored sweep, or made of a dict
    assert str(file.error(Misplaced("wrong", "zip"))) == "mine.toml: wrong"


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb = \nc = 3\n", "2:5"), ("a = 1\n\nb = [1,\n\n", "3"), ("a = 1\na = 2\n", "2:6")],
)
def test_what_is_no_toml_is_told_by_its_line(text: str, place: str) -> None:
    with pytest.raises(SweeperError, match=f"^mine.toml:{place}: this is not TOML: "):
        GridFile("mine.toml", text).document()
