"""The live view in a notebook: one output of the cell, drawn anew in its place."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

from sweeper.events import Event, Progress

REDRAW_SECONDS = 0.5


def html(shown: RenderableType) -> str:
    """What rich would draw on a terminal of 100 columns, for a notebook's output."""
    console = Console(record=True, file=io.StringIO(), width=100, force_jupyter=False)
    console.print(shown)
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def is_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; a terminal's IPython is none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


class NotebookView:
    """An observer that shows a sweep's state in the cell that trains it; used as a context."""

    def __init__(
        self, state: Callable[[Event], None], render: Callable[[], RenderableType]
    ) -> None:
        self._state, self._render = state, render
        self._drawn = 0.0

    def __enter__(self) -> NotebookView:
        from IPython import display

        self._html = display.HTML
        self._output: Any = display.display(self._html(html(self._render())), display_id=True)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._draw()

    def __call__(self, event: Event) -> None:
        """From the recorder's thread."""
        self._state(event)
        if not isinstance(event, Progress) or time.monotonic() - self._drawn > REDRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._output.update(self._html(html(self._render())))
