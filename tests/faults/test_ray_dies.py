"""A Ray that dies, in whole or in part: the launch ends in order, and nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Sweep, counts
from tests.faults.processes import members, session, vital
from tests.faults.test_ray import in_training, left, long_sweep, start, wait_until

pytestmark = pytest.mark.faults

END_SECONDS = 20.0
ORPHAN_SECONDS = 10.0
LOOPBACK = re.compile(r"0100007F|0{16}FFFF00000100007F|0{24}01000000")  # the second: v4 as v6


def vanished(path: Path, driver: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (path.exists() or members(path, driver)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not path.exists() and not members(path, driver)


def assert_ended_in_order(sweep: Sweep, process: subprocess.Popen[bytes], name: str) -> None:
    killed = time.monotonic()
    assert left(process, sweep) == 4, sweep.output
    assert time.monotonic() - killed < END_SECONDS
    counts["injected"] += 1
    lines = sweep.output.splitlines()
    assert re.fullmatch(
        rf"Ray died: its {name} \(process \d+\) has crashed or was killed; "
        r"go on with: sweeper resume toy-smoke --db \S+",
        lines[-1],
    )
    assert "finished" in lines[-2] and len(lines) < 12, sweep.output
    assert "Traceback" not in sweep.output and "raylet.cc" not in sweep.output
    assert not list(sweep.directory.glob("results.db-*"))
    running = (
        "SELECT state, cause FROM attempts WHERE state NOT IN ('finished', 'interrupted') "
        "AND NOT (state = 'pending' AND cause = 'never started')"  # claimed, and given back
    )
    assert sweep.query(running) == []


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_launch_whose_ray_dies_in_training_says_so_and_can_be_resumed(
    sweep: Sweep, name: str
) -> None:
    process = start(long_sweep(sweep), SWEEPER_CHECKPOINT_SECONDS="0.2")
    wait_until(sweep, process, lambda: in_training(sweep))
    path, acknowledged = session(process.pid), sweep.finished()
    os.kill(vital(process.pid, name) or 0, signal.SIGKILL)
    assert_ended_in_order(sweep, process, name)
    causes = sweep.query("SELECT DISTINCT cause FROM attempts WHERE state = 'interrupted'")
    assert causes and all(cause.startswith(f"Ray died: its {name}") for (cause,) in causes)
    assert vanished(path, process.pid, 0)
    assert acknowledged <= sweep.finished()


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
@pytest.mark.parametrize("delay", [0.0, 0.7])
def test_a_launch_whose_ray_dies_while_it_starts_ends_too(
    sweep: Sweep, name: str, delay: float
) -> None:
    process = start(long_sweep(sweep))
    wait_until(sweep, process, lambda: vital(process.pid, name) is not None)
    path = session(process.pid)
    time.sleep(delay)
    os.kill(vital(process.pid, name) or 0, signal.SIGKILL)
    assert_ended_in_order(sweep, process, name)
    assert vanished(path, process.pid, 0)


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_launch_whose_ray_dies_while_it_ends_ends_too(sweep: Sweep, name: str) -> None:
    process = start(sweep)
    wait_until(sweep, process, lambda: len(sweep.finished()) == 6)
    victim, path = vital(process.pid, name), session(process.pid)
    if victim is not None:  # it may have ended by now
        os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    assert left(process, sweep) in (0, 4), sweep.output
    assert time.monotonic() - killed < END_SECONDS
    assert "Traceback" not in sweep.output
    assert vanished(path, process.pid, 0)
    counts["injected"] += 1


def test_nothing_of_a_killed_drivers_session_lives_on(sweep: Sweep) -> None:
    process = start(long_sweep(sweep))
    wait_until(sweep, process, lambda: in_training(sweep))
    path = session(process.pid)
    assert len(members(path, process.pid)) >= 5  # GCS, raylet, agents, workers
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert vanished(path, process.pid, ORPHAN_SECONDS)
    counts["injected"] += 1


def test_a_training_sweep_listens_on_loopback_alone_for_this_user_alone(sweep: Sweep) -> None:
    process = start(long_sweep(sweep))
    wait_until(sweep, process, lambda: in_training(sweep))
    path = session(process.pid)
    ours = [process.pid, *members(path, process.pid)]
    addresses = [address for pid in ours for address in listening(pid)]
    token = path / "token"
    modes = [oct(file.stat().st_mode & 0o777) for file in (path, token)]
    os.kill(process.pid, signal.SIGINT)
    assert left(process, sweep) == 130, sweep.output
    assert len(addresses) >= 4 and all(map(LOOPBACK.fullmatch, addresses)), addresses
    assert modes == ["0o700", "0o600"]
    assert not path.exists()


def listening(pid: int) -> Iterator[str]:
    """The addresses, in the kernel's hexadecimal, at which a process listens."""
    files = Path(f"/proc/{pid}/fd").iterdir()
    links = {os.readlink(file) for file in files if os.path.lexists(file)}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
                yield fields[1].partition(":")[0]


def test_an_address_where_nothing_listens_is_one_line_at_once(sweep: Sweep) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        assert fails_at(sweep, address) < 15
    assert f"sweeper: no Ray cluster at {address}: nothing listens there" in sweep.output


def test_an_address_where_no_ray_answers_is_one_line_in_time(sweep: Sweep) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert fails_at(sweep, address) < 45  # 30 and what it takes to start
    assert sweep.output.splitlines()[-1].startswith(f"sweeper: no Ray cluster at {address}: ")


def fails_at(sweep: Sweep, address: str) -> float:
    """Seconds until a launch at the address ends with a user's error."""
    begun = time.monotonic()
    assert left(start(sweep, "--address", address), sweep) == 1, sweep.output
    assert "Traceback" not in sweep.output
    assert len(sweep.output.splitlines()) < 5, sweep.output
    return time.monotonic() - begun
