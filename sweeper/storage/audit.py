"""Whether what lies beside a database is whole and belongs to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from sweeper.errors import SweeperError
from sweeper.findings import Audit, Finding, some
from sweeper.states import DONE, State
from sweeper.storage.checkpoints import FOLDER, BadCheckpointError, Checkpoints
from sweeper.storage.files import Storage
from sweeper.storage.results import BadResultError, find_result, manifest_names, read_manifest
from sweeper.storage.weights import FOLDER as WEIGHTS
from sweeper.storage.weights import BadWeightsError, find_weights, kept

PLACE = "storage"
RESULTS = "results"
# Where a driver or a worker that was killed leaves what it was writing; flags serve one launch.
TEMPORARY = {FOLDER: ".partial", RESULTS: ".partial", "sweeps": ".partial", "": ".partial"}
TEMPORARY |= {WEIGHTS: ".partial", "stop": ""}


def audit(
    storage: Storage,
    ledger: str,
    states: Mapping[str, State],
    missing: Mapping[str, str],
    sweeps: Collection[str],
    is_busy: bool,
    trained: Collection[str] = (),
) -> Audit:
    """One storage of a ledger, held against its database.

    Args:
        ledger: the database's identity.
        states: run key → state, of every run that the database knows.
        missing: run key → the sweep whose next launch would train it.
        sweeps: those that the database has.
        is_busy: whether a driver is at work; then only what nobody touches any more is judged.
        trained: keys of the finished runs whose weights were to be kept here.
    """
    results, checkpoints = _files(storage, RESULTS), _files(storage, FOLDER)
    findings = [*_results(storage, results, states, {} if is_busy else missing)]
    if not is_busy:
        findings += _manifests(storage, sweeps)
        findings += _checkpoints(storage, checkpoints, Checkpoints(storage, ledger), states)
        findings += _weights(storage)
        findings += _leftovers(storage)
    counts = {"results": len(results), "checkpoints": len(checkpoints)}
    weights = kept(storage)
    counts |= {"manifests": len(manifest_names(storage)), "weights": len(weights)}
    if lacking := len(set(trained) - weights.keys()):
        counts["trained runs without weights"] = lacking
    return Audit(PLACE, counts, findings)


def _files(storage: Storage, folder: str) -> list[str]:
    return [name for name in storage.names(folder) if not name.endswith(".partial")]


def _results(
    storage: Storage, names: list[str], states: Mapping[str, State], missing: Mapping[str, str]
) -> Iterator[Finding]:
    unknown, waiting = list[str](), defaultdict[str, list[str]](list)
    for name in names:
        key = name.removesuffix(".json")
        try:
            find_result(storage, key)
        except BadResultError as error:
            scored = states.get(key) == State.FINISHED
            after = "its scores are in the database" if scored else "its run will be trained again"
            detail, remove = f"{name[:12]}: {error}; {after}", f"{RESULTS}/{name}"
            yield _removed("a result is damaged", detail, storage, remove)
            continue
        if key not in states:
            unknown.append(key[:12])
        elif key in missing:
            waiting[missing[key]].append(key[:12])
    if unknown:
        detail = f"{len(unknown)}: {some(unknown)}; `sweeper recover` adds what sweeps they are of"
        yield Finding(PLACE, "results are of runs that the database does not know", detail)
    for sweep, keys in waiting.items():
        detail = f"{len(keys)} of sweep '{sweep}': {some(keys)}"
        what = "results wait that the database does not have"
        yield Finding(PLACE, what, detail, "stores them", sweep)


def _manifests(storage: Storage, sweeps: Collection[str]) -> Iterator[Finding]:
    names = manifest_names(storage)
    if lacking := [name for name in names if name not in sweeps]:
        detail = f"{some(lacking)}; `sweeper recover` adds them"
        yield Finding(PLACE, "sweeps are not in the database", detail)
    for name in names:
        try:
            read_manifest(storage, name)
        except SweeperError as error:
            again = f"{error}; launching '{name}' again writes it anew"
            yield Finding(PLACE, "a manifest is damaged", again)


def _checkpoints(
    storage: Storage, names: list[str], checkpoints: Checkpoints, states: Mapping[str, State]
) -> Iterator[Finding]:
    for key in names:
        if key not in states:
            what, why = "a checkpoint is of no run of the database", key[:12]
        elif states[key] in DONE:
            what, why = "a checkpoint is of a run that is done", key[:12]
        else:
            try:
                checkpoints.load(key)
                continue
            except BadCheckpointError as error:
                what, why = "a checkpoint is damaged", f"{key[:12]}: {error}"
        yield _removed(what, why, storage, f"{FOLDER}/{key}")


def _weights(storage: Storage) -> Iterator[Finding]:
    """Those that are damaged; a run without any is as whole as one with them."""
    for key in kept(storage):
        try:
            find_weights(storage, key)
        except BadWeightsError as error:
            detail = f"{key[:12]}: {error}; its scores are what they were"
            yield _removed("weights are damaged", detail, storage, f"{WEIGHTS}/{key}.safetensors")


def _leftovers(storage: Storage) -> Iterator[Finding]:
    for folder, ending in TEMPORARY.items():
        for name in storage.names(folder):
            if name.endswith(ending):
                path = f"{folder}/{name}".lstrip("/")
                yield _removed("a file was left half written or unused", path, storage, path)


def _removed(what: str, detail: str, storage: Storage, name: str) -> Finding:
    return Finding(PLACE, what, detail, "removes it", mend=partial(storage.delete, name))
