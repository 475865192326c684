"""The report page in a real browser: every control, by mouse, finger and keyboard."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.document import with_derived
from analysis.estimates import configurations
from analysis.html import page
from analysis.results import load_results
from analysis.trainings import Trainings
from sweeper.ledger.connect import open_reader
from sweeper.page.document import document_of
from sweeper.states import State
from tests.page.conftest import Opened, write
from tests.page.planted import plant

pytestmark = pytest.mark.browser


def labels(tab: Any, document: dict[str, Any]) -> set[str]:
    """The cells that the address says are selected."""
    spans = re.search(r"[#&]s=([^&]*)", tab.evaluate("location.hash"))
    parts = [part.split("-") for part in spans[1].split(".")] if spans else []
    ids = {place for part in parts for place in range(int(part[0]), int(part[-1]) + 1)}
    shown = [label for sweep in document["sweeps"] for label in sweep["cells"]["label"]]
    return {shown[place] for place in ids}


@pytest.fixture(scope="module")
def document(db: str) -> dict[str, Any]:
    return document_of(open_reader(db), ["three"], db)


@pytest.fixture(scope="module")
def frame(db: str) -> pd.DataFrame:
    return with_derived(load_results(open_reader(db), "three").frame)


def drag(tab: Any, figure: str, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Drags a rectangle over these values of a figure's axes."""
    corners = tab.evaluate(
        """([figure, xs, ys]) => {
            const svg = document.querySelector(`#${figure} svg.plot`);
            svg.scrollIntoView({block: "center"});
            const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
            return [0, 1].map((i) => [box.x + svg.scale("x").apply(xs[i]) * scale,
                                      box.y + svg.scale("y").apply(ys[i]) * scale]);
        }""",
        [figure, x, y],
    )
    tab.mouse.move(*corners[0])
    tab.mouse.down()
    tab.mouse.move(*corners[1], steps=4)
    tab.mouse.up()


def labels_of(frame: pd.DataFrame, names: set[str]) -> set[str]:
    """The cells of these configurations."""
    cut = frame["label"].str.replace(r" seed \d+$", "", regex=True)
    only = cut.mask((frame["kind"] == "multiview") & (frame["lam"] == 1), RECONSTRUCTION_ONLY)
    return set(frame.loc[only.isin(names), "label"])


def test_a_brush_selects_what_pandas_selects(
    opened: Opened, report: Path, document: dict[str, Any], frame: pd.DataFrame
) -> None:
    tab = opened(report)
    means = configurations(Trainings.of(frame))
    x, y = (-0.005, 0.0875), (0.0975, 0.312)
    inside = means[means["delta_pitch"].between(*x) & means["delta_instrument"].between(*y)]
    drag(tab, "figure3", x, y)
    names = set(inside["name"])
    assert 5 < len(names) < 40
    assert labels(tab, document) == labels_of(frame, names)
    selected = frame[frame["label"].isin(labels(tab, document))].drop_duplicates("run_key")
    for measure, digits in (("delta_pitch", 2), ("delta_instrument", 2), ("mse", 3)):
        shown = tab.locator(f"#tray [data-number={measure}] dd").inner_text()
        mean = round(float(selected[measure].mean()), digits)
        assert float(shown.replace("−", "-")) == pytest.approx(mean, abs=10.0**-digits)


def test_a_brush_along_an_axis_selects_by_that_measure(
    opened: Opened, report: Path, document: dict[str, Any], frame: pd.DataFrame
) -> None:
    tab = opened(report)
    drag(tab, "parallel", ("delta_instrument", "delta_instrument"), (0.75, 1.1))
    means = configurations(Trainings.of(frame)).query("kind == 'multiview' and lam < 1")
    low, high = means["delta_instrument"].min(), means["delta_instrument"].max()
    upper = means[means["delta_instrument"] >= low + 0.75 * (high - low)]
    assert labels(tab, document) == labels_of(frame, set(upper["name"]))


