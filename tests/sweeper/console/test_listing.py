"""What is printed fits the terminal, and speaks its language."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import RenderableType

from sweeper.console.listing import listing, wrapped
from sweeper.console.matrix import matrix
from sweeper.console.terminal import console
from sweeper.states import State

HEADS = ("sweep", "state", "note", "next")
COMMAND = "sweeper resume full-quick --db some/where/else.db"
ROWS = [("full-quick", "failed", "what it is for, said at [b] length", COMMAND)] * 2
GRID = pd.DataFrame(
    [
        ("multiview", "InfoNCE", objective, lam, "{}", State.FINISHED)
        for objective in ("SIM", "SIM+SEP")
        for lam in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        for _ in range(4)
    ],
    columns=["kind", "principle", "objective", "lam", "point", "state"],
)


def printed(what: RenderableType, **options: object) -> str:
    out = console(file=io.StringIO(), **options)
    out.print(what)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("width", [40, 60, 90])
def test_rows_fit_a_terminal_and_only_the_command_is_as_long_as_it_is(width: int) -> None:
    lines = printed(listing(HEADS, ROWS, alone="next"), width=width, force_terminal=True)
    shown = [line.rstrip() for line in lines.splitlines()]
    assert shown.count(f"  {COMMAND}") == 2
    assert all(len(line) <= width for line in shown if COMMAND not in line)
    words = " ".join(" ".join(shown).split())
    assert words.count("state failed · note what it is for, said at [b] length") == 2


def test_a_long_note_is_broken_between_words() -> None:
    note = wrapped("what it is for, said at length", "italic")
    lines = printed(note, width=20, force_terminal=True, color_system=None).splitlines()
    assert [line.rstrip() for line in lines] == ["what it is for, said", "at length"]


def test_a_pipe_gets_a_line_a_row_unless_it_says_how_wide_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = [(*row[:2], "long " * 40, row[3]) for row in ROWS]
    assert [line.split()[0] for line in printed(listing(HEADS, rows)).splitlines()] == [
        "sweep", "full-quick", "full-quick",
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, printed(listing(HEADS, rows)).splitlines())) <= 50


def test_no_mark_of_the_grid_is_cut_in_a_narrow_terminal() -> None:
    text = printed(matrix(GRID), width=40, force_terminal=True, color_system=None)
    assert text.count("●") == 48 + 1 and "…" not in text
    assert max(map(len, text.splitlines())) <= 40


@pytest.mark.parametrize(
    ("environment", "has_colours", "has_bold"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),  # as no-color.org has it
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_and_escapes_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    has_colours: bool,
    has_bold: bool,
) -> None:
    for name in ("NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"FORCE_COLOR": "1", **environment}.items():
        monkeypatch.setenv(name, value)
    text = printed("[bold]a[/bold] [red]b[/red]")
    assert ("\x1b[31m" in text, "\x1b[1m" in text) == (has_colours, has_bold)
    assert has_bold or text == "a b\n"
