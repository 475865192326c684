"""What workers and drivers leave beside the checkpoints: each run's result, each sweep's manifest.

Enough to adopt results that a dead driver never stored, and to rebuild a lost database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell

Cells = list[tuple[Cell, RunConfig]]


def leave_result(storage: Storage, pack: str, result: Mapping[str, Any]) -> None:
    """Keeps a run's result beside the checkpoints. Raises OSError when there is no room."""
    storage.write_json(f"results/{result['key']}.json", {"pack": pack, "result": dict(result)})


def leave_manifest(
    storage: Storage, name: str, options: Mapping[str, Any], cells: Cells, extra: list[RunConfig]
) -> None:
    """Keeps what a sweep holds, so that it can be registered again."""
    rows = [{"cell": dataclasses.asdict(cell), "run": run.to_json()} for cell, run in cells]
    document = {"options": dict(options), "cells": rows, "extra": [run.to_json() for run in extra]}
    storage.write_json(f"sweeps/{quote(name, safe='')}.json", document)
