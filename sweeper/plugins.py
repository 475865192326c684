"""A user's own code: a Python file that registers principles, encoders or datasets.

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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import SweeperError

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


def _path(file: str, beside: Path) -> Path:
    if file.endswith(".py"):
        return beside / file
    try:
        spec = importlib.util.find_spec(file)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise SweeperError(f"plugin {file} is neither a Python file (ending in .py) nor a module")
    return Path(spec.origin)


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
