"""The mutants' table fits the source, and the command tells a kill from a survivor."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

import pytest

from tests.faults.mutants.__main__ import judge
from tests.faults.mutants.table import ROOT, Mutant, mutants

MUTANTS = mutants()


def test_every_mutants_text_occurs_once_and_what_takes_its_place_is_python() -> None:
    for mutant in MUTANTS.values():
        source = (ROOT / mutant.file).read_text()
        assert ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))


def test_every_mutants_tests_are_there() -> None:
    tests = {test.partition("[")[0] for mutant in MUTANTS.values() for test in mutant.tests}
    assert tests - set(named(sorted({test.partition("::")[0] for test in tests}))) == set()


def named(files: list[str]) -> Iterator[str]:
    """The node ids of all tests in files, without their parameters."""
    for file in files:
        tree = ast.parse((ROOT / file).read_text()) if (ROOT / file).exists() else ast.Module([])
        yield from (
            f"{file}::{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)
        )


def test_a_change_that_no_test_notices_survives_and_one_that_is_noticed_is_killed() -> None:
    known = MUTANTS["lost-worker-not-replaced"]
    harmless = dataclasses.replace(known, new=f"{known.old}  # the same")
    assert [judge(mutant)[0] for mutant in (known, harmless)] == ["killed", "SURVIVED"]


@pytest.mark.parametrize(("source", "times"), [("", 0), ("a = a\n", 2)])
def test_a_text_that_is_gone_or_not_alone_is_told(source: str, times: int) -> None:
    mutant = Mutant("m", "sweeper/x.py", "", "a", "b", ())
    with pytest.raises(ValueError, match=f"m: its text occurs {times} times in sweeper/x.py"):
        mutant.applied(source)
