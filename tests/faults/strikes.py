"""The kinds of faults by which a nemesis strikes a sweep that trains under real Ray."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.arena import FROZEN_SECONDS, Arena
from tests.faults.processes import agents, trials, vital

Strike = Callable[[Arena, random.Random], bool]  # whether there was something to strike
BOTH = ("sqlite", "postgresql")
HOUR = 3600.0
COPY_SECONDS = 6.0


@dataclass(frozen=True)
class Kind:
    """What a strike does to a launch, so that the model can judge what follows."""

    strike: Strike
    ends: bool = False  # the launch, and so is dealt less often: a start of Ray takes long
    holds: bool = False  # work may stand still while it lasts
    simulated: bool = False
    databases: tuple[str, ...] = BOTH
    mounts: bool = False  # needs small disks of its own


def _driver(arena: Arena, _rng: random.Random) -> list[int]:
    return [arena.driver.pid]


def _trial(arena: Arena, rng: random.Random) -> list[int]:
    return rng.sample(found, 1) if (found := trials(arena.driver.pid)) else []


def _child(name: str) -> Callable[[Arena, random.Random], list[int]]:
    def find(arena: Arena, _rng: random.Random) -> list[int]:
        return [pid] if (pid := vital(arena.driver.pid, name)) else []

    return find


def _raylet_or_agent(arena: Arena, rng: random.Random) -> list[int]:
    """The raylet dies with any of its agents."""
    raylet = vital(arena.driver.pid, "raylet")
    found = [*agents(arena.driver.pid), raylet] if raylet else []
    return rng.sample(found, 1) if found else []


def _server(arena: Arena, _rng: random.Random) -> list[int]:
    return arena.server.processes()


def kill(find: Callable[[Arena, random.Random], list[int]], ends: bool) -> Strike:
    """SIGKILL; `ends`: the launch ends with it."""

    def strike(arena: Arena, rng: random.Random) -> bool:
        pids = find(arena, rng)
        struck = send(pids, signal.SIGKILL)
        if struck and ends:
            arena.await_end()
        return struck

    return strike


def stop(find: Callable[[Arena, random.Random], list[int]]) -> Strike:
    """SIGSTOP, and SIGCONT some seconds later."""

    def strike(arena: Arena, rng: random.Random) -> bool:
        pids = find(arena, rng)
        struck = send(pids, signal.SIGSTOP)
        time.sleep(rng.uniform(1, 4) if struck else 0)
        send(pids, signal.SIGCONT)
        return struck

    return strike


def freeze(arena: Arena, rng: random.Random) -> bool:
    """A worker is stopped for good: its driver gives it so long, and kills it."""
    pids = _trial(arena, rng)
    struck = send(pids, signal.SIGSTOP)
    deadline = time.monotonic() + 2 * FROZEN_SECONDS
    while struck and psutil.pid_exists(pids[0]) and arena.reap() is None:
        if time.monotonic() > deadline:
            arena.history.add("overdue", detail="a frozen worker is still there")
            send(pids, signal.SIGKILL)
            break
        time.sleep(0.1)
    return struck


def send(pids: list[int], number: int) -> bool:
    """Whether any of the processes was there."""
    struck = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            struck = True
    return struck


def terminate(arena: Arena, _rng: random.Random) -> bool:
    struck = send([arena.driver.pid], signal.SIGTERM)
    arena.await_end()
    return struck


def lock(arena: Arena, rng: random.Random) -> bool:
    """Another program has the database, for less or more than a transaction waits."""
    if not arena.is_planned:
        return False
    with arena.writing() as connection:
        for statement in LOCKS[arena.database]:
            connection.execute(statement)
        time.sleep(rng.uniform(2, 8))
        connection.rollback()
    return True


LOCKS = {
    "sqlite": ("BEGIN EXCLUSIVE",),
    "postgresql": ("LOCK TABLE leases, attempts, scores IN ACCESS EXCLUSIVE MODE",),
}


def fill(disk: str) -> Strike:
    """A disk of the arena has not a byte left for some seconds."""

    def strike(arena: Arena, rng: random.Random) -> bool:
        ballast = arena.directory / disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass
        time.sleep(rng.uniform(2, 6))
        ballast.unlink()
        return True

    return strike


def second_driver(arena: Arena, rng: random.Random) -> bool:
    """Of two drivers one goes on, and the other says at once that it must not."""
    arena.launch()
    arena.await_end()
    return True


def jump(arena: Arena, rng: random.Random) -> bool:
    """The database's clock has gone an hour back or ahead: the heartbeats are off by so much."""
    if not arena.is_planned:
        return False
    shift = rng.choice((HOUR, -HOUR))
    with arena.writing() as connection:
        connection.execute(
            f"UPDATE leases SET heartbeat = heartbeat + {shift}, expires = expires + {shift}"
        )
        connection.commit()
    return True


