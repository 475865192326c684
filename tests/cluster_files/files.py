"""The files of cluster/, parsed."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
SBATCH = CLUSTER / "slurm.sbatch"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
)


def document(name: str) -> Any:
    """A YAML file of cluster/."""
    return yaml.safe_load((CLUSTER / name).read_text())


def sbatch_directives() -> dict[str, str]:
    """The options of the #SBATCH lines; a flag has the value ''."""
    lines = re.findall(r"^#SBATCH --(\S+)$", SBATCH.read_text(), flags=re.MULTILINE)
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def sweeper_lines() -> list[tuple[str, list[str]]]:
    """(file, arguments) of every command line of sweeper in cluster/."""
    verbs = "launch|resume|status|report|search|data|export|bench|recover|doctor"
    pattern = re.compile(rf"\bsweeper ((?:{verbs})\b[^`'\"&#\n]*)")
    return [
        (file.name, shlex.split(line))
        for file in sorted(CLUSTER.iterdir())
        for line in pattern.findall(file.read_text())
        if not line.endswith("`")
    ]


def readme_commands() -> list[list[str]]:
    """The shell commands of the README's code blocks."""
    text = (CLUSTER / "README.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]
