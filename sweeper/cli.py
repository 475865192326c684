"""The command line. A command parses and calls one function; heavy imports live inside it."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer._click.exceptions import ClickException  # Typer vendors Click and re-exports no base

from sweeper import __version__
from sweeper.errors import SweeperError

app = typer.Typer(
    name="sweeper",
    help="Ablation sweeps with a results database: train a grid of cells, resume it, draw it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start here: [bold]sweeper launch --grid smoke --preset smoke --db try.db[/bold]",
)
data_app = typer.Typer(help="Render or read the audio and cache its latents.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Table(StrEnum):
    csv = "csv"
    parquet = "parquet"
    json = "json"


class Picture(StrEnum):
    png = "png"
    pdf = "pdf"
    svg = "svg"


Name = Annotated[str | None, typer.Argument(help="The sweep; the one launched last by default.")]
Db = Annotated[
    str, typer.Option("--db", help="Results database: a file, or postgresql+psycopg://…")
]
PresetName = Annotated[
    str, typer.Option("--preset", help="Size of the study: paper, quick, smoke.")
]
Dataset = Annotated[str, typer.Option(help="Where the clips come from: notes, nsynth.")]
Encoder = Annotated[
    str,
    typer.Option(
        help="The frozen encoder: logmel; or audiomae, dac, encodec, ast, clap, hf, with "
        ":PATH_OR_HUB_NAME for weights of your own."
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
Storage = Annotated[
    str | None,
    typer.Option(
        help="Where checkpoints and results are kept: a directory or a URI such as s3://…; "
        "the cache by default."
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try failed runs once more.")]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sweeper {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def launch(
    grid: Annotated[
        str, typer.Option(help="full, ablation, baselines, smoke, or a TOML file.")
    ] = "full",
    preset: PresetName = "paper",
    seeds: Annotated[int, typer.Option(help="Seeds 0 … N-1 for every cell.")] = 1,
    dataset: Dataset = "notes",
    encoder: Encoder = "logmel",
    soundfont: SoundFont = None,
    data_root: DataRoot = None,
    db: Db = "results.db",
    name: Annotated[
        str | None, typer.Option(help="Name of the sweep; grid and preset by default.")
    ] = None,
    address: Address = None,
    pack: Annotated[
        str, typer.Option(help="Runs trained together in a process, or auto.")
    ] = "auto",
    device: Annotated[Device, typer.Option(help="Where packs train.")] = Device.auto,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what is done, what is missing, how long.")
    ] = False,
    retry_failed: RetryFailed = False,
    storage: Storage = None,
) -> None:
    """Train every cell of a grid that is not done yet, and store what it scores.

    The same command again does only what is missing. Exit codes: 0 all finished, 1 bad input,
    2 some runs failed or diverged, 3 another driver holds the sweep, 130 / 143 interrupted.
    """
    from sweeper import launch as launching

    request = launching.Request(
        grid=grid,
        preset=preset,
        seeds=seeds,
        dataset=dataset,
        encoder=encoder,
        source=_source(dataset, soundfont, data_root),
        device=device.value,
        pack=_pack_size(pack),
        storage=_absolute(storage),
    )
    if dry_run:
        launching.dry_run(request, db, name, _console())
        return
    code = launching.launch(
        request, db, name, address=address, retry_failed=retry_failed, console=_console()
    )
    raise typer.Exit(code)


def _absolute(storage: str | None) -> str | None:
    return storage if storage is None or "://" in storage else str(Path(storage).absolute())


def _source(dataset: str, soundfont: Path | None, data_root: str | None) -> str | None:
    """The SoundFont of the notes, or the root of another dataset: a path or a hub's name."""
    if dataset == "notes":
        return None if soundfont is None else str(soundfont.absolute())
    return str(Path(data_root).absolute()) if data_root and Path(data_root).exists() else data_root


def _pack_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise SweeperError(f"--pack {text}: a number of runs, or auto")
    return int(text)


