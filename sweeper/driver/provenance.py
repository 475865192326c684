"""With what an attempt ran: the code's commit, and the versions that decide numbers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper.events import Provenance
from sweeper.git import commit_of


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
