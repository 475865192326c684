"""Every command by its name, and what becomes of errors."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from sweeper import __version__
from sweeper.cli import sweep as study
from sweeper.cli import sweeps
from sweeper.cli.data import data_app
from sweeper.cli.encoders import encoders_app
from sweeper.cli.grid import grid_app
from sweeper.console.terminal import console
from sweeper.console.words import printable
from sweeper.errors import SweeperError, redact

app = typer.Typer(
    name="sweeper",
    help="Ablation sweeps with a results database: train a grid of cells, resume it, draw it.",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start here: [bold]sweeper launch --grid smoke --preset smoke --db try.db[/bold]",
)
for command in (
    study.launch,
    study.resume,
    study.recover,
    study.status,
    sweeps.list_,
    sweeps.diff,
    study.report,
    study.serve,
    study.search,
    study.export,
    sweeps.retrain,
    sweeps.forget,
    sweeps.verify,
    study.bench,
    study.doctor,
):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(data_app, name="data")
app.add_typer(grid_app, name="grid")
app.add_typer(encoders_app, name="encoders")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sweeper {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from sweeper.ledger.connect import is_there
    from sweeper.ledger.url import DEFAULT

    if is_there(DEFAULT):
        from sweeper.commands.list import show_next

        show_next(DEFAULT, False, console())
        typer.echo("\nall commands: sweeper --help")
    else:
        typer.echo(context.get_help())


def run() -> int | None:
    """The exit code; a user's error is one line on standard error and 1."""
    try:
        return app(prog_name="sweeper", standalone_mode=False)  # type: ignore[no-any-return]
    except SweeperError as error:
        print(f"sweeper: {printable(error)}", file=sys.stderr)
        return error.exit_code
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)  # a usage error knows which command it was
        command = context.command_path if context else "sweeper"
        # Empty when the help was printed; "Value error" is the parser's word, and says nothing.
        if message := error.format_message().rstrip(".").replace("Value error, ", ""):
            then = " See" if message.endswith("?") else "; see"
            print(f"{command}: {printable(message)}{then} `{command} --help`", file=sys.stderr)
        return 1
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return 0
    except Exception:  # a defect: the traceback is all that there is to say
        print(redact(traceback.format_exc()), file=sys.stderr)
        return 1
