"""The image: what it copies is what the package is built from, and every version is pinned."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.cluster_files.files import CLUSTER, CONSTRAINTS, PROJECT, ROOT

TEXT = (CLUSTER / "Dockerfile").read_text()


def test_the_image_copies_what_the_package_is_built_from_and_nothing_else() -> None:
    copied = [line.split()[1:-1] for line in TEXT.splitlines() if line.startswith("COPY")]
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    needed = {pattern.rstrip("*") for pattern in setuptools["packages"]["find"]["include"]}
    needed |= {"pyproject.toml", "constraints.txt", PROJECT["readme"], *PROJECT["license-files"]}
    assert {file for line in copied for file in line} == needed


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("Dockerfile", ["-c constraints.txt", "'.[postgres]'"]),
        ("ray-vms.yaml", ["-c ~/sweeper/constraints.txt", "~/sweeper"]),
        ("ray-own-machines.yaml", ["-c ~/sweeper/constraints.txt", "~/sweeper"]),
    ],
)
def test_sweeper_and_rays_job_server_are_installed_against_the_constraints(
    name: str, installed: list[str]
) -> None:
    assert f"{' '.join(installed)} 'ray[default]'\n" in (CLUSTER / name).read_text()
    assert "postgres" in PROJECT["optional-dependencies"]
    assert "ray" in CONSTRAINTS


def test_the_image_has_a_python_that_the_package_supports() -> None:
    (version,) = re.findall(r"^FROM python:(3\.\d+)-slim$", TEXT, flags=re.MULTILINE)
    assert f">={version}" == PROJECT["requires-python"]
