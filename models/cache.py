"""Where files go that can be made again, or that only this machine needs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_root() -> Path:
    """SWEEPER_CACHE, or the platform's own place."""
    root = os.environ.get("SWEEPER_CACHE")
    return Path(root) if root else user_cache_path("sweeper")
