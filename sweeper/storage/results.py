"""What workers and drivers leave beside the checkpoints: each run's result, each sweep's manifest.

Enough to adopt results that a dead driver never stored, and to rebuild a lost database.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from sweeper.errors import SweeperError
from sweeper.events import RunResult
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig, canonical_json
from sweeper.study.grid import Cell

LONGEST_STEM = 200  # bytes of a file's name; file systems take 255, endings included


@dataclass(frozen=True)
class Manifest:
    """What a sweep holds: enough to register it again."""

    name: str
    options: Mapping[str, Any]
    cells: Sequence[tuple[Cell, RunConfig]]
    extra_runs: Sequence[RunConfig]  # references without a cell


class BadResultError(ValueError):
    """A file from which no result may be taken."""


def leave_result(storage: Storage, pack: str, result: RunResult) -> None:
    """Keeps a run's result beside the checkpoints. Raises OSError when there is no room."""
    body = canonical_json({"pack": pack, "result": dataclasses.asdict(result)})
    storage.write_json(_result(result.key), {"sha256": _digest(body), "body": body})


def remove_result(storage: Storage, key: str) -> None:
    """Takes away what a worker left of a run, so that nobody imports it again."""
    storage.delete(_result(key))


def _result(key: str) -> str:
    return f"results/{key}.json"


def find_result(storage: Storage, key: str) -> tuple[str, RunResult] | None:
    """The pack and the result that a worker left of a run, or None. Raises BadResultError."""
    text = storage.read(_result(key))
    if text is None:
        return None
    try:
        document = json.loads(text)
        if "body" in document:
            if _digest(document["body"]) != document["sha256"]:
                raise BadResultError("its checksum is wrong: it was cut short or altered")
            document = json.loads(document["body"])
        pack, result = str(document["pack"]), RunResult.from_dict(document["result"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadResultError(f"it is no result: {error}") from None
    except ValueError as error:
        raise BadResultError(str(error)) from None
    if result.key != key:
        raise BadResultError(f"it is of another run: {result.key[:12]}")
    return pack, result


def rename_former(storage: Storage, runs: Iterable[RunConfig]) -> None:
    """Gives what was left under the key that a run had in an earlier version today's name."""
    there = set(storage.names("results"))
    for run in runs:
        if (former := run.former_key) is None or f"{former}.json" not in there:
            continue
        with contextlib.suppress(BadResultError):  # `sweeper verify` tells of it
            if found := find_result(storage, former):
                leave_result(storage, found[0], dataclasses.replace(found[1], key=run.key))
                remove_result(storage, former)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def leave_manifest(storage: Storage, manifest: Manifest) -> None:
    """Replaces a sweep's manifest."""
    cells = [
        {"cell": dataclasses.asdict(cell), "run": run.to_json()} for cell, run in manifest.cells
    ]
    extra = [run.to_json() for run in manifest.extra_runs]
    document = {
        "name": manifest.name,
        "options": dict(manifest.options),
        "cells": cells,
        "extra": extra,
    }
    storage.write_json(_manifest_of(manifest.name), document)


def remove_manifest(storage: Storage, sweep: str) -> None:
    """Takes a sweep's manifest away, so that no recovery brings the sweep back."""
    storage.delete(_manifest_of(sweep))


def _manifest_of(sweep: str) -> str:
    """The file of a name, or of its digest where a file's name would be too long."""
    stem = quote(sweep, safe="")
    return f"sweeps/{stem if len(stem) <= LONGEST_STEM else _digest(sweep)}.json"


def manifest_names(storage: Storage) -> list[str]:
    """The sweeps of a ledger that have left a manifest."""
    files = (file for file in storage.names("sweeps") if file.endswith(".json"))
    return [_name_of(storage, file) for file in files]


def _name_of(storage: Storage, file: str) -> str:
    stem = file.removesuffix(".json")
    if len(stem) != len(_digest("")) or not isinstance(
        document := storage.read_json(f"sweeps/{file}"), dict
    ):
        return unquote(stem)
    return str(document.get("name", unquote(stem)))


def read_manifest(storage: Storage, name: str) -> Manifest:
    """A sweep's manifest. Raises SweeperError when it is damaged."""
    document = storage.read_json(_manifest_of(name))
    try:
        return Manifest(
            name,
            document["options"],
            [(Cell(**row["cell"]), RunConfig.from_json(row["run"])) for row in document["cells"]],
            [RunConfig.from_json(text) for text in document["extra"]],
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise SweeperError(
            f"the manifest of sweep '{name}' is damaged ({type(error).__name__}); launch it again "
            "with its options, and its results are taken up"
        ) from None