@app.command()
def resume(
    name: Name = None,
    db: Db = "results.db",
    address: Address = None,
    retry_failed: RetryFailed = False,
) -> None:
    """Go on with a sweep: train what is missing, and nothing else."""
    from sweeper import launch as launching

    code = launching.resume(
        name, db, address=address, retry_failed=retry_failed, console=_console()
    )
    raise typer.Exit(code)


@app.command()
def recover(db: Db = "results.db", storage: Storage = None) -> None:
    """Rebuild a lost database from what every finished run leaves in its sweep's storage."""
    from sweeper.recover import recover as rebuild

    raise typer.Exit(rebuild(db, _absolute(storage), _console()))


@app.command()
def status(
    name: Name = None,
    db: Db = "results.db",
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
) -> None:
    """Show how a sweep stands. Reads only."""
    from sweeper.status import show

    show(db, name, watch=watch, as_json=as_json, console=_console())


@app.command()
def report(
    name: Name = None,
    figure: Annotated[
        list[int] | None, typer.Option("--figure", help="2, 3 or 4; may be repeated.")
    ] = None,
    table: Annotated[list[int] | None, typer.Option("--table", help="1.")] = None,
    out: Annotated[Path, typer.Option(help="Directory for the pictures and tables.")] = Path(
        "report"
    ),
    format: Annotated[
        list[Picture] | None, typer.Option("--format", help="png, pdf or svg; may be repeated.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's numbers beside ours.")
    ] = False,
    db: Db = "results.db",
) -> None:
    """Draw Figures 2-4 and Table 1 from the database alone: all of them by default."""
    from sweeper.reporting import write_report

    write_report(
        db, name, figure, table, out, [p.value for p in format or Picture], paper, _console()
    )


@app.command()
def search(
    name: Name = None,
    trials: Annotated[int, typer.Option(help="Cells to add to the sweep.")] = 16,
    db: Db = "results.db",
    address: Address = None,
) -> None:
    """Look between the grid's points: Optuna proposes cells, the sweep trains and keeps them."""
    from sweeper.search import search as look

    raise typer.Exit(look(db, name, trials, address, _console()))


@app.command()
def export(
    name: Name = None,
    format: Annotated[Table, typer.Option("--format", help="csv, parquet or json.")] = Table.csv,
    out: Annotated[
        Path | None, typer.Option(help="File to write; standard output by default.")
    ] = None,
    db: Db = "results.db",
) -> None:
    """Write a sweep's results, one row a cell."""
    from sweeper.export import export as write

    write(db, name, format.value, out)


@app.command()
def bench(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A rough look in half a minute, not a claim.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where the arms train.")] = Device.auto,
) -> None:
    """Measure the claims of speed here and now, beside the loops that a user would write."""
    from sweeper.bench.show import run

    run(quick=quick, as_json=as_json, device=device.value, console=_console())


@app.command()
def doctor(db: Db = "results.db") -> None:
    """Check versions, devices, cache and database, and say what would go wrong."""
    from sweeper.doctor import examine

    raise typer.Exit(examine(db, _console()))


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

    source = Source(encoder, _source(dataset, soundfont, data_root))
    prepare_preset(preset, dataset, source, _console())


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

    source = Source(encoder, _source(dataset, soundfont, data_root))
    describe_preset(preset, dataset, source, _console())


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)


def main() -> None:
    """Entry point: a user's error is one line on standard error and exit code 1."""
    try:
        sys.exit(app(standalone_mode=False))
    except SweeperError as error:
        print(f"sweeper: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ClickException as error:
        context = getattr(error, "ctx", None)  # a usage error knows which command it was
        command = context.command_path if context else "sweeper"
        if message := error.format_message().rstrip("."):  # empty when the help was printed
            print(f"{command}: {message}; see `{command} --help`", file=sys.stderr)
        sys.exit(1)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
