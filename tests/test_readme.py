"""The README's words are the program's: commands that exist, output that is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md", "CONTRIBUTING.md", "analysis/FINDINGS.md", "tests/faults/README.md",
    "sweeper/study/README.md",
]  # fmt: skip
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every `sweeper …` of the README, in a line of code or a block."""
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.S)
    lines = [part.strip() for block in blocks for part in re.split(r"&&|\n", block)]
    spans = re.findall(r"`(sweeper [^`]+)`", README)
    return sorted({line for line in [*lines, *spans] if line.startswith("sweeper ")})


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_exists_with_its_options(sweeper: Sweeper, command: str) -> None:
    words = shlex.split(command)[1:]
    path = []
    while words and re.fullmatch(r"[a-z]+", words[0]) and len(path) < 2:
        if sweeper(*path, words[0], "--help")[0]:
            break
        path.append(words.pop(0))
    code, usage, _ = sweeper(*path, "--help")
    assert code == 0 and path
    for option in (word for word in words if word.startswith("--")):
        assert option in usage, f"{option} is no option of sweeper {' '.join(path)}"


def test_the_status_in_the_readme_is_what_the_shipped_database_shows(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    block = re.search(r"\$ (sweeper status[^\n]*)\n(.*?)```", README, flags=re.S)
    assert block is not None
    code, out, _ = sweeper(*shlex.split(block[1])[1:])
    assert code == 0
    assert out.splitlines()[: len(block[2].splitlines())] == block[2].splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_files_that_are_there(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r'\]\(([^)#]+)\)|src="([^"]+)"', text)
    for link in (name for pair in links for name in pair if name and "://" not in name):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.S)
    assert found is not None
    return found[1]


def test_the_grid_and_the_principle_of_the_readme_train_as_they_are_printed(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("barlow.py").write_text(block("README.md", "python"))
    short = "\n[data]\ntrain_clips = 48\nvalid_clips = 32\ndownstream_clips = 100\n"
    Path("mine.toml").write_text(block("README.md", "toml").replace("[axes]", f"{short}\n[axes]"))
    launch = ("launch", "--grid", "mine.toml", "--preset", "smoke", "--executor", "inline")
    code, out, err = sweeper(*launch, "--db", "own.db")
    assert code == 0, out + err
    code, out, _ = sweeper("status", "--db", "own.db")
    assert "Barlow SEP weight=0.05 lr=0.001" in out
    assert len(block("README.md", "python").splitlines()) < 30


def test_the_grid_file_of_the_study_page_is_one(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(block("sweeper/study/README.md", "toml"))
    code, out, err = sweeper("launch", "--grid", "mine.toml", "--preset", "smoke", "--dry-run")
    assert code == 0 and "19 cells" in out, out + err