def damage_checkpoint(arena: Arena, rng: random.Random) -> bool:
    """Workers die and a checkpoint of theirs has a wrong byte: its run starts anew."""
    pids = trials(arena.driver.pid)
    send(pids, signal.SIGSTOP)
    files = arena.files("checkpoints")
    if not (pids and files):
        send(pids, signal.SIGCONT)
        return False
    hurt = rng.choice(files)
    arena.history.add("damaged", key=hurt.name)
    flip(hurt, rng)
    return send(pids, signal.SIGKILL)


def damage_result(arena: Arena, rng: random.Random) -> bool:
    """A driver stops hearing of results, one of their files is damaged, and the driver dies."""
    send([arena.driver.pid], signal.SIGSTOP)
    time.sleep(3)
    files = arena.files("results")
    unheard = [file for file in files if file.stem not in arena.witness.stored]
    if files:
        flip(rng.choice(unheard or files), rng)
    send([arena.driver.pid], signal.SIGKILL)
    arena.await_end()
    return bool(files)


def flip(file: Path, rng: random.Random) -> None:
    """Another byte, where there was one."""
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 0x55
    file.write_bytes(data)


def copy_database(arena: Arena, _rng: random.Random) -> bool:
    """A dead driver's database is copied, and copy and original are resumed side by side."""
    if not arena.is_planned:
        return False
    send([arena.driver.pid], signal.SIGKILL)
    arena.await_end()
    copy = Path(arena.db).with_name("copy.db")
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"{arena.db}{suffix}", f"{copy}{suffix}")
    process = arena.run("resume", "--db", str(copy), "--executor", "inline")
    arena.launch()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(COPY_SECONDS)
    process.kill()
    process.wait()
    for file in copy.parent.glob("copy.db*"):
        file.unlink()
    return True


def kill_server(arena: Arena, rng: random.Random) -> bool:
    """PostgreSQL crashes, and is back some seconds later."""
    struck = send(arena.server.processes(), signal.SIGKILL)
    time.sleep(rng.uniform(1, 8))
    arena.server.start()
    return struck


FILE, SERVER = ("sqlite",), ("postgresql",)
KINDS = {
    "driver-kill": Kind(kill(_driver, ends=True), ends=True),
    "driver-term": Kind(terminate, ends=True),
    "driver-stop": Kind(stop(_driver), holds=True),
    "second-driver": Kind(second_driver),
    "worker-kill": Kind(kill(_trial, ends=False)),
    "worker-stop": Kind(stop(_trial), holds=True),
    "worker-frozen": Kind(freeze, holds=True),
    "raylet-kill": Kind(kill(_raylet_or_agent, ends=True), ends=True),
    "raylet-stop": Kind(stop(_child("raylet")), holds=True),
    "gcs-kill": Kind(kill(_child("gcs_server"), ends=True), ends=True),
    "gcs-stop": Kind(stop(_child("gcs_server")), holds=True),
    "database-locked": Kind(lock, holds=True),
    "database-disk-full": Kind(fill("database"), holds=True, databases=FILE, mounts=True),
    "storage-disk-full": Kind(fill("storage"), holds=True, mounts=True),
    "database-copied": Kind(copy_database, ends=True, databases=FILE),
    "server-kill": Kind(kill_server, holds=True, databases=SERVER),
    "server-stop": Kind(stop(_server), holds=True, databases=SERVER),
    "checkpoint-damaged": Kind(damage_checkpoint),
    "result-damaged": Kind(damage_result, ends=True),
    "clock-jump": Kind(jump, simulated=True),
}


def kinds_for(database: str, mounts: bool) -> list[str]:
    """Those that can be had with this database, and with or without the right to mount disks."""
    return [
        name
        for name, kind in KINDS.items()
        if database in kind.databases and (mounts or not kind.mounts)
    ]
