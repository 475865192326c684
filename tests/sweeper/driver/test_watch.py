"""The one thread that calls Ray, and who looks after the cluster meanwhile."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.driver import watch
from sweeper.driver.watch import Distant, OwnProcesses, RayThread, listens, nothing_known
from sweeper.errors import ClusterDiedError, SweeperError
from sweeper.signals import caught

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


def test_what_a_step_returns_or_raises_is_the_callers() -> None:
    thread = RayThread(nothing_known)
    assert thread.call(lambda: 3) == 3
    with pytest.raises(KeyError):
        thread.call({}.popitem)
    thread.end(lambda: None, 1)
    assert not thread._thread.is_alive()


def test_a_step_that_never_returns_ends_with_its_cluster() -> None:
    died: list[str] = []
    thread, never = RayThread(lambda: died[0] if died else None), threading.Event()
    threading.Timer(0.2, died.append, ["the GCS is gone"]).start()
    with pytest.raises(ClusterDiedError, match="Ray died: the GCS is gone"):
        thread.call(never.wait)
    thread.end(lambda: pytest.fail("the thread is given up"), 1)
    never.set()


def test_an_error_of_a_dead_cluster_is_its_death_and_a_users_error_stays_one() -> None:
    def broken() -> None:
        raise ConnectionError("rpc")

    def bad_input() -> None:
        raise SweeperError("bad input")

    thread = RayThread(lambda: "the raylet is gone")
    with pytest.raises(ClusterDiedError):
        thread.call(broken)
    with pytest.raises(SweeperError, match="bad input"):
        thread.call(bad_input)
    thread.end(lambda: None, 1)


def test_a_signal_that_a_step_gives_up_in_c_is_whose_it_was_once_the_step_is_over() -> None:
    def caught_in_c() -> bool:
        status = Path("/proc/self/status").read_text()
        (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(mask, 16) & 1 << signal.SIGTERM - 1)

    thread = RayThread(nothing_known)
    with caught(lambda *_: None):
        thread.call(lambda: ctypes.CDLL(None).signal(signal.SIGTERM, 0))  # as ray.shutdown does
        assert caught_in_c()
    thread.end(lambda: None, 1)


def test_patience_has_an_end() -> None:
    thread, never = RayThread(nothing_known), threading.Event()
    with pytest.raises(TimeoutError):
        thread.call(never.wait, 0.1)
    never.set()


@pytest.fixture
def raylet(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name."""
    sleep = shutil.copy(shutil.which("sleep") or "", tmp_path / "raylet")
    process = subprocess.Popen([sleep, "60"])
    while not watch._children():
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("reaped", [False, True])
def test_a_raylet_of_our_own_that_is_killed_is_dead(
    raylet: subprocess.Popen[bytes], reaped: bool
) -> None:
    dead = OwnProcesses()
    assert dead() is None
    raylet.kill()
    if reaped:
        raylet.wait()
    else:
        os.waitid(os.P_PID, raylet.pid, os.WEXITED | os.WNOWAIT)
    assert dead() == f"its raylet (process {raylet.pid}) has crashed or was killed"


def test_a_raylet_that_dies_before_anybody_looked_is_dead(
    raylet: subprocess.Popen[bytes],
) -> None:
    raylet.kill()
    os.waitid(os.P_PID, raylet.pid, os.WEXITED | os.WNOWAIT)
    assert OwnProcesses()()


def test_a_raylet_that_stays_stopped_is_dead_and_one_that_goes_on_is_not(
    raylet: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    dead = OwnProcesses()
    for _ in range(2):
        raylet.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, raylet.pid, os.WSTOPPED | os.WNOWAIT)
        assert dead() is None
        now[0] += 15
        assert dead() is None
        raylet.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, raylet.pid, os.WCONTINUED)
        assert dead() is None
    raylet.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, raylet.pid, os.WSTOPPED)
    assert dead() is None
    now[0] += 16
    assert dead() == f"its raylet (process {raylet.pid}) has been stopped for 16 s"


def test_a_distant_cluster_is_lost_after_a_while_of_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 0.2)
    with socket.socket() as gcs:
        gcs.bind(("127.0.0.1", 0))
        gcs.listen()
        address = f"127.0.0.1:{gcs.getsockname()[1]}"
        dead = Distant(address)
        time.sleep(0.3)
        assert dead() is None
    assert dead() is None  # it may come back
    time.sleep(0.3)
    assert f"the cluster at {address} has not answered" in str(dead())


@pytest.mark.parametrize("address", ["auto", "local", "ray://head", "127.0.0.1"])
def test_what_is_no_host_and_port_is_left_to_ray(address: str) -> None:
    assert listens(address)


def test_a_port_out_of_range_listens_nowhere() -> None:
    assert not listens("127.0.0.1:99999")
