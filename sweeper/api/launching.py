"""A sweep launched from Python."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from rich.console import Console

from models.names import unknown
from sweeper.api.opening import open
from sweeper.api.sweep import Sweep
from sweeper.console.terminal import console as terminal
from sweeper.errors import ClusterDiedError, SweeperError
from sweeper.ledger.url import to_write
from sweeper.study import toml
from sweeper.study.request import requested

EXECUTORS = ("inline", "ray")
DEVICES = ("auto", "cpu", "cuda")


def launch(
    grid: str | PathLike[str] | Mapping[str, Any] = "full",
    *,
    preset: str = "paper",
    db: str | PathLike[str] | None = None,
    seeds: int = 1,
    baseline_seeds: int | None = None,
    name: str | None = None,
    note: str | None = None,
    dataset: str | None = None,
    encoder: str | None = None,
    source: str | PathLike[str] | None = None,
    plugins: Iterable[str | PathLike[str]] = (),
    executor: str = "inline",
    address: str | None = None,
    device: str = "auto",
    precision: str | None = None,
    retry_failed: bool = False,
    weights: bool = True,
) -> Sweep:
    """Trains what is missing of a sweep, as `sweeper launch` does, and opens it.

    `grid` is a name, a grid file or a dict of its keys, which needs a `name`. `source` is a
    SoundFont for the dataset `notes`, else the dataset's directory. `executor` "inline" trains in
    this process, "ray" in others, with `address` those of a cluster. Progress is
    printed; in a notebook the grid is drawn as it fills.
    `precision` is that of the products in training: "ieee", "bf16", on GPUs "tf32".
    `weights` are kept beside the results, for `Sweep.encoder`.

    Cells that fail raise nothing: see `Sweep.status`. Raises SweeperError on bad input,
    SweepHeldError where another driver has the sweep, ClusterDiedError where Ray died, and
    KeyboardInterrupt when it was stopped; a second signal ends this process at once. The same call
    goes on.

    >>> grid = {"principles": ["Cosine"], "objectives": ["SEP"], "lambdas": [0.6, 1.0]}
    >>> sweep = sweeper.launch(grid, preset="smoke", db="mine.db", name="mine", device="cpu")
    in a browser: sweeper serve --db mine.db
    ...
    >>> sweep
    <Sweep mine in mine.db: 2 of 2 cells finished>
    """
    from sweeper.commands import launch as launching  # late: readers need none of it

    for what, asked, known in (("executor", executor, EXECUTORS), ("device", device, DEVICES)):
        if asked not in known:
            raise SweeperError(unknown(what, asked, known))
    grid, text, files = _grid_of(grid, name)
    request = requested(
        grid,
        preset,
        text=text,
        plugins=[*files, *map(str, plugins)],
        dataset=dataset,
        encoder=encoder,
        source=lambda _: None if source is None else _place_of(source),
        seeds=seeds,
        baseline_seeds=baseline_seeds,
        device=device,
        precision=precision,
        weights=weights,
    )
    made_by, where = (
        launching.executor_of(executor, address, device),
        to_write(None if db is None else str(db)),
    )
    console = _console()
    code = launching.launch(
        request, where, name, made_by, note=note, retry_failed=retry_failed, console=console
    )
    if code > 128:
        raise KeyboardInterrupt
    if code == ClusterDiedError.exit_code:
        raise ClusterDiedError("the Ray cluster died; the same call goes on")
    return open(where, request.sweep_name(name))


def _place_of(source: str | PathLike[str]) -> str:
    """By its whole path, for workers; what is not there may be a hub's name."""
    return str(Path(source).absolute() if Path(source).exists() else source)


def _console() -> Console:
    """In a notebook plain lines beside console.notebook: rich would make HTML of each.

    Jupyter's kernels ask for colours by FORCE_COLOR, which rich takes for a terminal.
    """
    return terminal(force_jupyter=False, force_terminal=sys.stdout.isatty())


def _grid_of(
    grid: str | PathLike[str] | Mapping[str, Any], name: str | None
) -> tuple[str, str | None, list[str]]:
    """Its name, and of a dict the text of a file that holds it, and the plugins that it names."""
    if not isinstance(grid, Mapping):
        return str(grid), None, []
    if name is None:
        raise SweeperError("a grid that is a dict has no name; give the sweep one: name=…")
    files = grid.get("plugins", [])
    if not isinstance(files, list):
        raise SweeperError("plugins must be a list of Python files or modules")
    return f"{name}.toml", toml.document(grid), [str(file) for file in files]
