"""The commands of a sweep: from launch to report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli import completion
from sweeper.cli.options import (
    Address,
    AsJson,
    DataRoot,
    Db,
    DbToWrite,
    Device,
    Drawing,
    Encoder,
    Executor,
    GridName,
    Name,
    Names,
    Notify,
    OptionalDataset,
    Picture,
    PresetName,
    RetryFailed,
    RowOf,
    Shown,
    SoundFont,
    Storage,
    Table,
    Where,
    dataset_path,
    pack_size,
    storage_of,
)
from sweeper.console.terminal import console
from sweeper.errors import SweeperError


def launch(
    grid: GridName = "full",
    preset: PresetName = "paper",
    seeds: Annotated[int, typer.Option(help="Seeds 0 … N-1 for every cell.")] = 1,
    baseline_seeds: Annotated[
        int | None,
        typer.Option(help="Seeds of the baselines, where they are to have more than the grid."),
    ] = None,
    dataset: OptionalDataset = None,
    encoder: Encoder = None,
    soundfont: SoundFont = None,
    data_root: DataRoot = None,
    db: DbToWrite = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the sweep; grid and preset by default.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(help="What the sweep is for: shown by status and list.")
    ] = None,
    address: Address = None,
    pack: Annotated[
        str, typer.Option(help="Runs trained together in a process, or auto.")
    ] = "auto",
    device: Annotated[Device, typer.Option(help="Where packs train.")] = Device.auto,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Of the products in training: ieee (single, the default), bf16, or on GPUs tf32. "
            "Runs of another precision are other runs, and other results."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what is done, what is missing, how long.")
    ] = False,
    retry_failed: RetryFailed = False,
    storage: Storage = None,
    no_weights: Annotated[
        bool,
        typer.Option(
            "--no-weights",
            help="Keep no trained weights beside the results: 0.3 MB a run of latents as wide as "
            "mae's, 12 MB of audiomae's.",
        ),
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(help="A Python file or module with principles, encoders, datasets of yours."),
    ] = None,
    executor: Executor = Where.ray,
    page: Annotated[
        bool, typer.Option("--page", help="Show the sweep in a browser while it trains.")
    ] = False,
    notify: Notify = None,
) -> None:
    """Train every cell of a grid that is not done yet, and store what it scores.

    The same command again does only what is missing. Exit codes: 0 all finished, 1 bad input,
    2 some runs failed or diverged, 3 another driver holds the sweep, 4 Ray died in mid-sweep
    (resume), 130 / 143 interrupted. An address with no cluster is bad input.
    """
    from sweeper.commands import launch as launching
    from sweeper.commands.notify import notified
    from sweeper.ledger.url import DEFAULT, to_write
    from sweeper.study.request import requested

    request = requested(
        grid,
        preset,
        plugins=plugin or (),
        dataset=dataset,
        encoder=encoder,
        source=lambda chosen: dataset_path(chosen, soundfont, data_root),
        seeds=seeds,
        baseline_seeds=baseline_seeds,
        device=device.value,
        precision=precision,
        pack=pack_size(pack),
        storage=storage_of(storage),
        weights=not no_weights,
    )
    if dry_run:
        launching.dry_run(request, DEFAULT if db is None else db, name, console())
        return
    made_by = launching.executor_of(executor.value, address, device.value)
    where, out = to_write(db), console()

    def work() -> int:
        return launching.launch(
            request,
            where,
            name,
            made_by,
            note=note,
            retry_failed=retry_failed,
            page=page,
            console=out,
        )

    raise typer.Exit(notified(notify, where, request.sweep_name(name), out, work))


def resume(
    name: Name = None,
    db: DbToWrite = None,
    address: Address = None,
    retry_failed: RetryFailed = False,
    executor: Executor = Where.ray,
    notify: Notify = None,
) -> None:
    """Go on with a sweep: train what is missing, and nothing else."""
    from sweeper.commands import launch as launching
    from sweeper.commands.notify import notified
    from sweeper.ledger.url import to_write

    made_by = launching.executor_of(executor.value, address)
    where, out = to_write(db), console()

    def work() -> int:
        return launching.resume(name, where, made_by, retry_failed=retry_failed, console=out)

    raise typer.Exit(notified(notify, where, name, out, work))


def recover(db: DbToWrite = None, storage: Storage = None) -> None:
    """Rebuild a lost database from what every finished run leaves in its sweep's storage."""
    from sweeper.commands.recover import recover as rebuild
    from sweeper.ledger.url import to_write

    raise typer.Exit(rebuild(to_write(db), storage_of(storage), console()))


def status(
    name: Name = None,
    db: Db = "results.db",
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on looking until nothing trains any more.")
    ] = False,
    as_json: AsJson = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every sweep in a line, and what to type next.")
    ] = False,
) -> None:
    """Show how a sweep stands, or with --all how every one does. Reads only.

    With --watch the exit code is the sweep's: 0 all finished, 2 something is missing or failed.

    With --json: counts of cells and of runs by state, `eta_seconds`, `failures`, `events`; without
    --watch also `configurations`, the rows of `export --by configuration`: means over seeds with
    the ends of their 95 % intervals (`delta_pitch`, `delta_pitch_low`, `delta_pitch_high`, …).
    """
    if every:
        from sweeper.commands.list import show_next

        if name is not None or watch:
            raise SweeperError("--all is every sweep, once; leave out the name and --watch, or it")
        show_next(db, as_json, console())
        return
    from sweeper.commands.status import show

    raise typer.Exit(show(db, name, watch=watch, as_json=as_json, console=console()))


