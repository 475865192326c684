"""What `sweeper bench` says while it measures."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from sweeper.bench import render
from sweeper.bench.cold_start import PARTS, shares


@pytest.mark.parametrize("as_json", [True, False])
def test_progress_is_told_on_standard_error_where_no_terminal_is(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(settings: Any, device: str, tell: Any, preset: None) -> dict[str, int]:
        tell("fidelity")
        return {"seconds": 1}

    monkeypatch.setattr(render, "measure", measure)
    monkeypatch.setattr(render, "rendered", lambda report: "the report")
    render.run(quick=True, as_json=as_json, device="cpu", console=Console())
    out, err = capsys.readouterr()
    assert err == "bench: fidelity\n"
    assert json.loads(out) == {"seconds": 1} if as_json else out == "the report\n"


@pytest.mark.parametrize(
    ("preset", "told"),
    [
        (None, "a sweep of 49 small runs from nothing: 909 s, all its processes at most 1.7 GB"),
        ("paper", "the paper preset, 49 runs from nothing: 15.2 minutes, all its processes"),
    ],
)
def test_a_sweep_from_nothing_is_told_with_its_time_and_memory(
    preset: str | None, told: str
) -> None:
    parts = shares(dict.fromkeys(PARTS, 909 / len(PARTS)))
    whole = {"preset": preset, "runs": 49, "peak_bytes": 1_670_000_000, **parts}
    probes = {"seconds_per_run_paper": 2.0, "seconds_per_run_quick": 0.8}
    screen = Console(file=io.StringIO(), width=120)
    screen.print(render._sweep({"end_to_end": whole, "probes": probes}))
    assert isinstance(screen.file, io.StringIO)
    assert told in screen.file.getvalue()
