"""The house: which room may import which. A new import that breaks it says where code belongs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sweeper", "models", "analysis")

# From the top floor down: room, and what it is for. A room imports rooms below it and itself.
ROOMS = {
    "sweeper.cli": "the words a user types; parses, calls one command",
    "sweeper.api": "sweeps from Python",
    "sweeper.commands": "one file a verb, and all that prints",
    "sweeper.page": "sweeps as documents, and their page served",
    "sweeper.bench": "the speed claims, measured",
    "sweeper.console": "what a user watches and reads",
    "sweeper.sweep": "one sweep held by this driver; prints nothing",
    "sweeper.driver": "the driver process: packs out, events in, one recorder, retries",
    "sweeper.worker": "the worker process: one pack trained and probed",
    "sweeper.ledger": "the results database",
    "sweeper.data": "audio to latents",
    "sweeper.storage": "files beside the database",
    "sweeper.study": "what is to be trained; pure",
    "sweeper.events": "what happens in a sweep, as dataclasses",
    "sweeper.states": "how an attempt stands",
    "sweeper.signals": "SIGINT and SIGTERM",
    "sweeper.failpoints": "faults on demand, for the tests",
    "sweeper.findings": "what a check of what is stored has found",
    "sweeper.plugins": "a user's own code, run by name and source",
    "sweeper.git": "what git says of a directory",
    "sweeper.errors": "what a user can mend",
    "sweeper": "the version",
    "analysis": "tables to figures; knows neither torch nor ray nor sweeper",
    "models": "tensors: encoders, objectives, the pack trainer, probes",
}

# What a room above may not import although it lies below, and why.
CLOSED = {
    ("sweeper.worker", "sweeper.ledger"): "a worker knows no database: tell the driver an event",
    ("sweeper.bench", "sweeper.console"): "a benchmark prints by its own render.py",
    ("sweeper.driver", "sweeper.console"): "the driver prints nothing: it tells an observer",
    ("sweeper.study", "models"): "the study is torch-free: options and kinds are in models.spec",
    ("analysis", "models"): "figures are functions of the database alone",
}
# The exceptions to CLOSED and to the order, each with its reason.
OPEN = {
    ("sweeper.study", "models.spec"): "options and kinds, without torch",
    ("sweeper.study", "models.names"): "what is said of an unknown name, without torch",
    ("sweeper.study", "models.objectives"): "late, for the principles' names in a grid file",
    ("sweeper", "sweeper.api"): "late, for the names that `import sweeper` offers",
    ("sweeper.worker", "sweeper.events"): "a worker tells events",
}


def room_of(module: str) -> str:
    """The room in which a module stands: the longest name of ROOMS that it begins with."""
    names = [name for name in ROOMS if module == name or module.startswith(f"{name}.")]
    return max(names, key=len)


def imports() -> Iterator[tuple[str, int, str, str]]:
    """(file, line, importing room, imported module) of every import of our own, late ones too."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            for name in _names(node):
                if name.split(".")[0] in PACKAGES:
                    yield str(path.relative_to(ROOT)), node.lineno, room_of(module), name


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def complaint(room: str, name: str) -> str | None:
    """Why a room may not import a module, or None where it may."""
    below = room_of(name)
    if below == room or any(
        room == above and (name == module or name.startswith(f"{module}."))
        for above, module in OPEN
    ):
        return None
    if reason := CLOSED.get((room, below)):
        return reason
    order = list(ROOMS)
    if order.index(below) < order.index(room):
        return (
            f"{below} ({ROOMS[below]}) lies above {room} ({ROOMS[room]}): move what is shared down"
        )
    return None


def test_no_room_imports_one_above_it_or_one_that_is_closed_to_it() -> None:
    complaints = [
        f"{file}:{line} imports {name}: {why}"
        for file, line, room, name in imports()
        if (why := complaint(room, name))
    ]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("sweeper.worker", "sweeper.ledger.write.Ledger"),
        ("sweeper.data", "sweeper.console.progress"),
        ("sweeper.study", "models.pack.trainer"),
        ("analysis", "sweeper.ledger.read"),
        ("models", "sweeper.errors"),
    ],
)
def test_a_wrong_import_is_told_with_a_reason(room: str, name: str) -> None:
    assert complaint(room, name)


def test_every_file_stands_in_a_room() -> None:
    rooms = {room for _, _, room, _ in imports()} | {"sweeper", "sweeper.states", "sweeper.signals"}
    assert rooms <= set(ROOMS)
