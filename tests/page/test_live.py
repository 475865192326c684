"""The live page in a real browser: beside a real launch, and beside a ledger that fills slowly."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sweeper.ledger.connect import writer
from sweeper.ledger.write import Ledger, Provenance, RunResult
from sweeper.states import State
from sweeper.study.grid import Cell, load_grid, run_config
from sweeper.study.presets import PRESETS
from tests.faults import toy
from tests.page.conftest import Opened
from tests.page.planted import plant, scores

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&amp; 🎹\x1b[31m"

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts a command of `sweeper` in a directory of the test's own."""
    with ExitStack() as stack:

        def start(*words: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "sweeper.cli", *words]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            started = subprocess.Popen(command, cwd=tmp_path, text=True, **pipes)  # type: ignore
            stack.enter_context(started)
            stack.callback(started.kill)
            return started

        yield start


def address(process: subprocess.Popen[str]) -> str:
    """What the process prints for a browser."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    pytest.fail(process.communicate()[1])


def until(tab: Any, script: str) -> None:
    """Waits until this is so; playwright's own waiting would evaluate, which the policy forbids."""
    ends = time.monotonic() + 60
    while not tab.evaluate(script):
        assert time.monotonic() < ends, (script, tab.title(), tab.locator("#live").inner_text())
        tab.wait_for_timeout(50)


def test_a_launch_is_watched_from_start_to_end(
    run: Run, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SWEEPER_NATIVE", "0")  # slow enough to be watched
    toy.make_latents()
    toy.grid_file(tmp_path, epochs=300)
    words = "--grid toy.toml --preset smoke --executor inline --device cpu --db one.db --page"
    launch = run("launch", *words.split())
    tab = opened(address(launch))
    tab.get_by_role("gridcell", name="Cosine SEP λ 0.6").click()
    until(tab, "document.title.startsWith('✓')")
    assert tab.title() == "✓ 7/7 · sweeper"
    assert "Cosine SEP λ=0.6" in tab.locator("#tray").inner_text()
    assert tab.locator("#grid td.on").count() == 1
    assert tab.locator("#figure3 .points path").count() == 5  # 6 cells, of which λ = 1 is one
    shown = tab.evaluate("document.querySelector('.standing').innerText")
    tab.context.close()  # or the browser complains that its server goes
    out, err = launch.communicate()
    assert (launch.returncode, err) == (0, ""), out
    status = json.loads(run("status", "--db", "one.db", "--json").communicate()[0])
    assert shown.strip() == f"{status['cells_finished']}/{status['cells']} cells finished"
    assert [path.name for path in tmp_path.glob("one.db*")] == ["one.db"]


def test_an_update_leaves_a_reader_where_he_is(run: Run, opened: Opened, tmp_path: Path) -> None:
    db = str(tmp_path / "slow.db")
    plant(db, "before", grid="smoke", data="mae", epochs=1)
    cells = [(cell, run_config(cell, PRESETS["smoke"])) for cell in load_grid("full").cells(1)]
    keys = list({config.key: None for _, config in cells})
    with writer(db) as engine, Ledger.of(engine, HOSTILE) as ledger:
        ledger.register({"grid": "full"}, cells)
        ledger.start_attempts("first", keys[:20], Provenance(device="cpu"))
        server = run("serve", "--db", "slow.db", "--port", "0")
        tab = opened(address(server), viewport={"width": 1280, "height": 700})
        until(tab, "document.querySelector('.grid td[data-state=running]')")
        assert tab.locator("h1").inner_text().startswith("</script><img src=x")
        assert tab.title() == "0/57 · sweeper"
        tab.get_by_role("button", name="select Cosine SEP").click()
        tab.get_by_text("SQL", exact=True).click()
        tab.locator("[data-toggle=everySeed]").check()
        tab.locator("#table [data-sort=mse]").focus()
        tab.evaluate(SCROLL)

        before = tab.evaluate(PLACE)
        assert before["selected"] == 6 and before["details"] and before["list"] == 90

        with engine.begin() as connection:  # as a driver tells it
            connection.execute(text("UPDATE attempts SET share = 0.42"))
        until(tab, "document.querySelector('.grid td')?.innerText.includes('42%')")
        results = [_result(cell, config.key) for cell, config in cells if config.key in keys[:20]]
        ledger.record("first", list({r.key: r for r in results}.values()), seconds=1.0)
        until(tab, "document.querySelectorAll('#figure3 .points path').length > 5")
        assert tab.evaluate(PLACE) == before

        tab.locator("#live .trouble summary").click()
        assert "</script><img" in tab.locator("#live .trouble code").inner_text()
        assert tab.locator("img").count() == 0
        assert tab.evaluate(NAMELESS) == []
        assert tab.locator("nav a").all_inner_texts()[-2:] == ["before 4/4", "+"]
        Path(db).rename(tmp_path / "moved.db")
        until(tab, "document.querySelector('#lost').innerText.includes('is gone')")
        assert tab.locator("#grid td.on").count() == 6
        (tmp_path / "moved.db").rename(db)
        until(tab, "document.querySelector('#lost').innerText === ''")
    tab.get_by_role("link", name="before 4/4").click()
    until(tab, "document.title === '✓ 4/4 · sweeper'")
    assert tab.locator("nav a[aria-current]").inner_text() == "before 4/4"
    tab.context.close()
    server.send_signal(signal.SIGINT)
    assert (server.wait(), server.stderr.read() if server.stderr else "") == (130, "")
    assert [path.name for path in tmp_path.iterdir()] == ["slow.db"]


def _result(cell: Cell, key: str) -> RunResult:
    if cell.lam == 0.2:
        return RunResult(key, State.FAILED, None, [], HOSTILE, f"Traceback\n{HOSTILE}\n")
    return RunResult(key, State.FINISHED, scores(cell), [])


SCROLL = """() => {
    document.querySelector("#table .list").scrollTo(0, 90);
    scrollBy(0, document.querySelector("#table").getBoundingClientRect().top - 30);
}"""
# What an update must leave as it is.
PLACE = """() => ({
    table: Math.round(document.querySelector("#table").getBoundingClientRect().top / 20),
    list: document.querySelector("#table .list").scrollTop,
    selected: document.querySelectorAll("#grid td.on").length,
    details: document.querySelector("#tray details").open,
    focus: document.activeElement.dataset.sort,
    everySeed: document.querySelector("[data-toggle=everySeed]").checked,
})"""
# What a screen reader could not name.
NAMELESS = """() => [...document.querySelectorAll("a, button, select, summary, nav, [tabindex]")]
    .filter((node) => ![node.getAttribute("aria-label"), node.textContent,
        node.labels?.[0]?.textContent].some((text) => text?.trim()))
    .map((node) => node.outerHTML)"""
