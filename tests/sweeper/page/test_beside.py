"""The page beside a launch goes when that goes, however."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.page.planted import plant

LAUNCH = """
import sys, time
from sweeper.page.beside import beside
with beside("x.db", "planted") as address:
    print(address, flush=True)
    sys.stdin.readline()
"""


def answers(address: str) -> bool:
    at = urlsplit(address)
    try:
        with socket.create_connection((at.hostname, at.port), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


@pytest.mark.faults
@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_launch_that_goes_takes_its_page_along(tmp_path: Path, how: str) -> None:
    plant(str(tmp_path / "x.db"), grid="smoke", epochs=1)
    command = [sys.executable, "-c", LAUNCH]
    with subprocess.Popen(
        command, cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as launch:
        assert launch.stdout is not None and launch.stdin is not None
        address = launch.stdout.readline().strip()
        assert answers(address)
        if how == "killed":
            launch.send_signal(signal.SIGKILL)
        launch.stdin.close()
        launch.wait()
    until = time.monotonic() + 30
    while answers(address):
        assert time.monotonic() < until
        time.sleep(0.1)
