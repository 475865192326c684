"""With what an attempt ran: the code's commit, and the versions that decide numbers."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper.events import Provenance


def provenance() -> Provenance:
    """This host, the code's commit, and the versions that decide numbers."""
    commit, dirty = commit_of(Path(__file__).parent)
    return Provenance(
        host=platform.node(),
        git_commit=commit,
        git_dirty=dirty,
        versions={"python": platform.python_version(), **_versions("sweeper", "torch", "ray")},
    )


def _versions(*packages: str) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def commit_of(directory: Path) -> tuple[str | None, bool | None]:
    """The commit of a directory's repository, and whether files differ from it; None if none."""
    commit = _git(directory, "rev-parse", "HEAD")
    return commit, None if commit is None else bool(_git(directory, "status", "--porcelain"))


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
