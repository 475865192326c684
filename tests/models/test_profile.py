"""The profile of a step."""

from __future__ import annotations

import time

import pytest

from models import profile
from models.pack.products import Products


def test_a_parts_time_is_without_the_parts_that_it_calls():
    stopwatch = profile.Stopwatch()

    def work(seconds):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    inner = stopwatch.watch(lambda: work(0.04), "inner")
    outer = stopwatch.watch(lambda: (inner(), work(0.02), inner()), "outer")
    outer()
    assert stopwatch.seconds == pytest.approx({"inner": 0.08, "outer": 0.02}, abs=0.01)


def test_the_table_has_every_part_and_leaves_the_trainer_as_it_was(monkeypatch):
    monkeypatch.setattr(profile, "CLIPS", 128)
    monkeypatch.setattr(profile, "REPEATS", 1)
    before = Products.write
    rows = profile.table().splitlines()
    assert Products.write is before
    assert {row.split("|")[1].strip() for row in rows[2:]} == {"step", *profile.PARTS.values()}
    assert rows[2].endswith("100.0% |")
