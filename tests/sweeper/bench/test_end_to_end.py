"""The parts of a sweep, by the driver's events."""

from __future__ import annotations

import pytest

from sweeper.bench.end_to_end import PARTS, PackClock, shares


def clocked(*moments):
    """The seconds by stage after (time, event, pack, stage) moments."""
    now = [0.0]
    clock = PackClock(lambda: now[0])
    for moment, event, pack, stage in moments:
        now[0] = moment
        clock({"event": event, "pack": pack, "stage": stage})
    now[0] += 1.0
    return clock.stop()


def test_time_before_the_first_pack_is_placed_is_rays():
    found = clocked((2.0, "planned", None, None), (5.0, "placed", "a", None))
    assert found == {"ray": 5.0, "training": 1.0, "probes": 0.0, "rest": 0.0}


def test_a_pack_trains_until_it_probes_and_probes_until_its_results():
    found = clocked(
        (1.0, "placed", "a", None),
        (2.0, "progress", "a", "epoch"),
        (4.0, "progress", "a", "probes"),
        (4.5, "results", "a", None),
        (7.0, "ended", "a", None),
    )
    assert found == {"ray": 1.0, "training": 3.0, "probes": 0.5, "rest": 3.5}


def test_packs_at_work_together_share_the_moment():
    found = clocked(
        (0.0, "placed", "a", None),
        (0.0, "placed", "b", None),
        (2.0, "progress", "a", "probes"),
        (4.0, "results", "a", None),
        (5.0, "broke", "b", None),
    )
    assert found == {"ray": 0.0, "training": 2.0 + 1.0 + 1.0, "probes": 1.0, "rest": 1.0}


def test_shares_are_of_all_parts_and_sum_to_one():
    found = shares({part: float(number) for number, part in enumerate(PARTS)})
    assert found["seconds"] == 21.0
    assert list(found["parts"]) == list(PARTS)
    assert sum(part["share"] for part in found["parts"].values()) == pytest.approx(1.0)
