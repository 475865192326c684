"""How many runs a device bears at once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.multiview import ModelShape
from models.pack.memory import bytes_per_run
from sweeper.driver.ray_cluster import largest_pack
from sweeper.study.config import RunConfig
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import LARGEST_CPU_PACK
from sweeper.study.presets import PRESETS

GIBIBYTE = 2**30


def runs() -> list[RunConfig]:
    return [run_config(cell, PRESETS["paper"]) for cell in load_grid("full").cells(1)]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 GiB, and latents of 10 MB and 5 MB in single precision, in which they train."""
    properties = SimpleNamespace(total_memory=16 * GIBIBYTE)
    latents = SimpleNamespace(
        shape=(8, 768),
        train=np.empty(2_500_000, np.float16),
        valid=np.empty(1_250_000, np.float16),
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr("sweeper.data.latents.open_latents", lambda _: latents)


def test_a_cpu_bears_what_its_cache_holds() -> None:
    assert largest_pack("cpu", runs()) == LARGEST_CPU_PACK


def test_without_a_gpu_of_its_own_the_driver_is_as_careful_as_on_a_cpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert largest_pack("cuda", runs()) == LARGEST_CPU_PACK


@pytest.mark.usefixtures("gpu")
def test_a_gpu_bears_what_its_memory_holds_beside_the_data() -> None:
    # The largest models are the contrastive ones: one encoder of full width.
    one = max(
        bytes_per_run(shape, rows=8 * 32)
        for shape in (ModelShape(2, 768, 768, 384), ModelShape(1, 768, 768, 768))
    )
    room = 8 * GIBIBYTE - 15_000_000
    assert largest_pack("cuda", runs()) == int(0.8 * room / one)


@pytest.mark.usefixtures("gpu")
def test_a_plan_that_trains_nothing_has_no_say() -> None:
    probed = [run.resolved() for run in runs() if run.kind == "encoder"]
    assert largest_pack("cuda", probed) == LARGEST_CPU_PACK
