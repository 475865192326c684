"""The short form of `python -m tests.faults.nemesis`, which README.md tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.conftest import counts
from tests.faults.nemesis import Game, judged, play

pytestmark = pytest.mark.faults

KINDS = ("worker-kill", "database-locked", "raylet-kill", "driver-kill")


def test_a_sweep_that_a_nemesis_strikes_breaks_no_rule(study: Path, tmp_path: Path) -> None:
    place = tmp_path / "sqlite-0"
    place.mkdir()
    game = Game("sqlite", len(KINDS), epochs=400, cells=1, kinds=KINDS)
    play(game, 0, place)
    summary = judged(place)
    counts["injected"] += len(KINDS)
    assert summary["broken"] == []
    assert summary["kinds"] == dict.fromkeys(sorted(KINDS), 1)
    assert summary["statuses"] > 10
