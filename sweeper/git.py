"""What git says of a directory; nothing where there is no git, or no repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def commit_of(directory: Path) -> tuple[str | None, bool | None]:
    """The commit of a directory's repository, and whether files differ from it; None if none."""
    commit = _git(directory, "rev-parse", "HEAD")
    return commit, None if commit is None else bool(_git(directory, "status", "--porcelain"))


def is_tracked(path: Path) -> bool:
    """Whether a repository keeps the file, be it there or not."""
    path = path.absolute()
    return _git(path.parent, "ls-files", "--error-unmatch", "--", path.name) is not None


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
