"""`sweeper encoders`: the frozen encoders, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli import completion
from sweeper.cli.options import (
    DataRoot,
    Dataset,
    DbToWrite,
    Device,
    Picture,
    PresetName,
    SoundFont,
    dataset_path,
)
from sweeper.console.terminal import console

encoders_app = typer.Typer(
    help="Frozen encoders: list them, compare them, or pre-train one.", no_args_is_help=True
)


@encoders_app.command("list")
def encoders_list() -> None:
    """Show every encoder: what it takes and gives, what it costs, whether it can be used here."""
    from sweeper.commands.encoders import show

    show(console())


@encoders_app.command("compare")
def encoders_compare(
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME, or NAME:PATH_OR_HUB_NAME; may be repeated. By default all whose weights "
            "are at hand.",
            autocompletion=completion.encoders,
        ),
    ] = None,
    preset: PresetName = "paper",
    seeds: Annotated[int, typer.Option(help="Seeds 0 … N-1 of the probes.")] = 1,
    dataset: Dataset = "notes",
    soundfont: SoundFont = None,
    data_root: DataRoot = None,
    db: DbToWrite = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the sweep; encoders and preset by default.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the probes train.")] = Device.auto,
    out: Annotated[Path, typer.Option(help="Directory for the figure and the table.")] = Path(
        "report"
    ),
    format: Annotated[
        list[Picture] | None, typer.Option("--format", help="png, pdf or svg; may be repeated.")
    ] = None,
) -> None:
    """Probe the raw latents of several encoders and draw maps of the clips, side by side.

    A sweep like any other: the same command again does only what is missing, another encoder
    joins those that are there, and `sweeper report` draws the figure again.
    """
    from sweeper.commands.compare import compare
    from sweeper.ledger.url import to_write
    from sweeper.study.request import Request

    request = Request(
        grid="encoders",
        preset=preset,
        seeds=seeds,
        dataset=dataset,
        source=dataset_path(dataset, soundfont, data_root),
        device=device.value,
    )
    formats = [picture.value for picture in format or Picture]
    raise typer.Exit(compare(request, encoder, to_write(db), name, out, formats, console()))


@encoders_app.command("pretrain")
def encoders_pretrain(
    out: Annotated[Path, typer.Option(help="The file of weights to make.")],
    clips: Annotated[int, typer.Option(help="Notes to render and learn from.")] = 16_000,
    epochs: Annotated[int, typer.Option(help="Passes over them.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the first weights, the batches, the masks.")] = 0,
    soundfont: SoundFont = None,
) -> None:
    """Pre-train a small masked autoencoder on rendered notes; use it with --encoder mae:FILE.

    Interrupted, the same command goes on from the last whole epoch.
    """
    from models.encoders.mae_pretraining import Recipe
    from sweeper.commands.pretrain import PretrainRequest, pretrain

    request = PretrainRequest(out, clips, Recipe(epochs=epochs, seed=seed), soundfont=soundfont)
    raise typer.Exit(pretrain(request, console()))
