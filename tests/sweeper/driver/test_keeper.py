"""The private directory: for one user, for one driver's life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.driver import keeper
from sweeper.driver.keeper import private_directory, processes_of, remove_stale

DRIVER = """
import time
from sweeper.driver.keeper import private_directory
with private_directory() as path:
    print(path, flush=True)
    time.sleep(60)
"""
MEMBER = "import time; time.sleep(60)"


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory with a name as short as the sockets of Ray need it."""
    path = Path(f"/tmp/k{os.getpid()}")
    path.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(path))
    monkeypatch.setenv("TMPDIR", str(path))
    yield path
    path.rmdir()  # empty by now


def member(path: Path) -> subprocess.Popen[bytes]:
    """A process of Ray in the directory, as far as one can see."""
    return subprocess.Popen([sys.executable, "-S", "-c", MEMBER, f"--dir={path}/session"])


def test_it_is_for_this_user_alone_and_gone_at_the_end_with_all_that_lives_in_it(
    base: Path,
) -> None:
    with private_directory() as path:
        assert path.parent == base and path.stat().st_mode & 0o777 == 0o700
        (path / "session").mkdir()
        process = member(path)
        while not processes_of(path, os.getpid()):
            time.sleep(0.01)
    assert process.wait(5) == -signal.SIGKILL
    assert not path.exists()


def test_a_killed_drivers_keeper_ends_it(base: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    path = Path(driver.stdout.readline().strip())
    process = member(path)
    driver.kill()
    driver.communicate()
    assert process.wait(10) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not path.exists()


def test_what_a_driver_and_its_keeper_have_left_goes_at_the_next_start(base: Path) -> None:
    stale = base / "sweeper-ray-1-abcd_123"
    (stale / "r").mkdir(parents=True)
    process = member(stale)
    time.sleep(0.2)
    with private_directory() as living:
        assert not stale.exists()
        remove_stale(base)
        assert living.exists()
    assert process.wait(5) == -signal.SIGKILL


def test_what_has_another_name_stays(base: Path) -> None:
    other = base / "sweeper-ray-notes"
    other.mkdir()
    remove_stale(base)
    assert other.exists()
    other.rmdir()


def test_a_long_temporary_directory_is_too_long_for_sockets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with private_directory() as path:
        session = f"session_2026-11-25_02-26-15_525576_{2**22}"
        assert len(f"{path}/r/{session}/sockets/plasma_store") <= 107
    assert len(str(tmp_path)) > keeper.LONGEST_BASE
