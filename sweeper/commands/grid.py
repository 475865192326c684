"""`sweeper grid`: a built-in grid as a file to start from, and what a file would train."""

from __future__ import annotations

import json

from rich.console import Console

from models.names import unknown
from models.spec import GAMMA_RULES, LATENT_ACTIVATIONS, POOLINGS, PRECISIONS
from sweeper.console.summary import print_plan
from sweeper.errors import SweeperError
from sweeper.study import toml
from sweeper.study.axes import fields
from sweeper.study.config import SPLITS_BY
from sweeper.study.grid import GRIDS
from sweeper.study.plan import Plan, with_references
from sweeper.study.presets import preset as preset_of
from sweeper.study.request import Request
from sweeper.sweep import expand

MEANINGS = {
    "data.encoder": "the frozen encoder: see sweeper encoders list",
    "data.train_clips": "clips to train on",
    "data.valid_clips": "clips to stop by and to choose by",
    "data.downstream_clips": "clips for the probes: to train, validate and test them",
    "data.split": f"how those are divided: {' or '.join(SPLITS_BY)} (then a note is in two parts)",
    "model.hidden": "width of the hidden layers; null: of the latents",
    "model.latent_activation": f"of the encoders' output: {' or '.join(LATENT_ACTIVATIONS)}",
    "model.pool": f"of a clip's frames: {', '.join(POOLINGS)}, or encoder: as it advises",
    "loss.temperature": "of InfoNCE's SIM; above 0",
    "loss.epsilon": "the least that a logarithm is taken of",
    "loss.vicreg": "VICReg's weights of invariance, variance and covariance",
    "loss.gamma": f"scale of L_rec: {', '.join(GAMMA_RULES)}, or fixed:NUMBER",
    "training.epochs": "",
    "training.batch_pairs": "pairs of clips a step; 2 at least",
    "training.lr": "of AdamW",
    "training.weight_decay": "of AdamW",
    "training.precision": f"of products: {', '.join(PRECISIONS)}; tf32 on CUDA alone",
    "probe.epochs": "",
    "probe.batch": "clips a step",
    "probe.lr": "of AdamW",
    "probe.weight_decay": "of AdamW",
    "probe.dropout": "on the probe's input; 0 to 0.99",
}

COMMENT = 40  # columns before what an option means
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


def check(request: Request, console: Console) -> None:
    """Prints cells, runs and kinds of what a launch would be asked for; SweeperError on bad ones.

    Nothing is rendered, trained or written.
    """
    cells = expand(request)
    plan = Plan(tuple(with_references(run for _, run in cells)), {})
    print_plan(plan, cells, request.sweep_name(None), "no database", None, console)


def options(preset: str) -> str:
    """Every field that a grid file may set or vary, with its value in a preset and its meaning."""
    study = preset_of(preset)
    named = ((axis, *axis.split(".", 1)) for axis in fields())
    values = ((axis, getattr(getattr(study, section), name)) for axis, section, name in named)
    told = [(f"{axis} = {json.dumps(value, ensure_ascii=False)}", axis) for axis, value in values]
    return "".join(
        f"{line:{COMMENT}}# {MEANINGS[axis]}\n" if MEANINGS.get(axis) else f"{line}\n"
        for line, axis in told
    )
