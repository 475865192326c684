"""The drawn figures: nothing clipped, nothing on top of something else, large enough to read."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.figures import style
from analysis.report import FIGURES
from analysis.trainings import Trainings
from tests.analysis.synthetic import SWEEPS, Row, multiview_row, results

SINGLE = {"2", "3", "variance", "pareto"}  # one column wide; the others two
CASES = [
    *itertools.product("234", SWEEPS),
    *itertools.product(("claims", "lambda", "pareto"), ("three seeds", "nasty", "few")),
    ("variance", "three seeds"),  # it needs a whole grid with several seeds
]


@dataclass(frozen=True)
class Drawing:
    """A figure as it is drawn, with every text that was."""

    figure: Figure
    texts: list[tuple[str, float, Bbox]]  # what it says, its size in points, where it stands


Drawings = dict[tuple[str, str], Drawing]


def drawn(name: str, rows: list[Row]) -> Drawing:
    module, swept = FIGURES[name], results(rows)
    trainings = Trainings.of_results(swept)
    table = module.data(trainings)
    foot = f"{module.note(table)} {trainings.basis} {swept.provenance.line}"
    figure = module.draw(table, foot)
    texts: list[tuple[str, float, Bbox]] = []
    draw = Text.draw

    def recorded(text: Text, renderer: RendererBase) -> None:
        if text.get_text().strip() and text.get_visible():
            texts.append((text.get_text(), float(text.get_fontsize()), text.get_window_extent()))
        draw(text, renderer)

    with style.paper(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", recorded)
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    return Drawing(figure, texts)


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    """Every figure of every synthetic sweep."""
    return {(name, sweep): drawn(name, SWEEPS[sweep]) for name, sweep in CASES}


@pytest.mark.parametrize("case", CASES)
def test_all_text_is_inside_the_figure(case: tuple[str, str], drawings: Drawings) -> None:
    width, height = drawings[case].figure.bbox.size
    for text, _, box in drawings[case].texts:
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= width and box.y1 <= height, text


@pytest.mark.parametrize("case", CASES)
def test_no_text_lies_on_other_text(case: tuple[str, str], drawings: Drawings) -> None:
    for (first, _, one), (second, _, other) in itertools.combinations(drawings[case].texts, 2):
        overlap = Bbox.intersection(one, other)
        assert overlap is None or min(overlap.size) < 1, (first, second)


@pytest.mark.parametrize("case", CASES)
def test_legend_and_foot_keep_clear_of_the_axes(case: tuple[str, str], drawings: Drawings) -> None:
    figure = drawings[case].figure
    inner = [axes.get_window_extent() for axes in figure.axes]
    outer = [legend.get_window_extent() for legend in figure.legends]
    outer += [text.get_window_extent() for text in figure.texts]
    assert len(outer) == 2
    assert not any(box.overlaps(area) for box in outer for area in inner)


@pytest.mark.parametrize("case", CASES)
def test_text_is_seven_points_or_more_at_column_width(
    case: tuple[str, str], drawings: Drawings
) -> None:
    width = style.SINGLE if case[0] in SINGLE else style.DOUBLE
    assert drawings[case].figure.get_figwidth() == width
    assert min(size for _, size, _ in drawings[case].texts) >= 7


def test_a_far_point_is_clipped_to_the_edge_with_an_arrow_and_named(drawings: Drawings) -> None:
    figure = drawings["2", "nasty"].figure
    assert max(axes.get_xlim()[1] for axes in figure.axes) < 1
    assert sum(len(axes.texts) for axes in figure.axes) == 4 + 2  # names of lines, and arrows
    foot = figure.texts[0].get_text().replace("\n", " ")
    assert "Off the scale (arrows): VICReg SIM+SEP λ=0.2." in foot


def test_an_axis_has_no_tick_where_far_points_stand(drawings: Drawings) -> None:
    (axes,) = drawings["3", "nasty"].figure.axes
    for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = axis.get_ticklocs()
        assert len(ticks) >= 3 and ends[0] <= min(ticks) and max(ticks) <= ends[1]


def test_every_configuration_with_an_mse_is_a_mark_in_figure_2(drawings: Drawings) -> None:
    for axes in drawings["2", "one seed"].figure.axes:
        points, star = axes.collections[-2:]
        assert np.shape(points.get_offsets()) == (36, 2)
        assert np.shape(star.get_offsets()) == (1, 2)


def test_figure_4_has_fifteen_bars_a_panel_with_their_heights(drawings: Drawings) -> None:
    table = FIGURES["4"].data(Trainings.of(results(SWEEPS["three seeds"]).frame))
    for axes, panel in zip(drawings["4", "three seeds"].figure.axes, "ABCD", strict=True):
        means = table[(table["panel"] == panel) & (table["principle"] == "mean")]
        heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
        assert sorted(heights) == pytest.approx(sorted(means["delta"]))


def test_bars_that_lack_a_principle_are_hatched(drawings: Drawings) -> None:
    hatched = [bar.get_hatch() == "////" for bar in drawings["4", "nasty"].figure.axes[0].patches]
    assert sum(hatched) == 2
    assert not any(bar.get_hatch() for bar in drawings["4", "one seed"].figure.axes[0].patches)


def test_a_principle_and_a_lambda_of_the_user_s_own_are_drawn() -> None:
    rows = [
        {**multiview_row("Cosine", "SEP", lam, 0), "principle": "Barlow", "lam": lam}
        for lam in (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 1.0)
    ]
    for name in FIGURES:
        if name != "variance":
            assert drawn(name, rows).texts
