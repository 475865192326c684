"""The file in which events wait: a line each, and a torn one hides no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeper.driver import outbox
from sweeper.driver.outbox import append_to_spool, read_spool
from sweeper.events import Closed, Noted
from sweeper.states import State


def note(number: int) -> Noted:
    return Noted("p", "number", str(number))


def numbers(path: Path) -> list[int]:
    return [int(event.detail) for event in read_spool(path) if isinstance(event, Noted)]


def test_a_spool_gives_back_its_events_in_order(tmp_path: Path) -> None:
    for number in range(3):
        append_to_spool(tmp_path / "spool", note(number))
    assert numbers(tmp_path / "spool") == [0, 1, 2]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_line_hides_no_other(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "spool"
    append_to_spool(path, note(0))
    append_to_spool(path, note(1))
    path.write_bytes(path.read_bytes()[:-cut])
    survivors = [0] if cut > 1 else [0, 1]
    assert numbers(path) == survivors
    append_to_spool(path, note(2))
    assert numbers(path) == [*survivors, 2]


def test_an_altered_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    append_to_spool(path, note(4))
    append_to_spool(path, note(5))
    path.write_bytes(path.read_bytes().replace(b"4", b"7", 1))
    assert len(numbers(path)) == 1


def test_a_line_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    path = tmp_path / "spool"
    monkeypatch.setattr("os.fsync", lambda _: synced.append(path.read_bytes()))
    append_to_spool(path, note(0))
    assert synced[0] == path.read_bytes() and len(synced) == 2  # the file, then its directory


def test_a_line_that_is_no_event_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    body = json.dumps({"event": "closed"})
    digest = outbox._digest(body)
    path.write_text(json.dumps({"sha256": digest, "event": body}) + "\n[1]\n")
    append_to_spool(path, Closed(None, State.INTERRUPTED, "x"))
    assert read_spool(path) == [Closed(None, State.INTERRUPTED, "x", runs=[])]
