"""What is said of a name that is none."""

from __future__ import annotations

import pytest

from models.names import unknown


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("papr", "unknown preset 'papr', did you mean 'paper'? choose one of paper, quick"),
        ("PAPERS", "unknown preset 'PAPERS', did you mean 'paper'? choose one of paper, quick"),
        ("huge", "unknown preset 'huge'; choose one of paper, quick"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one_that_there_is(name: str, says: str) -> None:
    assert unknown("preset", name, {"paper": 1, "quick": 2}) == says
