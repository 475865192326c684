"""`sweeper encoders compare`: which frozen encoder sees both pitch and instrument (section 2.1).

The probes are the baseline runs of kind `encoder`, one sweep of them with a cell for each encoder
and seed. The maps are functions of the cached latents and stand beside them in the database.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sweeper.commands.encoders import at_hand
from sweeper.commands.launch import executor_of, train
from sweeper.commands.report import write_comparison
from sweeper.console.live import ConsoleWatcher
from sweeper.console.words import printable
from sweeper.data.latents import Source, data_config
from sweeper.data.maps import map_of, settings_of
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import is_there, open_reader, writer
from sweeper.ledger.write import Ledger
from sweeper.signals import StoppedError
from sweeper.study.config import DataConfig, RunConfig
from sweeper.study.grid import Cell, run_config
from sweeper.study.presets import preset
from sweeper.study.request import Request
from sweeper.sweep import prepare_all, register

GRID = "encoders"  # what a comparison's options have for a grid
SAME = ("grid", "preset", "dataset")  # of everything that one comparison holds


@dataclass(frozen=True)
class Candidate:
    """An encoder that can be compared: its latents are in the cache."""

    spec: str  # NAME or NAME:WEIGHTS
    data: DataConfig

    @property
    def name(self) -> str:
        """As figures show it: of the weights' path, the last part."""
        kind, _, weights = self.spec.partition(":")
        return f"{kind}:{Path(weights).name}" if weights else kind


def compare(
    request: Request,
    specs: Sequence[str] | None,
    db: str,
    name: str | None,
    out: Path,
    formats: Sequence[str],
    console: Console,
) -> int:
    """Probes and maps encoders, by default those at hand, and draws them; returns the exit code.

    One that cannot be used is told in one line on standard error, and the others go on; the exit
    code is then 1. Raises SweeperError when there is none left, and on other bad input.
    """
    wanted = list(dict.fromkeys(specs or at_hand()))
    request = dataclasses.replace(request, grid=GRID, encoder=wanted[0])
    name = request.sweep_name(_default_name(request) if name is None else name)
    _check(request, db, name)
    try:
        candidates = _prepared(request, wanted, console)
        code = _probe_and_map(request, candidates, db, name, console)
    except StoppedError as stopped:
        console.print("stopped by a signal; the same command goes on")
        return stopped.exit_code
    if code in (0, 2):
        write_comparison(open_reader(db), name, out, formats, console)
    return code or (1 if len(candidates) < len(wanted) else 0)


def _default_name(request: Request) -> str:
    dataset = [] if request.dataset == "notes" else [request.dataset]
    return "-".join([GRID, request.preset, *dataset])


def _check(request: Request, db: str, name: str) -> None:
    """Raises SweeperError on bad input that no other encoder would mend, before minutes of work."""
    from sweeper.data import make_dataset

    data = dataclasses.replace(preset(request.preset).data, dataset=request.dataset)
    make_dataset(data, Source(path=request.source).location)
    if "://" not in db and is_there(db):
        engine = open_reader(db)
        for sweep in read.sweeps(engine):
            if sweep.name == name:
                _same(request, sweep)
        engine.dispose()


def _probe_and_map(
    request: Request, candidates: list[Candidate], db: str, name: str, console: Console
) -> int:
    with writer(db) as engine, Ledger.of(engine, name) as ledger:
        known = read.sweep_of(engine, ledger.sweep_id)
        register(ledger, _widened(request, known, candidates), _cells(request, candidates))
        code = train(ledger, db, executor_of("ray", None), False, console)
        if code in (0, 2):
            _store_maps(ledger, candidates, console)
    return code


def _prepared(request: Request, specs: list[str], console: Console) -> list[Candidate]:
    """Those of the encoders whose latents could be made; the others are told."""
    candidates = []
    for spec in specs:
        source = Source(spec, request.source)
        try:
            data = data_config(preset(request.preset).data, request.dataset, source)
            prepare_all([data], source, ConsoleWatcher(console))
            candidates.append(Candidate(spec, data))
        except SweeperError as problem:
            if len(specs) == 1:
                raise
            print(printable(f"sweeper: {spec} is left out: {problem}"), file=sys.stderr)
    if not candidates:
        raise SweeperError("no encoder is left; `sweeper encoders list` tells which can be used")
    _tell_apart(candidates)
    return candidates


def _tell_apart(candidates: list[Candidate]) -> None:
    """Raises SweeperError where two candidates would have one name."""
    seen: dict[str, Candidate] = {}
    for candidate in candidates:
        other = seen.setdefault(candidate.name, candidate)
        if other is not candidate:
            raise SweeperError(
                f"{other.spec} and {candidate.spec} would both be called {candidate.name}; "
                "rename one"
            )


def _widened(request: Request, known: read.SweepInfo, candidates: list[Candidate]) -> Request:
    """The request with its encoders and those that the sweep already has."""
    _same(request, known)
    encoders = {candidate.data.fingerprint: candidate.spec for candidate in candidates}
    return dataclasses.replace(request, encoders={**known.options.get("encoders", {}), **encoders})


def _same(request: Request, known: read.SweepInfo) -> None:
    """Raises SweeperError when the sweep holds something else than such a comparison."""
    for field in SAME if known.options else ():
        if (held := known.options.get(field)) != getattr(request, field):
            raise SweeperError(
                f"sweep '{known.name}' has {field} {held}, not {getattr(request, field)}; "
                "give this comparison another --name"
            )


def _cells(request: Request, candidates: list[Candidate]) -> list[tuple[Cell, RunConfig]]:
    study = preset(request.preset)
    return [
        (cell, run_config(cell, dataclasses.replace(study, data=candidate.data)))
        for candidate in candidates
        for seed in range(request.seeds)
        for cell in [Cell("encoder", seed, encoder=candidate.name)]
    ]


def _store_maps(ledger: Ledger, candidates: list[Candidate], console: Console) -> None:
    """Draws the maps that the database lacks, one transaction each."""
    from models.maps import PCA, best_method
    from sweeper.data.latents import open_latents

    method = best_method()
    if method is PCA:
        console.print(
            "maps by PCA; for UMAP: pip install -c constraints.txt -e '.[maps]'", markup=False
        )
    settings = settings_of(method)
    known = read.maps(ledger.engine)
    for candidate in candidates:
        if known.get((candidate.data.fingerprint, method.name)) != settings:
            console.print(f"map of {candidate.name} by {method.name}", markup=False)
            latents = open_latents(candidate.data)
            ledger.store_map(*map_of(latents, candidate.name, method, settings))
