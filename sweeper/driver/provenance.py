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
    commit = _git("rev-parse", "HEAD")
    return Provenance(
        host=platform.node(),
        git_commit=commit,
        git_dirty=None if commit is None else bool(_git("status", "--porcelain")),
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


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
