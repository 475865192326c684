"""Counts, times and control codes on a terminal."""

from __future__ import annotations

import pytest

from sweeper.console.words import clock, counted, printable


def test_one_is_singular_and_the_rest_plural() -> None:
    assert [counted(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_a_clock_has_hours_minutes_and_seconds() -> None:
    assert [clock(59.9), clock(3723)] == ["0:00:59", "1:02:03"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cosine SIM+SEP λ=0.6 →\n\tline 1", "Cosine SIM+SEP λ=0.6 →\n\tline 1"),
        ("a\x1b[2Jb\rc\x07", "a\\x1b[2Jb\\rc\\x07"),
        ("\x9b31m \u202eevil", "\\x9b31m \\u202eevil"),
    ],
)
def test_what_would_move_a_cursor_is_escaped_and_all_else_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown
