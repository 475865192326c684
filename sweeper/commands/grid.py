"""`sweeper grid`: a built-in grid as a file to start from, and what a file would train."""

from __future__ import annotations

import json

from rich.console import Console

from models.names import unknown
from sweeper.console.summary import print_plan
from sweeper.errors import SweeperError
from sweeper.study import toml
from sweeper.study.axes import fields
from sweeper.study.grid import GRIDS
from sweeper.study.plan import Plan, with_references
from sweeper.study.presets import preset as preset_of
from sweeper.study.request import requested
from sweeper.sweep import expand

HEAD = "# {name}, for: sweeper launch --grid FILE. [axes] takes any option: `sweeper grid fields`\n"


def as_file(name: str) -> str:
    """A built-in grid as the text of a file that is the same grid. Raises SweeperError."""
    if name not in GRIDS:
        raise SweeperError(unknown("grid", name, GRIDS))
    grid = GRIDS[name]
    return HEAD.format(name=name) + toml.document(
        {
            "principles": grid.principles,
            "objectives": grid.objectives,
            "lambdas": grid.lambdas,
            "baselines": grid.baselines,
        }
    )


def check(grid: str, preset: str, seeds: int, console: Console) -> None:
    """Prints cells, runs and kinds of a grid at a preset's size. Raises SweeperError on bad ones.

    Nothing is rendered, trained or written.
    """
    request = requested(grid, preset, seeds=seeds)
    cells = expand(request)
    plan = Plan(tuple(with_references(run for _, run in cells)), {})
    print_plan(plan, cells, request.sweep_name(None), "no database", None, console)


def options(preset: str) -> str:
    """Every field that a grid file may set or vary, with its value in a preset."""
    study = preset_of(preset)
    named = ((axis, *axis.split(".", 1)) for axis in fields())
    values = ((axis, getattr(getattr(study, section), name)) for axis, section, name in named)
    return "".join(f"{axis} = {json.dumps(value, ensure_ascii=False)}\n" for axis, value in values)