def test_what_is_not_selected_is_dim_in_every_view(opened: Opened, report: Path) -> None:
    tab = opened(report)
    tab.get_by_role("gridcell", name="Cosine SEP λ 0.6").click()
    for view in ("#figure3 .points", "#figure2 .points", "#parallel .lines", "#curves .lines"):
        assert tab.locator(f"{view} .on").count() == (2 if "figure2" in view else 1), view
        assert tab.locator(f"{view} .off").count() > 30, view
    assert tab.locator("#table tr.on").count() == 1
    assert tab.locator("#figure4 .bars .on").count() == 4  # one a panel
    assert "Cosine SEP λ=0.6" in tab.locator("#tray").inner_text()


def test_every_cell_of_the_grid_is_reached_by_arrows_and_named(
    opened: Opened, report: Path
) -> None:
    tab = opened(report)
    tab.locator("#grid td[tabindex='0']").focus()
    seen = []
    for row in range(9):
        for column in range(6):
            seen.append(tab.evaluate("document.activeElement.getAttribute('aria-label')"))
            if column < 5:
                tab.keyboard.press("ArrowLeft" if row % 2 else "ArrowRight")
        tab.keyboard.press("ArrowDown")
    assert len(set(seen)) == 54
    for name in seen:
        assert re.fullmatch(
            r"\S+ (SIM|SEP|SIM\+SEP) λ [\d.]+, smaller margin −?\d\.\d\d "
            r"\(−?\d\.\d\d to −?\d\.\d\d\), 3 of 3 seeds(, in Table 1)?",
            name,
        ), name
    assert tab.locator("#grid td[tabindex='0']").count() == 1


def test_space_selects_shift_extends_and_escape_clears(
    opened: Opened, report: Path, document: dict[str, Any]
) -> None:
    tab = opened(report)
    tab.locator("#grid td[tabindex='0']").focus()
    tab.keyboard.press("Space")
    assert labels(tab, document) == {f"InfoNCE SIM λ=0 seed {seed}" for seed in range(3)}
    tab.keyboard.press("Shift+ArrowRight")
    assert len(labels(tab, document)) == 6
    tab.keyboard.press("Space")
    assert labels(tab, document) == {f"InfoNCE SIM λ=0 seed {seed}" for seed in range(3)}
    tab.keyboard.press("Escape")
    assert labels(tab, document) == set()
    assert "Nothing selected" in tab.locator("#tray").inner_text()


@pytest.mark.parametrize("view", ["figure3", "figure4", "parallel", "curves", "table"])
def test_marks_of_every_view_are_walked_and_selected_by_keyboard(
    opened: Opened, report: Path, document: dict[str, Any], view: str
) -> None:
    tab = opened(report)
    tab.locator(f"#{view} [data-mark][tabindex='0']").first.focus()
    before = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    tab.keyboard.press("ArrowDown" if view == "table" else "ArrowRight")
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") not in (before, None)
    tab.keyboard.press("Enter")
    assert labels(tab, document)
    assert tab.locator("#tip").is_visible()


