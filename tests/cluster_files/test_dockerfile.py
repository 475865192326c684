"""The image: what it copies is what the package is built from, and every version is pinned."""

from __future__ import annotations

import re
import tomllib

from tests.cluster_files.files import CLUSTER, CONSTRAINTS, PROJECT, ROOT

TEXT = (CLUSTER / "Dockerfile").read_text()


def test_the_image_copies_what_the_package_is_built_from_and_nothing_else() -> None:
    words = [line.split()[1:-1] for line in TEXT.splitlines() if line.startswith("COPY")]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    needed = {package.partition(".")[0] for package in packages["packages"]}
    needed |= {"pyproject.toml", "constraints.txt", PROJECT["readme"], *PROJECT["license-files"]}
    assert {word for line in words for word in line} == needed


def test_the_image_and_the_machines_install_the_same_against_the_constraints() -> None:
    installed = set()
    for name in ("Dockerfile", "ray-vms.yaml", "ray-own-machines.yaml"):
        (line,) = re.findall(
            r"pip install .*-c \S*constraints.txt \S+ (.*)", (CLUSTER / name).read_text()
        )
        installed.add(line)
    (extras,) = installed
    assert {extra.strip("'").partition("[")[0] for extra in extras.split()} <= set(CONSTRAINTS)


def test_the_image_has_a_python_that_the_package_supports() -> None:
    (version,) = re.findall(r"^FROM python:(3\.\d+)-slim$", TEXT, flags=re.MULTILINE)
    assert f">={version}" == PROJECT["requires-python"]
