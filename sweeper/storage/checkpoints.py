"""Mid-training checkpoints: one file a run, so that a run goes on in whatever pack comes next.

A file is a line `sweeper-checkpoint VERSION EPOCH SHA256` and a torch file. Whatever is cut
short, altered, of another run or of another ledger is refused, and its run starts anew.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sweeper.failpoints import failpoint
from sweeper.storage.files import Storage

if TYPE_CHECKING:
    from models.pack.runs import RunState

FOLDER = "checkpoints"
_MAGIC = "sweeper-checkpoint 1"
_HEADER_BYTES = 128

# What the file by which a driver asks its packs to stop holds.
SAVE_AND_STOP = b"save"
FENCED = b"fenced"  # another driver has their runs: whatever they saved would be in its way


class BadCheckpointError(ValueError):
    """A file from which no run may go on."""


class Checkpoints:
    """The checkpoints of one ledger."""

    def __init__(self, storage: Storage, ledger: str) -> None:
        self._storage = storage
        self._ledger = ledger

    def save(self, state: RunState) -> None:
        """Replaces the run's checkpoint. Raises OSError when there is no room."""
        import torch

        buffer = io.BytesIO()
        torch.save({"ledger": self._ledger, "state": state.state_dict()}, buffer)
        payload = buffer.getvalue()
        header = f"{_MAGIC} {state.epoch} {hashlib.sha256(payload).hexdigest()}\n".encode()
        failpoint("checkpoint:before-write")
        self._storage.write(_name(state.key), header + payload)
        failpoint("checkpoint:after-write")

    def load(self, key: str) -> RunState | None:
        """The run's state, or None when it has no checkpoint. Raises BadCheckpointError."""
        from models.pack.runs import RunState

        data = self._storage.read(_name(key))
        if data is None:
            return None
        document = _checked(data)
        if document["ledger"] != self._ledger or document["state"]["key"] != key:
            raise BadCheckpointError("it is stale: left by another run or another database")
        return RunState(**document["state"])

    def epoch(self, key: str) -> int:
        """Epochs behind the run's checkpoint, by its header alone; 0 when it has none."""
        header = self._storage.read(_name(key), _HEADER_BYTES) or b""
        fields = header.partition(b"\n")[0].decode(errors="replace").split(" ")
        return int(fields[2]) if len(fields) == 4 and fields[2].isdigit() else 0

    def remove(self, key: str) -> None:
        """Forgets the run's checkpoint."""
        self._storage.delete(_name(key))

    def remove_all(self, keys: Iterable[str]) -> None:
        """Forgets the checkpoints of those runs, and what a crash has left of their writing."""
        keys = set(keys)
        for name in self._storage.names(FOLDER):
            if name.removesuffix(".partial") in keys:
                self._storage.delete(f"{FOLDER}/{name}")


def _name(key: str) -> str:
    return f"{FOLDER}/{key}"


def _checked(data: bytes) -> dict[str, Any]:
    import torch

    header, _, payload = data.partition(b"\n")
    fields = header.decode(errors="replace").rsplit(" ", 2)
    if fields[0] != _MAGIC:
        raise BadCheckpointError("it is not a checkpoint of this version")
    if hashlib.sha256(payload).hexdigest() != fields[-1]:
        raise BadCheckpointError("its checksum is wrong: it was cut short or altered")
    document: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    return document


class Saver:
    """Saves the runs of a pack every so many seconds, and when the driver asks it to stop."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        seconds: float,
        stop_asked: Callable[[], bytes | None],
        tell: Callable[[str, str], None],
        background: bool = False,
    ) -> None:
        """`background`: another thread writes what is due, from copies, while the training goes on.

        `tell` is then called there too, and all states are in memory once more.
        """
        self._checkpoints = checkpoints
        self._seconds = seconds
        self._stop_asked = stop_asked
        self._tell = tell
        self._last = time.monotonic()
        self._thread = ThreadPoolExecutor(1, "checkpoints") if background else None
        self._writing: Future[None] | None = None
        self._cut = False  # no further run is to be written

    def load(self, keys: Iterable[str]) -> dict[str, RunState]:
        """The states of those runs that can go on; a bad checkpoint is told of and removed."""
        states = {key: self._load(key) for key in keys}
        return {key: state for key, state in states.items() if state is not None}

    def after_epoch(self, states: Callable[[], Iterable[RunState]]) -> bool:
        """Saves when it is time; whether the training is to stop now.

        A pack that stops is on disk, as far as there is room.
        """
        asked = self._stop_asked()
        if asked is not None:
            self._cut = True  # what is in writing is older than what comes now
            self.settle()
            self._cut = False
            if asked == SAVE_AND_STOP:
                self._save(states())
            return True
        if self._writing is None or self._writing.done():
            self.settle()
            if time.monotonic() - self._last >= self._seconds:
                self._begin(states())
        return False

    def settle(self) -> None:
        """Returns when nothing is being written. Raises what went wrong there, less OSError."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _begin(self, states: Iterable[RunState]) -> None:
        if self._thread is None:
            self._save(states)
        else:
            self._writing = self._thread.submit(self._save, list(states))

    def _save(self, states: Iterable[RunState]) -> None:
        try:
            for state in states:
                if self._cut:
                    return
                self._checkpoints.save(state)
        except OSError as error:  # the run goes on, and is repeated from an older one if need be
            self._tell("checkpoint-failed", str(error))
        self._last = time.monotonic()

    def _load(self, key: str) -> RunState | None:
        try:
            return self._checkpoints.load(key)
        except BadCheckpointError as error:
            self._tell("checkpoint-refused", f"run {key[:12]} starts anew: {error}")
            self._checkpoints.remove(key)
            return None
