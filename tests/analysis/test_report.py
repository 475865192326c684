"""A report is a pure function of the rows: the same rows, the same bytes."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from sqlalchemy import create_engine

from analysis.report import report
from tests.analysis.synthetic import (
    Row,
    full_rows,
    nasty_rows,
    results,
    unfinished,
)

GOLDEN = Path(__file__).with_name("golden")
NEEDS = "needs a finished λ = 1 run and a λ < 1 run of the same seed; go on with `sweeper resume`"
NO_FIGURE_4, NO_RESPONSE, NO_FRONT = (
    f"{name} {NEEDS}" for name in ("Figure 4", "The response to λ", "The Pareto front")
)
NO_VARIANCE = (
    "The variances cannot be drawn: an analysis of variance needs every configuration with two "
    "seeds or more, see `sweeper launch --seeds`"
)
NO_CLAIMS = "The claims have no finished run to rest on; go on with `sweeper resume`"
NO_TABLE_1 = "Table 1 has no finished run to show; go on with `sweeper resume`"


def written(out: Path, rows: list[Row], **asked: object) -> dict[str, bytes]:
    paths = report(results(rows), out=out, **asked).paths  # type: ignore[arg-type]
    return {path.name: path.read_bytes() for path in paths}


def test_a_whole_report_has_pictures_data_captions_table_and_findings(tmp_path: Path) -> None:
    files = written(tmp_path / "deep" / "down", full_rows(1))
    figures = ("claims", "figure-2", "figure-3", "figure-4", "lambda", "pareto")
    suffixes = ("csv", "md", "pdf", "png", "svg")
    expected = [f"{name}.{suffix}" for name in figures for suffix in suffixes]
    expected += ["findings.csv", "findings.md", "table-1.csv", "table-1.md", "table-1.tex"]
    assert list(files) == sorted(expected)
    assert sorted(p.name for p in (tmp_path / "deep" / "down").iterdir()) == sorted(expected)
    assert files["figure-2.png"].startswith(b"\x89PNG")
    assert files["figure-3.pdf"].startswith(b"%PDF")
    assert b"<svg" in files["figure-4.svg"]


def test_one_figure_alone_writes_that_figure_alone(tmp_path: Path) -> None:
    files = written(tmp_path, full_rows(1), figures={"3"}, tables=(), formats=["png"])
    assert list(files) == ["figure-3.csv", "figure-3.md", "figure-3.png"]


def test_the_order_of_rows_in_the_database_changes_no_byte(tmp_path: Path) -> None:
    rows = nasty_rows()
    shuffled = random.Random(1).sample(rows, len(rows))
    first = written(tmp_path / "1", rows, formats=["svg"], paper=True)
    second = written(tmp_path / "2", shuffled, formats=["svg"], paper=True)
    assert first == second


_PROGRAM = """
import sys
from pathlib import Path
from sqlalchemy import create_engine
from analysis.report import report
from analysis.results import load_results
report(load_results(create_engine(sys.argv[1]), "synthetic"), {"3"}, (), Path(sys.argv[2]))
"""


def test_another_process_on_another_day_writes_the_same_bytes(tmp_path: Path) -> None:
    here = written(tmp_path / "here", full_rows(1), figures={"3"}, tables=())
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    results(full_rows(1)).frame.to_sql("results", create_engine(url), index=False)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1000000000"}
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, url, str(tmp_path / "there")], check=True, env=environment
    )
    for name, content in here.items():
        assert (tmp_path / "there" / name).read_bytes() == content, name


def test_pictures_have_print_resolution_and_carry_no_date(tmp_path: Path) -> None:
    files = written(tmp_path, full_rows(1), figures={"3"}, tables=())
    assert b"CreationDate" not in files["figure-3.pdf"]
    assert b"<dc:date>" not in files["figure-3.svg"]
    with Image.open(tmp_path / "figure-3.png") as picture:
        assert set(picture.info) == {"dpi"}
        assert picture.width == 3.4 * 300


@pytest.mark.parametrize("path", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_texts_are_the_golden_ones(path: Path, nasty: dict[str, bytes]) -> None:
    """After a change on purpose: `python -m tests.analysis.regenerate`, and read the diff."""
    assert nasty[path.name].decode() == path.read_text()


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return written(tmp_path_factory.mktemp("nasty"), nasty_rows(), formats=[], paper=True)


def test_a_name_in_the_database_is_neither_html_nor_the_end_of_a_cell(tmp_path: Path) -> None:
    rows = [
        {**row, "principle": f"{name}<script>a()</script>|b"}
        if (name := row.get("principle"))
        else row
        for row in full_rows(1)
    ]
    files = written(tmp_path, rows, formats=[])
    texts = "".join(files[name].decode() for name in files if name.endswith(".md"))
    assert "&lt;script>a()&lt;/script>" in texts and "<script" not in texts
    method = files["table-1.md"].decode().splitlines()[2]
    assert method.count("|") == files["table-1.md"].decode().splitlines()[0].count("|")


def test_every_text_but_the_csv_has_the_provenance(nasty: dict[str, bytes]) -> None:
    line = results(nasty_rows()).provenance.line
    texts = {name: content.decode() for name, content in nasty.items()}
    assert all(line in text for name, text in texts.items() if name.endswith(".md"))
    assert "diverged: VICReg SEP λ=0 seed 0; " in texts["figure-3.md"]


def test_csv_is_what_any_tool_reads(nasty: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in nasty.items():
        if name.endswith(".csv"):
            (tmp_path / name).write_bytes(content)
            assert len(pd.read_csv(tmp_path / name)) > 4


@pytest.mark.parametrize(
    ("lambdas", "absent"),
    [
        ([0.6], [NO_FIGURE_4, NO_RESPONSE, NO_VARIANCE, NO_FRONT]),
        ([1.0], [NO_FIGURE_4, NO_RESPONSE, NO_VARIANCE, NO_FRONT]),
        ([0.0], [NO_FIGURE_4, NO_CLAIMS, NO_RESPONSE, NO_VARIANCE, NO_FRONT, NO_TABLE_1]),
        ([0.0, 1.0], [NO_VARIANCE, NO_FRONT]),
    ],
    ids=str,
)
def test_a_partial_sweep_draws_what_it_can_without_a_warning_and_says_why_not_the_rest(
    lambdas: list[float], absent: list[str], tmp_path: Path
) -> None:
    rows = [row if row.get("lam") in lambdas else unfinished(row) for row in full_rows(1)]
    paths, omitted = report(results(rows), out=tmp_path, formats=["svg"])
    assert omitted == absent
    names = {path.name for path in paths}
    assert {"figure-2.svg", "figure-2.md", "figure-3.svg", "findings.md"} <= names
    figure_4 = {"figure-4.svg", "figure-4.csv", "figure-4.md"}
    assert figure_4 & names == (set() if NO_FIGURE_4 in absent else figure_4)
    assert ("table-1.md" in names) == (NO_TABLE_1 not in absent)


@pytest.mark.parametrize("asked", [{"figures": {"4"}, "tables": ()}, {}])
def test_a_report_without_any_finished_run_says_what_to_do_and_writes_nothing(
    asked: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="go on with `sweeper resume`"):
        written(tmp_path / "out", [unfinished(row) for row in full_rows(1)], **asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"figures": {"5"}}, "unknown figure '5'; choose from 2, 3, 4, claims"),
        ({"tables": {2}}, "unknown table '2'; choose from 1"),
        ({"formats": ["jpg"]}, "unknown format 'jpg'; choose from png, pdf, svg"),
    ],
)
def test_what_there_is_not_is_one_clear_line(
    asked: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        written(tmp_path, full_rows(1), **asked)


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"cannot write to .*file: File exists; choose another"):
        written(tmp_path / "file", full_rows(1), figures={"3"}, tables=(), formats=["svg"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_is_replaced_whole_or_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, full_rows(1), figures=(), tables={1})
    before = (tmp_path / "table-1.md").read_bytes()

    def full_disk(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(ValueError, match="No space left on device"):
        report(results(full_rows(3)), figures=(), tables={1}, out=tmp_path)
    assert (tmp_path / "table-1.md").read_bytes() == before
