"""A reader's copy is the database of one moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.ledger import snapshot as snapshots
from sweeper.ledger.connect import open_writer
from sweeper.ledger.snapshot import snapshot


def test_a_copy_in_which_a_driver_has_begun_is_made_again(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a log beside it the file is copied unlocked: then it must not have changed."""
    open_writer(file).dispose()
    stamps = iter([(1, False), (2, False), (2, False), (2, False)])
    monkeypatch.setattr(snapshots, "stamp", lambda _path: next(stamps))
    snapshot(Path(file), 1.0).close()
    assert list(stamps) == []
