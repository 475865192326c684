"""The page's file: what is in it, what it may load, and how it is made."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis import html
from analysis.html import LIBRARIES, PLOT_STYLE, SCRIPTS, page, script
from sweeper.ledger.connect import open_reader
from sweeper.page.document import document_of
from tests.page.planted import plant

WEB = Path(html.__file__).with_name("web")
ROOT = WEB.parents[1]
# Of d3 7.9.2 (npm's sha512-ZKb/mONPVKzaO5UlcWcwN8bS4ezvQaYu+bsou+XgNABdGC800kwH651ADTbbTxMP…)
# and @observablehq/plot 0.6.17 (sha512-/qaXP/7mc4MUS0s4cPPFASDRjtsWp85/TbfsciqDgU1HwYixbSbbytNu…).
VENDORED = {
    "d3.min.js": "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
    "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    db = str(tmp_path_factory.mktemp("planted") / "planted.db")
    plant(db, "one")
    return document_of(open_reader(db), ["one"], db)


def test_the_libraries_are_as_npm_has_them_with_their_licences() -> None:
    for name, digest in VENDORED.items():
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == digest
        licence = (WEB / "vendor" / f"{name.partition('.')[0]}.LICENSE").read_text()
        assert "Permission to use, copy, modify" in licence
    assert {Path(name).name for name in LIBRARIES} == set(VENDORED)


def test_the_style_that_plot_adds_is_the_one_that_the_policy_knows() -> None:
    library = (WEB / "vendor" / "plot.umd.min.js").read_text()
    added = re.search(r"`(:where\(\.\$\{\w+\}\) \{.*?)`", library, flags=re.S)
    assert added is not None
    assert re.sub(r"\$\{\w+\}", "plot", added[1]).replace("\\n", "\n") == PLOT_STYLE


def test_the_same_document_makes_the_same_file(document: dict[str, Any]) -> None:
    assert page(document) == page(document)


def test_the_file_of_a_full_grid_is_small_and_names_no_address(document: dict[str, Any]) -> None:
    made = page(document)
    assert len(made.encode()) < 800_000
    ours = made.replace((WEB / "vendor/d3.min.js").read_text(), "")
    ours = ours.replace((WEB / "vendor/plot.umd.min.js").read_text(), "")
    assert not re.search(r"https?://|\bsrc=|@import|url\(", ours)


def test_the_policy_allows_these_scripts_and_nothing_else(document: dict[str, Any]) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page(document))
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].count("'sha256-") == 3 and "unsafe" not in policy[1]
    assert rules["base-uri"] == rules["form-action"] == "'none'"


@pytest.mark.parametrize("name", ["</script><b>", "<!--<script>", "a\u2028b", '"><i>', "🎹\x1b"])
def test_no_name_ends_the_script_that_holds_it(document: dict[str, Any], name: str) -> None:
    (sweep,) = document["sweeps"]
    made = page(
        {**document, "sweeps": [{**sweep, "name": name, "sweep": name, "curves": {"means": []}}]}
    )
    held = re.search(r'id="document"[^>]*>(.*?)</script>', made, flags=re.S)
    assert held is not None and "<" not in held[1]
    assert made.count("<script") == page(document).count("<script")
    title = re.search(r"<title>(.*?)</title>", made, flags=re.S)
    assert title is not None and "<" not in title[1]


def test_the_script_is_short_and_in_files_with_names() -> None:
    files = sorted(path.name for path in WEB.glob("*.js"))
    assert files == sorted(SCRIPTS)
    assert sum(len((WEB / name).read_text().splitlines()) for name in files) < 980


def test_the_script_keeps_to_the_linters_rules(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text(script())
    linter = shutil.which("oxlint", path=Path(sys.executable).parent) or shutil.which("oxlint")
    if linter is None:
        pytest.skip("needs oxlint: pip install oxlint")
    rules = ["-c", str(Path(__file__).with_name("oxlint.json"))]
    linted = subprocess.run(
        [linter, *rules, str(tmp_path / "page.js")], capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout


def test_nothing_but_the_page_itself_parses_markup() -> None:
    """Text of a database becomes text nodes and attributes, never markup or code."""
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    assert not re.search(ways, script())
