"""What a worker does when its pack breaks: it tells, and dies where it could train no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sweeper.data.latents import Source
from sweeper.events import Broke, FromWorker, Noted
from sweeper.states import State
from sweeper.study.plan import Assignment
from sweeper.worker import trial
from sweeper.worker.trial import TrialOptions, run_trial

ILLEGAL = "CUDA error: an illegal memory access was encountered"


class Died(BaseException):
    """Instead of the end of the process."""


def told(monkeypatch: pytest.MonkeyPatch, device: str, sticky: bool) -> list[FromWorker | str]:
    """What a worker tells of a pack that breaks with a CUDA error, and "died" where it does."""

    def breaks(*_: object) -> None:
        raise RuntimeError(ILLEGAL)

    def die(code: int) -> None:
        raise Died(code)

    monkeypatch.setattr(trial, "_run_trial", breaks)
    monkeypatch.setattr(torch.cuda, "synchronize", breaks if sticky else lambda: None)
    monkeypatch.setattr("os._exit", die)
    events: list[FromWorker | str] = []
    options = TrialOptions(device, str(Path()), "ledger", 60, "stop", Source())
    try:
        run_trial(Assignment("p", (), ()), options, events.append)
    except Died:
        events.append("died")
    return events


def test_a_worker_whose_gpu_repeats_an_error_for_ever_dies_and_tells_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted, end = told(monkeypatch, "cuda", sticky=True)
    assert noted == Noted("p", "gpu-context-broken", f"RuntimeError: {ILLEGAL}") and end == "died"


@pytest.mark.parametrize(("device", "sticky"), [("cuda", False), ("cpu", True)])
def test_any_other_error_is_told_and_the_worker_lives(
    monkeypatch: pytest.MonkeyPatch, device: str, sticky: bool
) -> None:
    (broke,) = told(monkeypatch, device, sticky)
    assert isinstance(broke, Broke) and broke.kind == State.UNCONFIRMED
