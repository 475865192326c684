"""The page of findings says what the shipped database holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from analysis.findings_page import PAGE, page

DATABASE = Path(__file__).parents[2] / "results.db"


def test_every_table_of_the_page_is_what_the_shipped_database_gives() -> None:
    engine = create_engine(f"sqlite:///file:{DATABASE}?mode=ro&uri=true")
    text = PAGE.read_text()
    assert page(engine, text) == text


def test_a_page_that_lacks_a_block_is_refused() -> None:
    engine = create_engine(f"sqlite:///file:{DATABASE}?mode=ro&uri=true")
    with pytest.raises(ValueError, match="has 0 blocks called 'sweeps'"):
        page(engine, "nothing")
