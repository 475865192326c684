"""What `sweeper bench` says while it measures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from sweeper.bench import render


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
