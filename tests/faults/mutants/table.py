"""The mutants: each a small change to the source that takes one protection out."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Mutant:
    """A text of a file, what stands there instead, and the tests of which one must fail then."""

    name: str
    file: str  # below the root
    lost: str  # the protection
    old: str  # occurs once
    new: str
    tests: tuple[str, ...]  # node ids, below the root

    def applied(self, source: str) -> str:
        """The file's source with the change. Raises ValueError unless the text is there once."""
        if (times := source.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its text occurs {times} times in {self.file}")
        return source.replace(self.old, self.new)


def mutants() -> dict[str, Mutant]:
    """All of them, by name."""
    rows = {
        name: row
        for file in sorted(Path(__file__).parent.glob("*.toml"))
        for name, row in tomllib.loads(file.read_text()).items()
    }
    return {
        name: Mutant(name, **{**row, "tests": tuple(map(_node, row["tests"]))})
        for name, row in rows.items()
    }


def _node(test: str) -> str:
    """The tables leave out what nearly all of them begin with."""
    return f"tests/{test}" if test.startswith("faults/") else f"tests/sweeper/{test}"
