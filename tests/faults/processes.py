"""The processes of a driver's private Ray, to be struck one by one."""

from __future__ import annotations

from pathlib import Path

from sweeper.driver import keeper, watch


def vital(driver: int, name: str) -> int | None:
    """The driver's raylet or gcs_server, once there is one."""
    for entry in Path("/proc").glob("[0-9]*"):
        found, state, parent = watch._stat(int(entry.name))
        if (found, parent) == (name, driver) and state != "Z":
            return int(entry.name)
    return None


def session(driver: int) -> Path:
    """The driver's private directory. Raises ValueError when there is none yet."""
    (path,) = Path("/tmp").glob(f"sweeper-ray-{driver}-*")
    return path


def members(path: Path, driver: int) -> list[int]:
    """Ray's processes in that directory: GCS, raylet, agents, workers."""
    return keeper.processes_of(path, driver)


def trials(driver: int) -> list[int]:
    """Workers that train a pack, or are about to; idle ones and agents have other names."""
    return _named(driver, "ray::Implicit")


def agents(driver: int) -> list[int]:
    """The raylet's agents."""
    return _named(driver, "ray::Dashboard", "ray::RuntimeEnv")


def _named(driver: int, *names: str) -> list[int]:
    try:
        found = members(session(driver), driver)
    except ValueError:
        return []
    return sorted(pid for pid in found if watch._stat(pid)[0].startswith(names))
