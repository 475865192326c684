"""The model of a sweep's history: a good one passes, a wrong one is caught by its rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.history import Event, History, check

# The good one: a driver is killed while it trains a and b, a second resumes, meets a locked
# database and a killed worker, and ends well.
GOOD = """
     0 launch invoke launch=1
     4 status invoke
     5 planned keys=['a','b','c']
     5 status ok finished=0 running=0 runs=2
     9 attempt attempt=1 key='a' from_epoch=0
     9 attempt attempt=2 key='b' from_epoch=0
     6 status invoke
     7 status unknown
    10 status invoke
    11 status ok finished=0 running=2 runs=3
    20 stored key='a' attempt=1 epochs=[1,4,4] digest='A'
    21 step invoke kind='driver-kill' holds=False
    22 launch unknown launch=1 code=-9
    22 step ok kind='driver-kill'
    25 status invoke
    26 status ok finished=1 running=0 runs=3
    30 launch invoke launch=2
    40 attempt attempt=3 key='b' from_epoch=2
    41 step invoke kind='database-locked' holds=True
    79 step ok kind='database-locked'
    80 step invoke kind='worker-kill' holds=False
    80 step ok kind='worker-kill'
    85 sign
    90 attempt attempt=4 key='b' from_epoch=3
    95 stored key='b' attempt=4 epochs=[1,4,4] digest='B'
    96 stored key='c' attempt=5 epochs=[] digest='C'
    97 status invoke
    97 status ok finished=3 running=1 runs=3
    98 launch ok launch=2 code=0
    99 end keys=['a','b','c'] litter=[] digests={'a':'A','b':'B','c':'C'}
"""


def events(text: str) -> list[Event]:
    return [_event(line.split()) for line in text.strip().splitlines()]


def _event(words: list[str]) -> Event:
    t, what, *rest = words
    kind = rest.pop(0) if rest and "=" not in rest[0] else "info"
    pairs = (word.split("=", 1) for word in rest)
    details: dict[str, Any] = {name: eval(value) for name, value in pairs}
    return {"t": float(t), "what": what, "type": kind, **details}


def test_a_good_history_breaks_no_rule() -> None:
    assert check(events(GOOD)) == []


STORED_B = "95 stored key='b' attempt=4 epochs=[1,4,4] digest='B'"
END = "99 end keys=['a','b','c'] litter=[] digests={'a':'A','b':'B','c':'C'}"
KILL = "21 step invoke kind='driver-kill' holds=False"
WRONG = [
    ("once", STORED_B, f"{STORED_B}\n95 stored key='a' attempt=1 epochs=[1,4,4] digest='X'"),
    ("once", STORED_B, f"{STORED_B}\n95 stored key='b' attempt=3 epochs=[1,4,4] digest='B'"),
    ("once", STORED_B, f"{STORED_B}\n95 stored key='z' attempt=9 epochs=[1,4,4] digest='Z'"),
    ("missing", STORED_B, "95 sign"),
    ("missing", "5 planned keys=['a','b','c']", "5 planned keys=['a','b','c','d']"),
    ("lost", "keys=['a','b','c'] litter", "keys=['b','c'] litter"),
    ("repeated", STORED_B, f"{STORED_B}\n95 attempt attempt=6 key='b' from_epoch=3"),
    (
        "repeated",
        "attempt attempt=3 key='b' from_epoch=2",
        "attempt attempt=3 key='a' from_epoch=2",
    ),
    ("repeated", STORED_B, STORED_B.replace("attempt=4", "attempt=3")),
    ("epochs", "from_epoch=3", "from_epoch=1"),
    ("epochs", "epochs=[1,4,4] digest='B'", "epochs=[2,4,3] digest='B'"),
    ("epochs", "epochs=[1,4,4] digest='B'", "epochs=[1,4,3] digest='B'"),
    ("equal", "digest='B'", "digest='X'"),
    ("equal", "digests={'a':'A','b':'B',", "digests={'a':'A',"),
    ("status", "finished=1 running=0", "finished=0 running=0"),
    ("status", "finished=1 running=0", "finished=2 running=0"),
    ("status", "finished=1 running=0", "finished=1 running=1"),
    ("status", "finished=3 running=1 runs=3", "finished=3 running=1 runs=2"),
    ("silence", "90 attempt", "116 attempt"),
    ("silence", "database-locked' holds=True", "database-locked' holds=False"),
    ("silence", "launch unknown launch=1 code=-9", "launch unknown launch=1 code=-9 hung=True"),
    ("silence", "85 sign", "85 overdue detail='worker'"),
    ("exit", "98 launch ok launch=2 code=0", "98 launch ok launch=2 code=4"),
    ("exit", "98 launch ok launch=2 code=0", "98 launch ok launch=2 code=1"),
    ("exit", "98 launch ok launch=2 code=0", "98 launch ok launch=2 code=2"),
    ("exit", "98 launch ok launch=2 code=0", "98 sign"),
    ("litter", "litter=[]", "litter=['results.db.spool-1-2']"),
]


@pytest.mark.parametrize(("rule", "right", "wrong"), WRONG)
def test_a_wrong_history_is_caught_by_its_rule(rule: str, right: str, wrong: str) -> None:
    assert GOOD.count(right) == 1
    history = GOOD.replace(right, wrong)
    assert rule in {broken.split()[0] for broken in check(events(history))}


@pytest.mark.parametrize(
    ("code", "struck"), [(2, 3 * ["worker-kill"]), (3, ["second-driver"]), (4, ["gcs-kill"])]
)
def test_a_launch_may_end_early_where_a_step_is_the_cause(code: int, struck: list[str]) -> None:
    steps = [f"97 step invoke kind='{kind}' holds=False" for kind in struck]
    early = f"98 launch ok launch=2 code={code}"
    assert (
        check(events(GOOD.replace("98 launch ok launch=2 code=0", "\n".join([*steps, early]))))
        == []
    )


def test_a_damaged_checkpoint_may_start_a_run_anew() -> None:
    history = GOOD.replace("from_epoch=3", "from_epoch=0")
    assert check(events(history))
    assert check(events(history.replace("85 sign", "85 damaged key='b'"))) == []


def test_a_history_is_kept_as_it_happens(tmp_path: Path) -> None:
    with History(tmp_path / "history.jsonl") as history:
        history.add("planned", keys=["a"])
        assert (tmp_path / "history.jsonl").read_text().count("\n") == 1
    assert check(history.events) == []