def report(
    names: Names = None,
    html: Annotated[
        bool, typer.Option("--html", help="One interactive page instead, that needs no network.")
    ] = False,
    figure: Annotated[
        list[Drawing] | None,
        typer.Option(
            "--figure",
            help="The paper's 2, 3, 4, or claims, lambda, variance, pareto; may be repeated.",
        ),
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
    claims: Annotated[
        bool, typer.Option("--claims", help="Print the verdicts on the paper's claims instead.")
    ] = False,
    as_json: AsJson = False,
    db: Db = "results.db",
) -> None:
    """Draw the paper's figures and table, and ours, from the database alone: all by default.

    With --html: report.html, the sweep as one page, to be looked at in a browser and handed over.
    With --claims: the paper's claims and how each stands, printed.
    """
    names = names or []
    if as_json and not claims:
        raise SweeperError("--json is of --claims; `sweeper export --format document` has the rest")
    if claims and (html or figure or table or format or paper):
        raise SweeperError(
            "--claims prints a table; leave out --html, --figure, --table, --format, --paper"
        )
    if html:
        from sweeper.commands.page import write_page

        if figure or table or format or paper:
            raise SweeperError(
                "--html is one page with everything; leave out --figure, --table, --format, --paper"
            )
        write_page(db, names, out, console())
        return
    from sweeper.commands.report import write_report

    if len(names) > 1:
        raise SweeperError("several sweeps are drawn side by side with --html alone; name one")
    if claims:
        from sweeper.commands.claims import show_claims

        show_claims(db, next(iter(names), None), as_json, console())
        return
    figures, formats = [f.value for f in figure or ()], [p.value for p in format or Picture]
    write_report(db, next(iter(names), None), figures, table, out, formats, paper, console())


def serve(
    sweeps: Shown = None,
    db: Db = "results.db",
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    token: Annotated[
        str | None, typer.Option(help="What readers must show; made where it is needed.")
    ] = None,
) -> None:
    """Show the page of `report --html` in a browser while the sweep trains. Reads only.

    Every sweep of the database can be chosen there. The page goes on when the database changes.
    """
    from sweeper.commands.serve import serve as show

    raise typer.Exit(show(db, sweeps or [], host, port, token, console()))


def search(
    name: Name = None,
    trials: Annotated[int, typer.Option(help="Configurations to add to the sweep.")] = 16,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS=RANGE",
            help="What may be chosen: lam=0.1:0.9, loss.temperature=0.05:2:log, "
            "training.epochs=2:8, loss.gamma=0.5:5, or values with commas between; may be "
            "repeated. By default the grid's \\[search], else its principles, objectives and axes, "
            "and λ in steps of 0.05.",
        ),
    ] = None,
    principle: Annotated[
        list[str] | None, typer.Option(help="A principle to choose from; may be repeated.")
    ] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="An objective to choose from; may be repeated.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(show_default="the sweep's", help="Seeds 0 … N-1 of every configuration."),
    ] = None,
    db: DbToWrite = None,
    address: Address = None,
    executor: Executor = Where.ray,
) -> None:
    """Look between the grid's points: Optuna proposes cells, the sweep trains and keeps them.

    The same command after an interruption goes on. An Optuna study is kept beside the database.
    """
    from sweeper.commands.launch import executor_of
    from sweeper.commands.search import search as look
    from sweeper.ledger.url import to_write

    named = {"principle": principle, "objective": objective}
    asked = [*(over or ()), *(f"{axis}={','.join(of)}" for axis, of in named.items() if of)]
    made_by = executor_of(executor.value, address)
    raise typer.Exit(look(to_write(db), name, trials, made_by, console(), asked, seeds))


def export(
    name: Name = None,
    format: Annotated[
        Table,
        typer.Option(
            "--format",
            help="csv, parquet, json; document: all that the report page shows, as one JSON; "
            "or tensorboard, mlflow, wandb (offline): the finished runs as its logs.",
        ),
    ] = Table.csv,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, for logs a directory; standard output by default."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="The rows of every sweep, by column `sweep`.")
    ] = False,
    by: Annotated[
        RowOf, typer.Option(help="A row a configuration has means over seeds with their intervals.")
    ] = RowOf.cell,
    db: Db = "results.db",
) -> None:
    """Write a sweep's results, or every sweep's, one row a cell or a configuration."""
    from sweeper.commands.export import export as write

    write(db, name, every, format.value, out, by.value)


def bench(
    as_json: AsJson = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A rough look in about a minute, not a claim.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where the arms train.")] = Device.auto,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Take this preset's full grid as the sweep from a cold start, not a small one: "
            "minutes to an hour.",
            autocompletion=completion.presets,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure the claims of speed here and now, beside the loops that a user would write."""
    from sweeper.bench.render import run
    from sweeper.study import presets

    if preset is not None:
        presets.preset(preset)  # unknown: before anything is measured
    run(quick=quick, as_json=as_json, device=device.value, console=console(), preset=preset)


def doctor(db: Db = "results.db") -> None:
    """Check versions, devices, cache and database, and say what would go wrong."""
    from sweeper.commands.doctor import examine

    raise typer.Exit(examine(db, console()))
