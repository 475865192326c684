"""`sweeper grid`: what a grid file may hold, and what one would train."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.options import (
    DataRoot,
    Encoder,
    OptionalDataset,
    PresetName,
    SoundFont,
    dataset_path,
)
from sweeper.console.terminal import console

grid_app = typer.Typer(help="Write a grid file of your own, and check it.", no_args_is_help=True)


@grid_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="full, ablation, baselines or smoke.")] = "full",
) -> None:
    """Print a built-in grid as a file to start from."""
    from sweeper.commands.grid import as_file

    typer.echo(as_file(name), nl=False)


@grid_app.command("fields")
def fields(preset: PresetName = "paper") -> None:
    r"""Print every option that a grid file may set in its section, or vary in \[axes]."""
    from sweeper.commands.grid import options

    typer.echo(options(preset), nl=False)


@grid_app.command("check")
def check(
    grid: Annotated[str, typer.Argument(help="A grid file, or a built-in grid.")],
    preset: PresetName = "paper",
    seeds: Annotated[int, typer.Option(help="Seeds 0 … N-1 for every cell.")] = 1,
    dataset: OptionalDataset = None,
    encoder: Encoder = None,
    soundfont: SoundFont = None,
    data_root: DataRoot = None,
) -> None:
    """Say how many cells and runs a grid has, or what is wrong with it; nothing is written."""
    from sweeper.commands.grid import check as check_grid
    from sweeper.study.request import requested

    request = requested(
        grid,
        preset,
        dataset=dataset,
        encoder=encoder,
        source=lambda chosen: dataset_path(chosen, soundfont, data_root),
        seeds=seeds,
    )
    check_grid(request, console())
