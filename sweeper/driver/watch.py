"""Whether Ray is still there: a dead raylet or GCS leaves whoever calls Ray waiting for ever.

So one thread alone calls Ray, and the main thread waits for it and looks after the cluster.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any, TypeVar

from sweeper.errors import ClusterDiedError, SweeperError
from sweeper.signals import ENDLESS, keep

T = TypeVar("T")

LOOK_SECONDS = 0.3
KEEP_SECONDS = 0.05  # for so long SIGTERM may be Ray's, which takes it when it starts
VITAL = ("raylet", "gcs_server")  # their agents take the raylet along
STOPPED_SECONDS = 15.0  # a vital process may be under SIGSTOP: nothing goes on meanwhile
SILENCE_SECONDS = 20.0  # of somebody else's cluster, which may restart its GCS
ASK_SECONDS = 2.0  # between two questions
CONNECT_SECONDS = 4.0


def nothing_known() -> str | None:
    """The watch over a cluster that has not been joined yet."""
    return None


class RayThread:
    """The one thread that calls Ray."""

    def __init__(self, dead: Callable[[], str | None]) -> None:
        self.dead = dead  # what has died of the cluster, if something has
        self._steps: queue.Queue[tuple[Callable[[], Any], futures.Future[Any]]] = queue.Queue()
        self._over = threading.Event()  # no step comes after the one under way
        self._thread = threading.Thread(target=self._work, name=ENDLESS, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._over.is_set():
            step, future = self._steps.get()
            try:
                future.set_result(step())
            except BaseException as error:
                future.set_exception(error)

    def call(self, step: Callable[[], T], patience: float = float("inf")) -> T:
        """What `step` returns or raises.

        Raises ClusterDiedError when the cluster dies meanwhile, and TimeoutError after `patience`
        seconds; the thread is then given up.
        """
        future: futures.Future[T] = futures.Future()
        self._steps.put((step, future))
        try:
            self._wait(future, time.monotonic() + patience)
        finally:
            if not future.done():
                self._over.set()
        try:
            return future.result()
        except SweeperError:
            raise
        except Exception:
            self._raise_if_dead()
            raise

    def _wait(self, future: futures.Future[Any], deadline: float) -> None:
        looked = time.monotonic()
        while not futures.wait([future], KEEP_SECONDS).done:
            keep()
            if time.monotonic() - looked < LOOK_SECONDS:
                continue
            looked = time.monotonic()
            self._raise_if_dead()
            if time.monotonic() > deadline:
                raise TimeoutError
        keep()  # what has just ended may have taken them: ray.shutdown lets SIGTERM kill

    def _raise_if_dead(self) -> None:
        if cause := self.dead():
            raise ClusterDiedError(f"Ray died: {cause}") from None

    def end(self, step: Callable[[], object], patience: float) -> None:
        """Calls `step` as the last one, however it goes, unless the thread is given up."""

        def last() -> None:
            self._over.set()
            step()

        if not self._over.is_set():
            self.dead = nothing_known
            with contextlib.suppress(Exception):
                self.call(last, patience)
                self._thread.join(1)


class OwnProcesses:
    """The watch over a cluster that this process has started (on Linux; elsewhere it is blind)."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._stopped: dict[int, float] = {}  # since when each of them has been seen so

    def __call__(self) -> str | None:
        if len(self._known) < len(VITAL):
            self._known |= _children()
        for pid, name in self._known.items():
            if not _lives(pid):
                return f"its {name} (process {pid}) has crashed or was killed"
            if (seconds := self._seconds_stopped(pid)) > STOPPED_SECONDS:
                return f"its {name} (process {pid}) has been stopped for {seconds:.0f} s"
        return None

    def _seconds_stopped(self, pid: int) -> float:
        """How long a process has been seen under SIGSTOP without a break."""
        if _stat(pid)[1] != "T":
            self._stopped.pop(pid, None)
            return 0.0
        return time.monotonic() - self._stopped.setdefault(pid, time.monotonic())


def _children() -> dict[int, str]:
    """Those of this process that are vital, dead ones too until somebody has asked after them."""
    children = {}
    for entry in Path("/proc").glob("[0-9]*"):
        name, _, parent = _stat(int(entry.name))
        if parent == os.getpid() and name in VITAL:
            children[int(entry.name)] = name
    return children


def _lives(pid: int) -> bool:
    _, state, parent = _stat(pid)
    return parent == os.getpid() and state not in "ZX"


def _stat(pid: int) -> tuple[str, str, int]:
    """Name, state and parent of a process; of one that is gone, nothing."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", "X", 0
    name, _, rest = text.partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return name, state, int(parent)


class Distant:
    """The watch over somebody else's cluster: whether its GCS and this machine's raylet answer."""

    def __init__(self, gcs: str, raylet: str | None = None) -> None:
        self._gcs = gcs
        self._raylet = raylet  # its unix socket
        self._asked = self._heard = time.monotonic()

    def __call__(self) -> str | None:
        if time.monotonic() - self._asked > ASK_SECONDS:
            if listens(self._gcs) and _raylet_listens(self._raylet):
                self._heard = time.monotonic()
            self._asked = time.monotonic()
        silence = self._asked - self._heard
        if silence > SILENCE_SECONDS:
            return f"the cluster at {self._gcs} has not answered for {silence:.0f} s"
        return None


def listens(address: str) -> bool:
    """Whether something listens at HOST:PORT; true for an address of another form."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return True
    with contextlib.suppress(OSError, OverflowError):
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        return True
    return False


def _raylet_listens(path: str | None) -> bool:
    if path is None or not os.path.isabs(path):
        return True
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(path)
        return True
    return False
