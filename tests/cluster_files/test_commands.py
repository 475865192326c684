"""Every command that a file of cluster/ gives is one that sweeper, or Ray, accepts."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer

from sweeper.cli.app import app
from sweeper.study.grid import load_grid
from tests.cluster_files.files import CONSTRAINTS, PROJECT, document, readme_commands, sweeper_lines


def parse(command: Any, name: str, arguments: list[str]) -> dict[str, Any]:
    """Parses a command line as the program itself does, and runs nothing of it."""
    context = command.make_context(name, list(arguments))
    if not hasattr(command, "commands"):
        return dict(context.params)
    rest = [*context._protected_args, *context.args]
    verb, subcommand, rest = command.resolve_command(context, rest)
    return parse(subcommand, verb, rest)


@pytest.mark.parametrize(("file", "arguments"), sweeper_lines())
def test_every_sweeper_command_is_one_that_its_parser_accepts(
    file: str, arguments: list[str]
) -> None:
    parsed = parse(typer.main.get_command(app), "sweeper", arguments)
    if "grid" in parsed:
        assert load_grid(parsed["grid"]).cells(1)


def test_an_option_that_sweeper_lacks_would_be_noticed() -> None:
    with pytest.raises(Exception, match="--gird"):
        parse(typer.main.get_command(app), "sweeper", ["launch", "--gird", "full"])


def test_every_launch_on_a_cluster_joins_it() -> None:
    """Without --address the driver would start a cluster of its own on its node."""
    launches = [words for file, words in sweeper_lines() if "--db" in words and "launch" in words]
    assert len(launches) == 3
    assert all(words[words.index("--address") + 1] == "auto" for words in launches)


def test_every_ray_command_of_the_page_is_one_that_ray_accepts() -> None:
    from ray.scripts.scripts import cli

    commands = [words for words in readme_commands() if words[0] == "ray"]
    inner = [shlex.split(words[-1]) for words in commands if words[1] == "exec"]
    assert [words[:2] for words in inner] == [["ray", "status"], ["ray", "job"]]
    for words in commands + inner:
        parse(cli, "ray", words[1:])


def test_the_files_name_the_versions_that_the_constraints_pin() -> None:
    cluster = document("rayjob.yaml")["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == CONSTRAINTS["ray"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {pod["template"]["spec"]["containers"][0]["image"] for pod in pods}
    assert images == {f"{PROJECT['name']}:{PROJECT['version']}"}
