"""What happens in a sweep, told by workers, by the executor and by the driver: a dataclass each.

Every event of a worker names its pack. A `durable` event changes the database, and so must
survive whatever the database does; the others are for who is watching.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sweeper.errors import redact
from sweeper.states import State

Losses = Mapping[str, float | None]  # of an epoch, columns of `epochs`; None where not finite
Epochs = Mapping[str, Mapping[int, Losses]]  # run key → epoch, from 1 → its losses


def _redact(event: object, *fields: str) -> None:
    """Takes secrets out of what an error has said, before it is sent, spooled or stored."""
    for name in fields:
        if (said := getattr(event, name)) is not None:
            object.__setattr__(event, name, redact(said))


@dataclass(frozen=True)
class RunResult:
    """What a worker returns for one run; plain numbers, fit for JSON."""

    key: str
    state: State  # finished or diverged
    # Columns of `scores`, and accuracies: `pitch_private` on the test clips, `valid_pitch_private`
    # on the validation clips, and so on; None unless finished.
    scores: Mapping[str, float | int | None] | None = None
    epochs: Sequence[Losses] = ()  # one row an epoch
    cause: str | None = None
    traceback: str | None = None
    # By the names of the accuracies, what those probes said: see analysis/predictions.py.
    predictions: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        _redact(self, "cause", "traceback")

    measures: Mapping[str, float] | None = None  # other views of disentanglement, by name
    engine: str | None = None  # what took its training steps: see models.pack.runs.TrainedRun

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> RunResult:
        """Raises TypeError or ValueError for what is no result."""
        return cls(**{**fields, "state": State(fields["state"])})


@dataclass(frozen=True)
class Provenance:
    """Where and with what an attempt ran."""

    host: str | None = None
    device: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """The driver knows what this launch is to train."""

    packs: int
    runs: int
    durable: ClassVar[bool] = False


@dataclass(frozen=True)
class Started:
    """A pack is in a worker's hands."""

    pack: str
    runs: Sequence[str]  # keys
    provenance: Provenance
    durable: ClassVar[bool] = True


@dataclass(frozen=True)
class Placed:
    """A worker has begun with a pack."""

    pack: str
    host: str
    device: str
    epochs: Mapping[str, int]  # run key → epochs behind its checkpoint
    durable: ClassVar[bool] = True


@dataclass(frozen=True)
class Progress:
    """How far a worker is with its pack."""

    pack: str
    stage: str  # epoch or probes
    done: int
    total: int
    share: float  # of the pack's work, 0 to 1
    seconds: float = 0.0  # a run, since the pack's training began
    epochs: Epochs = field(default_factory=dict)  # those since the last event
    durable: ClassVar[bool] = False  # stored now and then for whoever else looks, or not at all


@dataclass(frozen=True)
class Alive:
    """A worker's process lives, and has nothing else to tell of its pack."""

    pack: str
    durable: ClassVar[bool] = False


@dataclass(frozen=True)
class Results:
    """Runs of a pack are trained and probed."""

    pack: str
    results: Sequence[RunResult]
    seconds: float  # a run
    durable: ClassVar[bool] = True


@dataclass(frozen=True)
class Noted:
    """Something for the sweep's history: a bad checkpoint, a full disk."""

    pack: str
    kind: str
    detail: str
    durable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _redact(self, "detail")


@dataclass(frozen=True)
class Broke:
    """A worker has caught an exception: what its pack has no result for must be tried again."""

    pack: str
    kind: State  # the failure class
    cause: str  # one line
    traceback: str | None = None
    durable: ClassVar[bool] = False  # `Closed` is what is stored of it

    def __post_init__(self) -> None:
        _redact(self, "cause", "traceback")


@dataclass(frozen=True)
class Lost(Broke):
    """A pack's worker or node is gone: the same, but no worker has told it."""


@dataclass(frozen=True)
class Ended:
    """A pack's worker has returned."""

    pack: str
    durable: ClassVar[bool] = False


@dataclass(frozen=True)
class Closed:
    """What the driver makes of a pack that broke off: how the attempts without a result end."""

    pack: str | None  # None: all that the sweep has running
    state: State
    cause: str
    traceback: str | None = None
    runs: Sequence[str] = ()  # their keys
    again: bool = False  # whether they are tried again in this launch
    durable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _redact(self, "cause", "traceback")


@dataclass(frozen=True)
class Interrupted:
    """A signal has stopped the sweep."""

    signum: int
    durable: ClassVar[bool] = False


FromWorker = Placed | Progress | Alive | Results | Noted | Broke
Event = Planned | Started | FromWorker | Lost | Ended | Closed | Interrupted

_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Started, Placed, Results, Noted, Closed)
}


def to_json(event: Event) -> str:
    """A durable event as one line."""
    fields = {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
    return json.dumps(fields, sort_keys=True)


def from_json(line: str) -> Event:
    """The event of such a line. Raises ValueError, KeyError or TypeError for any other."""
    fields = json.loads(line)
    kind = _KINDS[fields.pop("event")]
    if kind is Started:
        fields["provenance"] = Provenance(**fields["provenance"])
    if kind is Results:
        fields["results"] = tuple(map(RunResult.from_dict, fields["results"]))
    if kind is Closed:
        fields["state"] = State(fields["state"])
    return kind(**fields)
