"""Options that several commands share, and what is read out of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli import completion
from sweeper.errors import SweeperError


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Where(StrEnum):
    ray = "ray"
    inline = "inline"


class Table(StrEnum):
    csv = "csv"
    parquet = "parquet"
    json = "json"
    document = "document"
    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


class Drawing(StrEnum):
    figure2 = "2"
    figure3 = "3"
    figure4 = "4"
    claims = "claims"
    response = "lambda"
    variance = "variance"
    pareto = "pareto"


class RowOf(StrEnum):
    cell = "cell"
    configuration = "configuration"


class Picture(StrEnum):
    png = "png"
    pdf = "pdf"
    svg = "svg"


Name = Annotated[
    str | None,
    typer.Argument(
        help="The sweep; the one launched last by default.", autocompletion=completion.sweeps
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SWEEP",
        help="The sweep; the one launched last by default. With --html several, side by side.",
        autocompletion=completion.sweeps,
    ),
]
Shown = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SWEEP",
        help="The sweeps to show side by side; the one launched last by default.",
        autocompletion=completion.sweeps,
    ),
]
Db = Annotated[
    str,
    typer.Option(
        "--db",
        show_default=False,
        help="Results database: a file, results.db by default, or postgresql+psycopg://…",
    ),
]
DbToWrite = Annotated[
    str | None,
    typer.Option(
        "--db",
        help="Results database: a file, results.db by default, or postgresql+psycopg://… One that "
        "git keeps is written to only when it is named.",
    ),
]
PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        help="Size of the study: paper, quick, smoke.",
        autocompletion=completion.presets,
    ),
]
GridName = Annotated[
    str,
    typer.Option(
        "--grid",
        help="full, ablation, baselines, smoke, or a TOML file.",
        autocompletion=completion.grids,
    ),
]
Dataset = Annotated[
    str,
    typer.Option(
        help="Where the clips come from: notes, nsynth, folder.", autocompletion=completion.datasets
    ),
]
OptionalDataset = Annotated[
    str | None,
    typer.Option(
        help="Where the clips come from: notes (by default), nsynth, folder.",
        autocompletion=completion.datasets,
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        help="The frozen encoder: logmel, mae; or audiomae, audioldm, dac, encodec, ast, clap, hf; "
        "with :PATH_OR_HUB_NAME for weights of your own. By default the preset's: mae of paper, "
        "logmel of quick and smoke.",
        autocompletion=completion.encoders,
    ),
]
DataRoot = Annotated[
    str | None, typer.Option("--data-root", help="Directory that holds the dataset's files.")
]
SoundFont = Annotated[
    Path | None,
    typer.Option("--soundfont", help="SoundFont of the notes; pretty_midi's by default."),
]
Address = Annotated[
    str | None, typer.Option(help="A running Ray cluster, such as auto; this machine by default.")
]
Executor = Annotated[
    Where,
    typer.Option(help="Who trains the packs: Ray, or one after another this process (inline)."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="Where checkpoints and results are kept: a directory or a URI such as s3://…; "
        "the cache by default."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Notify = Annotated[
    str | None,
    typer.Option(
        metavar="CMD",
        help="Run this when the sweep ends, however it does, with SWEEPER_OUTCOME, _SWEEP, "
        "_EXIT_CODE, _FINISHED, _TOTAL and _DB in its environment.",
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try failed runs once more.")]


def storage_of(storage: str | None) -> str | None:
    """A directory by its whole path, or a URI without its key, which this process remembers.

    Raises SweeperError for what is neither.
    """
    from sweeper.storage.files import remember

    if storage is None:
        return None
    if not storage.strip():
        raise SweeperError("--storage is empty; name a directory or a URI, or leave it out")
    if "://" in storage:
        return remember(storage)
    if re.match("[a-z][a-z0-9+]+:/", storage):
        raise SweeperError(
            f"--storage {storage.partition(':')[0]}:… lacks a slash; write scheme://…"
        )
    return str(Path(storage).absolute())


def dataset_path(dataset: str, soundfont: Path | None, data_root: str | None) -> str | None:
    """The SoundFont of the notes, or the root of another dataset: a path or a hub's name.

    Raises SweeperError for the one that the dataset has no use for.
    """
    if dataset == "notes":
        if data_root is not None:
            raise SweeperError(
                "--data-root: the notes are rendered; did you mean --dataset folder or nsynth?"
            )
        return None if soundfont is None else str(soundfont.absolute())
    if soundfont is not None:
        raise SweeperError(f"--soundfont: --dataset {dataset} renders no notes; leave it out")
    return str(Path(data_root).absolute()) if data_root and Path(data_root).exists() else data_root


def encoder_of(encoder: str | None, preset: str) -> str:
    """The encoder that was asked for, or the preset's. Raises SweeperError on an unknown preset."""
    from sweeper.study import presets

    return encoder or presets.preset(preset).data.encoder


def pack_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise SweeperError(f"--pack {text}: a number of runs, or auto")
    return int(text)


def agreement(yes: bool) -> Callable[[Sequence[str]], bool]:
    """What tells the user what is about to be done and asks, but with --yes, whether to go on.

    It raises SweeperError where nobody can be asked.
    """

    def ask(lines: Sequence[str]) -> bool:
        if yes:
            typer.echo("\n".join(lines))
            return True
        if not sys.stdin.isatty():
            raise SweeperError("there is no terminal to ask you at; with --yes nothing is asked")
        return typer.confirm("\n".join([*lines, "Go on?"]))

    return ask
