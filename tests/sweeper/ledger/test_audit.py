"""What a database says of itself is held together, on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import json

from sqlalchemy import text

from analysis.predictions import pack
from sweeper.ledger import audit
from sweeper.ledger.connect import open_reader, writer
from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored, train

FINGERPRINT = "f" * 64


def test_an_accuracy_is_held_against_what_its_probe_said_of_every_clip(
    db: str, smoke: list[tuple[Cell, RunConfig]]
) -> None:
    cells = [
        (
            cell,
            dataclasses.replace(run, data=dataclasses.replace(run.data, fingerprint=FINGERPRINT)),
        )
        for cell, run in smoke
    ]
    key = cells[0][1].key
    labels = [{"pitch": number % 3, "instrument": 0} for number in range(6)]
    clips = [
        {"position": n, "part": "test", "labels": json.dumps(row), "note": n, "twin": False}
        for n, row in enumerate(labels)
    ]
    said = pack([0, 1, 2, 9, 9, 9], [0, 1, 2, 0, 1, 2])  # half of them right
    with writer(db) as engine, Ledger.of(engine, "a") as ledger:
        ledger.register({}, cells)
        result = dataclasses.replace(scored(key, 0.5), predictions={"pitch_private": said})
        train(ledger, "p", [result])
        assert found(db) == []  # nobody knows yet what was to be said
        ledger.store_clips(FINGERPRINT, clips)
        assert found(db) == []
        wrong = "UPDATE accuracies SET accuracy = 0.51 WHERE task = 'pitch' AND part = 'test'"
        with engine.begin() as connection:
            connection.execute(text(f"{wrong} AND subspace = 'private'"))
    assert found(db) == [("accuracies are not what their probes' predictions give", key[:12])]


def found(db: str) -> list[tuple[str, str]]:
    reader = open_reader(db)
    assert audit.broken_pages(reader) is None
    findings = audit.audit(reader).findings
    reader.dispose()
    return [(finding.what, finding.detail.partition(": ")[2]) for finding in findings]
