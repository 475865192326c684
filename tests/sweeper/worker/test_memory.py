"""A worker's memory, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Frees a large block, then holes of 10 MB each between small blocks that stay.
HOLES = """
import resource, sys
import numpy as np
from pathlib import Path
from sweeper.worker.memory import return_large_blocks

if sys.argv[1] == "returned":
    return_large_blocks()
np.ones(20 * 2**20, np.uint8)
large, small = [], []
for _ in range(10):
    large.append(np.ones(10 * 2**20, np.uint8))
    small.append(np.ones(100_000, np.uint8))
large.clear()
print(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_blocks_go_back_to_the_system() -> None:
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", HOLES, how], capture_output=True).stdout)
        for how in ("kept", "returned")
    )
    assert kept - returned > 80 * 2**20
