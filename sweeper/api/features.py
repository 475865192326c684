"""What a run has learnt: its trained encoders, and the latents that they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from sqlalchemy import Engine
from torch import Tensor

from models.names import unknown
from models.trained import Encoders
from sweeper.data.clips import LOWEST_PITCH, PARTS, SPLITS
from sweeper.data.latents import open_latents
from sweeper.errors import SweeperError, instead
from sweeper.ledger import read
from sweeper.ledger.connect import ledger_id
from sweeper.storage.files import Storage, ledger_root, reachable
from sweeper.storage.weights import BadWeightsError, RunWeights, find_weights
from sweeper.study.config import RunConfig

Cell = str | Mapping[str, Any] | pd.Series


def encoder(engine: Engine, sweep: str, cell: Cell, seed: int) -> Encoders:
    """See Sweep.encoder."""
    label, run = _run_of(engine, sweep, cell, seed)
    if run.model is None:
        raise SweeperError(f"'{label}' trains nothing: its features are the latents(), pooled")
    pack = read.scoring_pack(engine, run.key)
    if pack is None:
        state = read.plan_of(engine, [run]).state_of(run)
        raise SweeperError(f"'{label}' is {state} and has no weights; only finished runs have")
    kept = _weights_of(engine, sweep, label, run, pack)
    layers = {name: torch.from_numpy(np.array(layer)) for name, layer in kept.layers.items()}
    return Encoders(layers, dataclasses.replace(run.model, pool=kept.pool))


def _weights_of(engine: Engine, sweep: str, label: str, run: RunConfig, pack: str) -> RunWeights:
    """Those that were trained with what is stored of the run, wherever a sweep has left them."""
    behind = [read.find_sweep(engine, sweep).options, *read.options_behind(engine, [run.key])]
    for place in dict.fromkeys(options.get("storage") for options in behind):
        try:
            with reachable():
                found = find_weights(Storage(ledger_root(place, ledger_id(engine))), run.key)
        except BadWeightsError as error:
            raise SweeperError(
                f"the weights of '{label}' are damaged ({error}); `sweeper retrain` makes them anew"
            ) from None
        if found and found[0] == pack:  # else another worker's, whose scores came too late
            return found[1]
    raise SweeperError(
        f"no weights of '{label}' are kept (none are with --no-weights, and none were before there "
        "was a choice); `sweeper retrain` and a resume make them"
    )


def latents(
    engine: Engine, sweep: str, clips: str, cell: Cell | None
) -> tuple[Tensor, pd.DataFrame]:
    """See Sweep.latents."""
    if clips not in SPLITS:
        raise SweeperError(unknown("clips", clips, SPLITS))
    if cell is None:
        runs = read.runs_of(engine, read.find_sweep(engine, sweep).id)
        configs = list(dict.fromkeys(run.data for run in runs))
        if len(configs) > 1:
            names = ", ".join(data.encoder for data in configs)
            raise SweeperError(f"sweep '{sweep}' has several latents ({names}); say of which cell")
    else:
        configs = [_run_of(engine, sweep, cell, 0)[1].data]
    cached = open_latents(configs[0])
    labels = cached.labels[clips]
    frame = pd.DataFrame(
        {
            "pitch": labels.pitch + LOWEST_PITCH,
            "instrument": np.array(cached.families)[labels.family],
            "program": labels.program,
            "velocity": labels.velocity,
            **labels.others,
        }
    )
    if clips == "downstream":
        frame["part"] = np.array(PARTS)[cached.parts]
    return torch.from_numpy(np.array(cached.split(clips))), frame


def _run_of(engine: Engine, sweep: str, cell: Cell, seed: int) -> tuple[str, RunConfig]:
    """The label and the run of a cell: by its label, with or without the seed, or a row."""
    cells = {
        each.label: run for each, run in read.cells_of(engine, read.find_sweep(engine, sweep).id)
    }
    label = str(cell if isinstance(cell, str) else cell["label"])
    for name in (label, f"{label} seed {seed}"):
        if name in cells:
            return name, cells[name]
    raise SweeperError(f"no cell '{label}' in sweep '{sweep}'; {instead(label, list(cells))}")