def test_a_finger_selects_the_point_that_it_nearly_hits_and_adds_the_next(
    opened: Opened, report: Path, document: dict[str, Any]
) -> None:
    tab = opened(report, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    box = tab.locator("#figure3 .points [aria-label^='Cosine SIM λ=0']").first.bounding_box()
    tab.evaluate("y => scrollTo(0, y)", box["y"] - 300)
    for name in ("Cosine SIM λ=0", "InfoNCE SIM+SEP λ=0"):
        point = tab.locator(f"#figure3 .points [aria-label='{name}']").bounding_box()
        x, y = point["x"] + point["width"] / 2 + 7, point["y"] + point["height"] / 2
        tab.touchscreen.tap(x, y)
    cells = labels(tab, document)
    assert cells == {
        f"{n} seed {s}" for n in ("Cosine SIM λ=0", "InfoNCE SIM+SEP λ=0") for s in range(3)
    }


def test_a_claim_selects_the_cells_that_it_rests_on(
    opened: Opened, report: Path, document: dict[str, Any]
) -> None:
    tab = opened(report)
    (sweep,) = document["sweeps"]
    for claim in sweep["claims"][::5]:
        tab.keyboard.press("Escape")  # what is chosen twice is chosen no more
        tab.get_by_role("button", name=claim["claim"]).click()
        assert labels(tab, document) == {sweep["cells"]["label"][cell] for cell in claim["cells"]}


def test_the_address_restores_the_view(opened: Opened, report: Path) -> None:
    tab = opened(report)
    tab.locator("[data-choice=measure]").select_option("mse")
    tab.locator("[data-choice=curve]").select_option("train_total")
    tab.locator("[data-filter='objective:SIM']").click()
    tab.locator("[data-toggle=everySeed]").check()
    tab.locator("[data-toggle=runs]").uncheck()
    tab.get_by_role("gridcell", name="Cosine SEP λ 0.2").click()
    again = opened(report, tab.evaluate("location.hash"))
    for query in ("#tray", "#table h2", "#curves h2", "#grid h2"):
        assert again.locator(query).inner_text() == tab.locator(query).inner_text()
    assert again.locator("[data-filter='objective:SIM']").get_attribute("aria-pressed") == "false"
    assert again.locator("#figure3 .runs circle").count() == 0
    assert again.locator("#figure3 .points path").count() == 31  # 15 SEP, 15 SIM+SEP, λ = 1


@pytest.mark.parametrize("hash", ["#s=9-1e99", "#s=x.-1.7-&m=constructor&f=9&h=%E0%A4", "#&&=&s"])
def test_a_nonsense_address_draws_the_page(opened: Opened, report: Path, hash: str) -> None:
    assert opened(report, hash).locator("#figure3 .points path").count() == 46


def test_the_tray_has_the_query_and_the_launch_of_the_selection(
    opened: Opened, report: Path, db: str, document: dict[str, Any]
) -> None:
    from sqlalchemy import text

    tab = opened(report)
    tab.get_by_role("button", name="select Cosine SEP").click()
    tab.get_by_text("SQL", exact=True).click()
    sql = tab.locator("#tray details:has-text('SQL') code").inner_text()
    with open_reader(db).connect() as connection:
        rows = connection.execute(text(sql.rstrip(";"))).all()
    assert {row.label for row in rows} == labels(tab, document) and len(rows) == 18
    tab.get_by_text("More seeds").click()
    launch = tab.locator("#tray details:has-text('More seeds') code").inner_text()
    assert launch.startswith("sweeper launch --grid full --preset smoke --seeds 7 ")


def test_the_table_sorts_and_shows_every_seed(
    opened: Opened, report: Path, frame: pd.DataFrame
) -> None:
    tab = opened(report)
    assert tab.locator("#table tbody tr").count() == 49
    tab.locator("#table [data-sort=mse]").click()
    lowest = configurations(Trainings.of(frame)).sort_values("mse")["name"].iloc[0]
    assert tab.locator("#table tbody th").first.inner_text() == lowest
    tab.locator("#table [data-sort=name]").click()
    assert tab.locator("#table tbody th").first.inner_text().startswith("Cosine SEP")
    tab.locator("[data-toggle=everySeed]").check()
    assert tab.locator("#table tbody tr").count() == len(frame) == 171


def test_two_sweeps_are_arrows_and_paired_differences(
    opened: Opened, db: str, tmp_path: Path
) -> None:
    tab = opened(write(db, ["three", "higher"], tmp_path), viewport={"width": 1400, "height": 800})
    tray, last = (tab.locator(it).last.bounding_box() for it in ("#tray", "#grid .baselines"))
    assert tray["y"] >= last["y"] + last["height"]  # with nothing to tell it covers no grid
    assert tab.locator("#figure3 .moves path").count() == 46
    assert tab.locator("#grid table").count() == 2
    tab.locator("[data-choice=measure]").select_option("delta_pitch")
    tab.locator("[data-toggle=difference]").check()
    second = tab.locator("#grid table").nth(1)
    assert set(second.locator("td").all_inner_texts()) == {"0.05"}
    tab.locator("[data-choice=front]").select_option("higher")
    assert "higher" in tab.locator("#claims h2").inner_text()
    tab.get_by_role("button", name="Reconstruction only is entangled").click()
    assert "reconstruction only · higher" in tab.locator("#tray").inner_text()
    arrow = tab.locator("#figure3 .moves path").first.get_attribute("aria-label")
    assert "higher less three: Δ pitch 0.05 (0.05 to 0.05)" in arrow and "3 seeds" in arrow


HOSTILE = "</script><img src=x onerror=alert(1)>'\"&amp;{{7*7}} 🎹\x1b[31m\u202e<!--<script>"


def test_places_of_one_sweep_have_one_title_and_one_provenance_with_sources_folded(
    opened: Opened, db: str, tmp_path: Path
) -> None:
    document = document_of(open_reader(db), ["three", "higher"], db)
    for sweep in document["sweeps"]:
        own = {"grid": "mine.toml", "grid_file": "[axes]\n", "plugins": {"barlow.py": "import x\n"}}
        sweep["name"], sweep["sweep"] = f"mine · loss.gamma={sweep['name']}", "mine"
        sweep["options"] |= own
        sweep["unfinished"] = {"failed": ["Cosine SIM λ=1 seed 0"]}  # which stands in each
    path = tmp_path / "report.html"
    path.write_text(page(document), encoding="utf-8")
    tab = opened(path)
    assert tab.title() == tab.locator("h1").inner_text() == "mine"
    provenance = tab.locator("#provenance")
    assert provenance.locator("summary").all_inner_texts() == ["mine.toml", "barlow.py"]
    assert not provenance.get_by_text("import x").is_visible()
    assert provenance.get_by_text("Cosine SIM λ=1 seed 0", exact=True).count() == 1
    assert "[axes]" not in provenance.locator("dl").inner_text()
    assert tab.locator("#table .list").evaluate("it => it.scrollWidth <= it.clientWidth")


def test_hostile_names_are_only_text(opened: Opened, tmp_path: Path) -> None:
    db = str(tmp_path / "hostile.db")
    state = lambda cell: State.DIVERGED if cell.lam == 0.2 else State.FINISHED  # noqa: E731
    plant(db, HOSTILE, state=state, cause=HOSTILE)
    tab = opened(write(db, [HOSTILE], tmp_path))
    assert tab.locator("h1").inner_text().startswith("</script><img src=x onerror=alert(1)>")
    assert tab.locator("img, iframe, object").count() == 0
    assert tab.locator("script").count() == 4  # the document, two libraries, the page
    tab.get_by_role("button", name="select λ 0.2").click()
    assert "</script><img" in tab.locator("#tray .trouble summary").inner_text()
    tab.locator("#tray .trouble summary").click()
    assert "</script><img" in tab.locator("#tray .trouble code").inner_text()


def test_a_sweep_without_a_finished_run_is_drawn(opened: Opened, tmp_path: Path) -> None:
    db = str(tmp_path / "none.db")
    plant(db, "pending", state=lambda cell: State.PENDING)
    plant(db, "diverged", data="mae", state=lambda cell: State.DIVERGED)
    for name, glyph in (("pending", "·"), ("diverged", "✕")):
        tab = opened(write(db, [name], tmp_path))
        assert set(tab.locator("#grid td").all_inner_texts()) == {glyph}
        assert "Nothing finished yet" in tab.locator("#figure3").inner_text()
        tab.get_by_role("button", name="select Cosine SEP").click()
        assert "0 finished runs" in tab.locator("#tray").inner_text()


@pytest.mark.parametrize("grid", ["baselines", "smoke"])
def test_a_grid_of_another_shape_is_drawn(opened: Opened, tmp_path: Path, grid: str) -> None:
    db = str(tmp_path / "shape.db")
    plant(db, grid, grid=grid)
    tab = opened(write(db, [grid], tmp_path))
    assert tab.locator("#grid td").count() == (0 if grid == "baselines" else 3)
    assert "pitch 0.66" in tab.locator("#grid .baselines").inner_text()
    assert tab.locator("#provenance dl").count() == 1


def test_as_many_configurations_as_marks_allow_are_painted_and_brushed(
    opened: Opened, tmp_path: Path
) -> None:
    lambdas = ", ".join(f"{place / 200:g}" for place in range(201))
    grid = tmp_path / "many.toml"
    grid.write_text(
        'principles = ["InfoNCE", "Cosine", "VICReg"]\nobjectives = ["SIM", "SEP", "SIM+SEP"]\n'
        f"lambdas = [{lambdas}]\n"
    )
    db = str(tmp_path / "many.db")
    plant(db, "many", grid=str(grid), epochs=1)
    tab = opened(write(db, ["many"], tmp_path))
    assert tab.locator("#figure3 .points path").count() == 0
    drag(tab, "figure3", (0.1, 0.25), (0.1, 0.25))
    document = document_of(open_reader(db), ["many"], db)
    cells = pd.DataFrame(document["sweeps"][0]["cells"])
    inside = cells[cells["delta_pitch"].between(0.1, 0.25)]
    inside = inside[inside["delta_instrument"].between(0.1, 0.25)]
    assert labels(tab, document) == set(inside["label"]) and len(inside) > 100
    assert tab.locator("#keys .lam").count() == 0
    tab.get_by_role("button", name="show all").click()
    assert tab.locator("#table tbody tr").count() == 1801


def test_a_browser_that_cannot_unpack_is_told_so(opened: Opened, db: str, tmp_path: Path) -> None:
    path = write(db, ["three", "higher"], tmp_path)
    assert "data-packed" in path.read_text()
    line = opened(path, unpacking=False).locator("#lines").inner_text()
    assert "DecompressionStream" in line and "\n" not in line


def test_many_runs_are_painted_and_still_selected(opened: Opened, tmp_path: Path) -> None:
    db = str(tmp_path / "many.db")
    plant(db, "many", seeds=35, epochs=1)
    path = write(db, ["many"], tmp_path)
    tab = opened(path)
    assert tab.locator("#figure3 canvas").count() == 1
    assert tab.locator("#figure3 .runs circle").count() == 0
    drag(tab, "figure3", (-0.01, 0.0875), (0.0975, 0.3125))
    document = document_of(open_reader(db), ["many"], db)
    assert len(labels(tab, document)) % 35 == 0 and labels(tab, document)


@pytest.mark.parametrize("width", [390, 800, 1440])
def test_no_page_is_wider_than_its_window(
    opened: Opened, db: str, tmp_path: Path, width: int
) -> None:
    path = write(db, ["three", "higher"], tmp_path)
    tab = opened(path, viewport={"width": width, "height": 844}, is_mobile=width == 390)
    tab.get_by_role("button", name="select Cosine SEP").first.click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data;
    };
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const poor = [];
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
        if (!own || !node.checkVisibility() || node.matches("script, style, noscript")) continue;
        const ground = (one) => rgba(getComputedStyle(one).backgroundColor);
        let below = node;
        while (below !== document.body && ground(below)[3] < 255) below = below.parentElement;
        const style = getComputedStyle(node);
        const ink = rgba(node.namespaceURI.endsWith("svg") ? style.fill : style.color);
        const [most, least] = [light(ink), light(ground(below))].sort((x, y) => y - x);
        const ratio = (most + 0.05) / (least + 0.05);
        if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${node.tagName} ${node.textContent}`);
    }
    return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    opened: Opened, db: str, tmp_path: Path, scheme: str
) -> None:
    tab = opened(write(db, ["three", "higher"], tmp_path), color_scheme=scheme)
    assert tab.evaluate(CONTRAST) == []


def test_print_is_vector_on_a4_with_the_whole_table(opened: Opened, report: Path) -> None:
    tab = opened(report, color_scheme="dark")
    printed = tab.pdf(prefer_css_page_size=True)
    assert b"/Subtype /Image" not in printed
    widths = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert widths and {(round(float(w)), round(float(h))) for w, h in widths} == {(595, 842)}
    assert 3 <= len(widths) <= 8
    tab.emulate_media(media="print")
    assert tab.locator("#table tbody tr").last.is_visible()
    assert not tab.locator("#grid select").is_visible()


def test_the_document_in_the_page_is_what_export_writes(
    opened: Opened, report: Path, document: dict[str, Any]
) -> None:
    packed = opened(report).evaluate(
        """async () => {
            const node = document.querySelector("#document");
            if (node.dataset.packed == null) return JSON.parse(node.textContent);
            const bytes = Uint8Array.from(atob(node.textContent), (c) => c.charCodeAt(0));
            const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
            return new Response(stream).json();
        }"""
    )
    assert packed == json.loads(json.dumps(document))
