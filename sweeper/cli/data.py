"""`sweeper data`: the audio and the latents made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.options import (
    DataRoot,
    Dataset,
    Encoder,
    PresetName,
    SoundFont,
    dataset_path,
    encoder_of,
)
from sweeper.console.terminal import console

data_app = typer.Typer(help="Render or read the audio and cache its latents.", no_args_is_help=True)


def _add_command(name: str, help: str) -> None:
    """`prepare` and `info` take the same options."""

    @data_app.command(name, help=help)
    def command(
        preset: PresetName = "paper",
        dataset: Dataset = "notes",
        encoder: Encoder = None,
        soundfont: SoundFont = None,
        data_root: DataRoot = None,
    ) -> None:
        from sweeper.commands.data import describe_preset, prepare_preset
        from sweeper.data.latents import Source

        source = Source(encoder_of(encoder, preset), dataset_path(dataset, soundfont, data_root))
        act = prepare_preset if name == "prepare" else describe_preset
        act(preset, dataset, source, console())


_add_command("prepare", "Make the latents of a preset now, so that a launch finds them ready.")
_add_command("info", "Show what the cached latents of a preset hold.")


@data_app.command("fetch")
def data_fetch(
    name: Annotated[
        str, typer.Argument(help="nsynth (to --data-root), or nsynth-mini (to the hub's cache).")
    ],
    data_root: Annotated[
        Path | None, typer.Option("--data-root", help="Directory for the archives.")
    ] = None,
    parts: Annotated[
        str, typer.Option(help="Which archives, of train,valid,test; the study needs no valid.")
    ] = "train,test",
    url: Annotated[
        str | None, typer.Option(help="Where the archives are: a mirror of the published place.")
    ] = None,
) -> None:
    """Download a published dataset; the same command goes on after a break."""
    from sweeper.commands.fetch import BASE, fetch

    fetch(name, data_root, parts, url or BASE, console())
