"""A user's own code: a Python file that registers principles, encoders or datasets.

It is named, or a package that is installed declares it: an entry point of the group
`sweeper.principles`, `sweeper.encoders` or `sweeper.datasets`, whose name is that of what it offers
and whose value the module that registers it. Such a one is run when somebody asks for the name.

Its source is stored with the sweep and travels to every worker, so that neither a resume nor a
cluster needs the file again. Its digest is part of the key of the runs that use it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import linecache
import sys
import types
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweeperError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PREFIX = "sweeper_plugin_"  # of their modules' names

Sources = Mapping[str, str]  # name → source

_loaded: dict[str, str] = {}  # their modules' names → digest
_sources: dict[str, str] = {}  # name → source


def read(files: Iterable[str], beside: Path | None = None) -> dict[str, str]:
    """The sources of plugins by name: files, by a path from `beside`, or importable modules.

    Raises SweeperError for what is neither.
    """
    sources: dict[str, str] = {}
    for file in files:
        path = _path(file, beside or Path())
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SweeperError(f"plugin {file} cannot be read: {error}") from None
        if sources.setdefault(path.stem, text) != text:
            raise SweeperError(f"two plugins are called {path.stem}; rename one")
    return sources


def _path(file: str, beside: Path = Path()) -> Path:
    if file.endswith(".py"):
        return beside / file
    try:
        spec = importlib.util.find_spec(file)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise SweeperError(f"plugin {file} is neither a Python file (ending in .py) nor a module")
    return Path(spec.origin)


def offered(kind: str) -> list[EntryPoint]:
    """What installed packages offer of `principles`, `encoders` or `datasets`, by name."""
    from importlib.metadata import entry_points  # late: it reads what every package declares

    return sorted(entry_points(group=f"sweeper.{kind}"), key=lambda entry: entry.name)


def find(kind: str, name: str, registry: Container[str]) -> None:
    """Runs the installed plugin that offers a principle, an encoder or a dataset.

    `kind` as for `offered`. Nothing happens where the registry has the name, or nobody offers it.
    Raises SweeperError, with the package's name and version, for a plugin that is broken.
    """
    if name in registry or not (entries := [e for e in offered(kind) if e.name == name]):
        return
    packages = sorted({_package(entry) for entry in entries})
    if len(packages) > 1:
        raise SweeperError(f"{' and '.join(packages)} both offer '{name}'; uninstall one")
    entry = entries[0]
    try:
        text = _path(entry.value).read_text("utf-8-sig")
        # As code, so that another version is other code, whatever else of the package it uses.
        source = f"{text}\n__package_version__ = {packages[0]!r}\n"
        load({entry.value.replace(".", "_"): source})
    except Exception as error:  # finding a module runs the packages that it is in
        told = str(error) if isinstance(error, SweeperError) else f"{type(error).__name__}: {error}"
        raise SweeperError(f"package {packages[0]}, which offers '{name}': {told}") from error
    if name not in registry:
        raise SweeperError(
            f"package {packages[0]} offers '{name}', but its {entry.value} registers none such"
        )


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "one without a name"


def load(sources: Sources) -> None:
    """Runs plugins that this process has not run yet. Raises SweeperError where one fails."""
    for name, source in sources.items():
        if _loaded.get(PREFIX + name) != digest(source):
            _run(name, source)
            _loaded[PREFIX + name], _sources[name] = digest(source), source


def code_of(made: Any) -> str | None:
    """Digest of the plugin in which a class or function was written; None for our own code."""
    return _loaded.get(getattr(made, "__module__", ""))


def loaded() -> dict[str, str]:
    """The sources that this process has run, by name; where there are any, torch is there too."""
    return dict(_sources)


def digest(source: str) -> str:
    """16 hex digits; comments and layout do not count."""
    try:
        text = ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError):
        text = source
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _run(name: str, source: str) -> None:
    """As a module of its own, whose classes can be pickled and whose tracebacks show its lines."""
    module = types.ModuleType(PREFIX + name)
    module.__file__ = f"<plugin {name}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[module.__file__] = (len(source), None, lines, module.__file__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, module.__file__, "exec"), vars(module))  # the user's own code
    except Exception as error:
        del sys.modules[module.__name__]
        where = _line_of(error, module.__file__)
        raise SweeperError(f"plugin {name}{where}: {type(error).__name__}: {error}") from error


def _line_of(error: Exception, file: str) -> str:
    """`, line 3`: where in the plugin it happened."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    number, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            number = trace.tb_lineno
        trace = trace.tb_next
    return f", line {number}" if number else ""
