"""Reports in a headless Chromium: Debian's, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeper.ledger.connect import open_reader
from sweeper.page.document import document_of
from tests.page.planted import plant

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOW = "needs a browser: apt-get install chromium, and pip install playwright"

Opened = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason=HOW)
    if CHROMIUM is None:
        pytest.skip(HOW)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three seeds of the full grid on one encoder and on another, where the margins are higher."""
    path = str(tmp_path_factory.mktemp("planted") / "planted.db")
    plant(path, "three", seeds=3)
    plant(path, "higher", seeds=3, data="mae", shift=0.05)
    return path


@pytest.fixture(scope="session")
def report(db: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sweep `three`."""
    return write(db, ["three"], tmp_path_factory.mktemp("report"))


def write(db: str, names: Sequence[str], place: Path) -> Path:
    from analysis.html import page

    path = place / "report.html"
    path.write_text(page(document_of(open_reader(db), names, db)), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    """Opens a report, or the address of a server: `opened(path, "#hash", viewport=…)`.

    At the end nothing was complained of, and nobody else was asked for anything. Options are those
    of a playwright context; `unpacking=False` takes DecompressionStream away.
    """
    contexts, complaints, requests, origins = [], list[str](), list[str](), ["file://"]

    def open_page(
        page: Path | str, hash: str = "", *, unpacking: bool = True, **options: Any
    ) -> Any:
        if isinstance(page, str):
            origins.append(page)
        options.setdefault("viewport", {"width": 1440, "height": 1000})
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        if not unpacking:
            tab.add_init_script("delete globalThis.DecompressionStream")
        tab.goto((page if isinstance(page, str) else page.as_uri()) + hash)
        tab.locator("#lines:not(:empty)").wait_for()
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(url.startswith(tuple(origins)) for url in requests)
