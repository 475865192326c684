"""For all tests: one compiled step, however many caches they have; plugins are a test's own."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from models.cache import cache_root

os.environ.setdefault("SWEEPER_NATIVE", str(cache_root() / "native"))

REGISTRIES = [
    ("models.objectives", "PRINCIPLES"),
    ("models.encoders", "ENCODERS"),
    ("sweeper.data", "DATASETS"),
    ("sweeper.plugins", "_loaded"),
    ("sweeper.plugins", "_sources"),
]


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Whatever a test registers is gone after it; what no module has imported yet is new."""
    found: list[dict[str, Any]] = [
        getattr(sys.modules[module], name) for module, name in REGISTRIES if module in sys.modules
    ]
    before = [dict(registry) for registry in found]
    yield
    for registry, kept in zip(found, before, strict=True):
        registry.clear()
        registry.update(kept)
