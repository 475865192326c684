"""Which code a principle is made of: edited code is another run.

The code of `models.objectives` is read as text and never run, so that planning needs no torch.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sweeper.plugins import code_of, loaded

REGISTRY = "models.objectives"

# The principles as they are shipped: their runs have no code in their keys. Whoever changes what
# one of them computes raises RESULT_VERSION (study/config.py) and then this digest.
SHIPPED = {
    "InfoNCE": "169bc05bbfd0811e",
    "Cosine": "d9d0ab2fdf264c57",
    "VICReg": "3493ee68ae70a5f6",
}


def principle_code(principle: str) -> str | None:
    """Digest of a principle's code, 16 hex digits; None while it is the shipped code.

    Of one that a plugin has registered, the plugin's. None too for what is registered elsewhere:
    no worker would find it.
    """
    if loaded():
        from models.objectives import PRINCIPLES  # late: it brings torch, as the plugin has

        if principle in PRINCIPLES and (code := code_of(PRINCIPLES[principle].sim)):
            return code
    try:
        code = digest(principle)
    except KeyError:
        return None
    return None if code == SHIPPED.get(principle) else code


def own_options() -> list[str]:
    """The names of all options that plugins' principles have."""
    if not loaded():
        return []
    from models.objectives import PRINCIPLES  # late, as above

    return sorted({name for principle in PRINCIPLES for name in options_of(principle)})


def options_of(principle: str | None) -> dict[str, float]:
    """A principle's own options with their defaults; those shipped have none."""
    if not loaded():
        return {}
    from models.objectives import PRINCIPLES  # late, as above

    return dict(PRINCIPLES[principle].options) if principle in PRINCIPLES else {}


@cache
def digest(principle: str) -> str:
    """Of the functions that a principle is made of, wherever in `models` they stand.

    Comments, docstrings and layout do not count.
    """
    pending = list(_uses(REGISTRY, _entry(principle)))
    code: dict[tuple[str, str], str] = {("", principle): ast.unparse(_entry(principle))}
    while pending:
        module, name = pending.pop()
        definition = _definitions(module).get(name)
        if definition is None or (module, name) in code:
            continue
        if isinstance(definition, ast.ImportFrom):
            if _is_ours(source := str(definition.module)):
                pending += (
                    (source, a.name) for a in definition.names if name in (a.asname, a.name)
                )
            continue
        code[module, name] = _normalised(definition)
        pending += _uses(module, definition)
    text = "\n".join(code[place] for place in sorted(code))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _entry(principle: str) -> ast.expr:
    """What PRINCIPLES has under that name: in its display, or assigned to it later."""
    for node in _tree(REGISTRY).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if key is not None and _is(key, principle):
                    return value
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and _is(target.slice, principle):
                    return node.value
    raise KeyError(principle)


def _is_ours(module: str) -> bool:
    """Whether it may hold code of a principle; options are in the key themselves."""
    return module.startswith("models.") and module != "models.spec"


def _is(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _uses(module: str, node: ast.AST) -> Iterator[tuple[str, str]]:
    names = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    return ((module, name) for name in names)


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """The statements of a module by the names that they define."""
    by_name: dict[str, ast.stmt] = {}
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            by_name[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            by_name.update((alias.asname or alias.name, node) for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            by_name.update((name.id, node) for name in targets if isinstance(name, ast.Name))
    for name in ("PRINCIPLES", "Principle"):  # where principles are kept; computes nothing
        by_name.pop(name, None)
    return by_name


def _normalised(node: ast.stmt) -> str:
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part):
            part.body = part.body[1:] or [ast.Pass()]
    return ast.unparse(node)


@cache
def _tree(module: str) -> ast.Module:
    package, _, leaf = module.rpartition(".")
    spec = find_spec(package)  # of the package alone: the module itself would bring torch
    assert spec is not None and spec.submodule_search_locations is not None
    return ast.parse(Path(spec.submodule_search_locations[0], f"{leaf}.py").read_text("utf-8"))
