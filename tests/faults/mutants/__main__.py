"""Whether the tests notice when a protection is taken out: `python -m tests.faults.mutants`.

Every mutant is made in a copy of the source, where its tests run; one of them must fail. Exit code
1 when a mutant survives, or when the tests do not even pass without one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.mutants.table import ROOT, Mutant, mutants

COPIED = ("sweeper", "models", "analysis", "tests", "pyproject.toml")
PATIENCE = 180.0  # seconds a mutant; a hang is no kill
# pytest's exit codes, of which only a failed test is a kill.
VERDICTS = {0: "SURVIVED", 1: "killed", -1: "HANGS"}


def copy_source(to: Path) -> None:
    """The working tree as it is now."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, to / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, to / name)


def tested(root: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Runs tests in a copy: pytest's exit code (-1: they did not end), and the output's end."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, (done.stdout + done.stderr)[-3_000:]


def judge(mutant: Mutant) -> tuple[str, float, str]:
    """(verdict, seconds, the output's end) of one mutant in a copy of its own."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        copy_source(Path(directory))
        path = Path(directory) / mutant.file
        path.write_text(mutant.applied(path.read_text()))
        code, output = tested(Path(directory), mutant.tests)
    return VERDICTS.get(code, f"BROKEN ({code})"), time.monotonic() - started, output


def untouched(chosen: Iterable[Mutant]) -> str:
    """What the tests say without any mutant: nothing when all of them pass."""
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    with tempfile.TemporaryDirectory() as directory:
        copy_source(Path(directory))
        code, output = tested(Path(directory), tests)
    return output if code else ""


def run(chosen: list[Mutant]) -> int:
    """Prints a line a mutant, and the count; returns the exit code."""
    if output := untouched(chosen):
        print(f"{output}\nthese tests do not pass without a mutant")
        return 1
    width, killed = max(len(mutant.name) for mutant in chosen), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, (verdict, seconds, output) in zip(chosen, pool.map(judge, chosen), strict=True):
            killed += verdict == "killed"
            note = mutant.lost if verdict == "killed" else f"{mutant.lost}\n{output}"
            print(f"{mutant.name:{width}}  {verdict:8}  {seconds:3.0f} s  {note}", flush=True)
    print(f"{len(chosen)} mutants, {killed} killed, {len(chosen) - killed} not")
    return int(killed < len(chosen))


def main() -> int:
    known = mutants()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")
    parser.add_argument("--list", action="store_true", help="name them, and what each takes out")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(known)):
        parser.error(f"no mutant {', '.join(unknown)}; see --list")
    chosen = [known[name] for name in asked.names] or list(known.values())
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.lost} ({mutant.file})")
        return 0
    return run(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
