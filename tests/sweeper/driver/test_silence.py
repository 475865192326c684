"""Who is called frozen: a pack that was heard of, and then not for far longer than any pause."""

from __future__ import annotations

import pytest

from sweeper.driver.silence import LONGEST_STEP, SECONDS, Silence


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A silence, and a driver that looks every second."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.silence = Silence(self.clock)

    def wait(self, seconds: float) -> list[str]:
        """Packs that were called frozen meanwhile."""
        frozen = []
        for _ in range(int(seconds)):
            self.clock.now += 1
            frozen += [one.pack for one in self.silence.frozen()]
        return frozen


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.delenv("SWEEPER_SILENCE_SECONDS", raising=False)
    return Watched()


def test_a_pack_that_falls_silent_is_frozen_and_one_that_speaks_is_not(watched: Watched) -> None:
    watched.silence.heard("frozen", ("node", 1))
    for _ in range(30):
        watched.silence.heard("speaks", ("node", 2))
        assert watched.wait(10) == []
    watched.silence.heard("speaks", ("node", 2))
    assert watched.wait(1) == ["frozen"]


def test_it_is_told_once_a_limit_until_it_has_ended(watched: Watched) -> None:
    watched.silence.heard("p", None)
    assert watched.wait(2 * SECONDS + 5) == ["p", "p"]
    watched.silence.ended("p")
    assert watched.wait(2 * SECONDS) == []


def test_where_pauses_are_long_the_limit_is_twenty_of_them(watched: Watched) -> None:
    watched.silence.heard("slow", None)
    assert watched.wait(60) == []
    watched.silence.heard("slow", None)
    watched.silence.heard("other", None)
    assert watched.silence.limit == 20 * 60
    assert watched.wait(1_200) == []
    assert watched.wait(1) == ["slow", "other"]


def test_a_driver_that_was_stopped_blames_nobody(watched: Watched) -> None:
    watched.silence.heard("p", None)
    watched.clock.now += 3_600
    assert watched.silence.frozen() == []
    assert watched.wait(SECONDS - LONGEST_STEP) == []
    assert watched.wait(1) == ["p"]


def test_a_pack_of_which_nothing_was_ever_heard_is_still_starting(watched: Watched) -> None:
    assert watched.wait(3 * SECONDS) == []


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_SILENCE_SECONDS", "3")
    assert Silence().limit == 3
