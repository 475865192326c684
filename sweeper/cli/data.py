"""`sweeper data`: the audio and the latents made of it."""

from __future__ import annotations

import typer

from sweeper.cli.options import (
    DataRoot,
    Dataset,
    Encoder,
    PresetName,
    SoundFont,
    console,
    dataset_path,
)

data_app = typer.Typer(help="Render or read the audio and cache its latents.", no_args_is_help=True)


@data_app.command("prepare")
def data_prepare(
    preset: PresetName = "paper",
    dataset: Dataset = "notes",
    encoder: Encoder = "logmel",
    soundfont: SoundFont = None,
    data_root: DataRoot = None,
) -> None:
    """Make the latents of a preset now, so that a launch finds them ready."""
    from sweeper.prepare import Source, prepare_preset

    source = Source(encoder, dataset_path(dataset, soundfont, data_root))
    prepare_preset(preset, dataset, source, console())


@data_app.command("info")
def data_info(
    preset: PresetName = "paper",
    dataset: Dataset = "notes",
    encoder: Encoder = "logmel",
    soundfont: SoundFont = None,
    data_root: DataRoot = None,
) -> None:
    """Show what the cached latents of a preset hold."""
    from sweeper.prepare import Source, describe_preset

    source = Source(encoder, dataset_path(dataset, soundfont, data_root))
    describe_preset(preset, dataset, source, console())
