"""For all tests: one compiled step, however many caches of their own they have."""

import os

from models.cache import cache_root

os.environ.setdefault("SWEEPER_NATIVE", str(cache_root() / "native"))
