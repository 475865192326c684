"""From missing runs to packs: who trains with whom, and what must be finished before.

Where γ is measured against a converged loss, a run needs the validation L_rec of the
reconstruction-only run of its seed, its reference. References are runs of the plan whether or not
the grid shows them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from models.spec import CL, REFERRING, precision_refusal
from sweeper.errors import SweeperError
from sweeper.states import DONE, State
from sweeper.study.config import RunConfig, differences
from sweeper.study.grid import Cell

# Measured on two cores: beyond this many runs a pack's activations leave the cache.
LARGEST_CPU_PACK = 24


@dataclass(frozen=True)
class Pack:
    """Runs trained together in one process: one Ray trial."""

    runs: tuple[RunConfig, ...]
    needs: frozenset[str] = frozenset()  # keys of runs that must be finished before

    @property
    def keys(self) -> list[str]:
        return [run.key for run in self.runs]


@dataclass(frozen=True)
class Assignment:
    """A pack that a worker is to train now, and what its γs are measured against."""

    pack: str  # its name, unique in the database
    runs: tuple[RunConfig, ...]
    # For each run: validation L_rec of its reference, None where γ needs none.
    reference_mse: tuple[float | None, ...]


def reference_of(run: RunConfig) -> RunConfig | None:
    """The reconstruction-only run that decides γ, or None where γ needs none."""
    if run.loss is None or run.loss.gamma not in REFERRING:
        return None
    return dataclasses.replace(run, lam=1.0).resolved()


def with_references(runs: Iterable[RunConfig]) -> list[RunConfig]:
    """The distinct runs and the references that they need, references first."""
    runs = list(runs)
    references = [reference for run in runs if (reference := reference_of(run))]
    return list({run.key: run for run in (*references, *runs)}.values())


def conflict(
    sweep: str, held: Mapping[str, RunConfig], cells: Iterable[tuple[Cell, RunConfig]]
) -> str | None:
    """Why a sweep that holds these runs, by label, cannot take up the cells; None if it can."""
    for cell, config in cells:
        if cell.label in held and held[cell.label].key != config.key:
            changes = ", ".join(differences(held[cell.label], config))
            return (
                f"sweep '{sweep}' already holds '{cell.label}' with other settings ({changes}); "
                "give this one another --name"
            )
    return None


def make_packs(
    missing: Iterable[RunConfig],
    slots: int,
    size: int | None = None,
    apart: Mapping[str, Any] | None = None,
    largest: int = LARGEST_CPU_PACK,
    decoders_apart: bool = True,
) -> list[Pack]:
    """Packs for `slots` workers: references first, then what waits for nothing, then the rest.

    Runs share a pack when they share data, architecture and training, and what `apart` says of
    their keys (epochs trained already, suspicions). `size` None means auto: as few packs as keep
    every slot busy, none of more than `largest` runs. `decoders_apart`: runs without a decoder,
    which take less than half as long, have packs of their own.
    """
    groups: dict[Any, list[RunConfig]] = {}
    for run in missing:
        groups.setdefault((_group(run, decoders_apart), (apart or {}).get(run.key)), []).append(run)
    ordered = sorted(groups.items(), key=lambda item: _urgency(item[1][0]))
    return [pack for _, runs in ordered for pack in _split(runs, slots, size, largest)]


def _group(run: RunConfig, decoders_apart: bool) -> tuple[Any, ...]:
    architecture = "cl" if run.kind.startswith(CL) else run.kind
    has_decoder = decoders_apart and bool(run.lam)
    training, probes = (run.data, run.model, run.training), (run.probe, run.tasks)
    return (architecture, has_decoder, *training, *probes, _urgency(run))


def _urgency(run: RunConfig) -> int:
    if run.kind == "multiview" and run.lam == 1:
        return 0
    return 1 if reference_of(run) is None else 2


def _split(runs: list[RunConfig], slots: int, size: int | None, largest: int) -> list[Pack]:
    packs = math.ceil(len(runs) / size) if size else _auto_packs(len(runs), slots, largest)
    # Dealt like cards, so that every pack has its share of the dear objectives.
    return [make_pack(runs[i::packs]) for i in range(packs)]


def _auto_packs(runs: int, slots: int, largest: int) -> int:
    rounds = math.ceil(runs / (slots * largest))
    return min(runs, slots * rounds)


def make_pack(runs: Sequence[RunConfig]) -> Pack:
    """One pack, and what it has to wait for."""
    references = (reference_of(run) for run in runs)
    return Pack(tuple(runs), frozenset(ref.key for ref in references if ref is not None))


def insist_on_precisions(runs: Iterable[RunConfig], device: str) -> None:
    """Raises SweeperError where a run asks for products that the device has not."""
    for precision in sorted({run.training.precision for run in runs if run.training}):
        if reason := precision_refusal(precision, device):
            raise SweeperError(reason)


def cost(run: RunConfig) -> float:
    """Work of a run in units of one trained clip with a decoder; for estimates, not for results."""
    return _training_cost(run) + _probing_cost(run)


def training_share(run: RunConfig) -> float:
    """How much of a run's work is its training; the rest is probing."""
    return _training_cost(run) / cost(run)


# Measured with native steps on a CPU, quick's latents: a clip beside one trained with a decoder.
def _training_cost(run: RunConfig) -> float:
    if run.training is None:
        return 0.0
    return run.data.train_clips * run.training.epochs * (1.0 if run.lam else 0.42)


def _probing_cost(run: RunConfig) -> float:
    return (
        run.data.downstream_clips * run.probe.epochs * (0.52 if run.kind == "multiview" else 0.35)
    )


_BLOCKING = (State.FAILED, State.DIVERGED)


@dataclass(frozen=True)
class Plan:
    """What a sweep holds, what of it is done, and what is left to train."""

    runs: tuple[RunConfig, ...]  # references included
    states: Mapping[str, State]  # run key → state, of runs that were tried

    @property
    def keys(self) -> list[str]:
        """Of all its runs."""
        return [run.key for run in self.runs]

    def missing(self, retry_failed: bool = False) -> list[RunConfig]:
        """Runs to train now: all but the finished, the diverged and, unless asked, the failed.

        Nor those that wait for one of the latter two in vain.
        """
        done = {*DONE, State.BLOCKED}
        if not retry_failed:
            return [run for run in self.runs if self.state_of(run) not in done]
        states = {key: state for key, state in self.states.items() if state != State.FAILED}
        return Plan(self.runs, states).missing()

    def state_of(self, run: RunConfig) -> State:
        """What the ledger says of a run; `blocked` when what it needs will not finish."""
        state = self.states.get(run.key, State.PENDING)
        if state in DONE or self.blocker_of(run) is None:
            return state
        return State.BLOCKED

    def blocker_of(self, run: RunConfig) -> RunConfig | None:
        """The reference of a run, when that has failed or diverged."""
        if not self._has_blockers:
            return None
        reference = reference_of(run)
        if reference and self.states.get(reference.key) in _BLOCKING:
            return reference
        return None

    @cached_property
    def _has_blockers(self) -> bool:
        return any(state in _BLOCKING for state in self.states.values())

    def count(self, *states: State) -> int:
        """How many of the plan's runs are in one of these states."""
        return sum(self.state_of(run) in states for run in self.runs)
