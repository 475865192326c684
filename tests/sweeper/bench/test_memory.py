"""Memory of a tree of processes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sweeper.bench import memory

GRANDCHILD = "held = b'1' * 200_000_000; input()"


@pytest.mark.skipif(not memory.PROC.exists(), reason="no /proc")
def test_what_a_grandchild_holds_counts_and_what_has_ended_does_not(monkeypatch):
    monkeypatch.setattr(memory, "SECONDS", 0.05)
    shell = f'{sys.executable} -c "{GRANDCHILD}"; true'
    with (
        subprocess.Popen(["sh", "-c", shell], stdin=subprocess.PIPE) as process,
        memory.peak_bytes(process.pid) as looks,
    ):
        while max(looks, default=0) < 200_000_000:
            time.sleep(0.05)
        process.communicate(b"\n")
    assert 200_000_000 < max(looks) < 400_000_000
    with memory.peak_bytes(process.pid) as looks:
        pass
    assert looks == []
