"""How many runs a device bears at once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.multiview import ModelShape
from models.pack.memory import bytes_per_run
from sweeper.commands.launch import executor_of
from sweeper.driver.ray_cluster import Slots, largest_pack
from sweeper.errors import SweeperError
from sweeper.study.config import RunConfig
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import LARGEST_CPU_PACK
from sweeper.study.presets import PRESETS

GIBIBYTE = 2**30


def runs() -> list[RunConfig]:
    return [run_config(cell, PRESETS["paper"]) for cell in load_grid("full").cells(1)]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Slots:
    """16 GiB, and latents of 10 MB and 5 MB in single precision, in which they train."""
    latents = SimpleNamespace(
        shape=(8, 768),
        train=np.empty(2_500_000, np.float16),
        valid=np.empty(1_250_000, np.float16),
    )
    monkeypatch.setattr("sweeper.data.latents.open_latents", lambda _: latents)
    return Slots(cpus=8, gpus=1, gpu_memory=lambda: 16 * GIBIBYTE)


def test_a_cpu_bears_what_its_cache_holds_whatever_gpu_is_beside_it(gpu: Slots) -> None:
    assert largest_pack("cpu", gpu, runs()) == LARGEST_CPU_PACK


def test_where_no_gpu_answers_the_driver_is_as_careful_as_on_a_cpu() -> None:
    assert largest_pack("cuda", Slots(8, 1), runs()) == LARGEST_CPU_PACK


def test_a_gpu_bears_what_its_memory_holds_beside_the_data(gpu: Slots) -> None:
    # The largest models are the contrastive ones: one encoder of full width.
    one = max(
        bytes_per_run(shape, rows=8 * 32)
        for shape in (ModelShape(2, 768, 768, 384), ModelShape(1, 768, 768, 768))
    )
    room = 8 * GIBIBYTE - 15_000_000
    assert largest_pack("cuda", gpu, runs()) == int(0.8 * room / one)


def test_a_plan_that_trains_nothing_has_no_say(gpu: Slots) -> None:
    probed = [run.resolved() for run in runs() if run.kind == "encoder"]
    assert largest_pack("cuda", gpu, probed) == LARGEST_CPU_PACK


def test_runs_are_divided_by_gpus_though_each_has_two_packs_in_work() -> None:
    slots = Slots(cpus=8, gpus=2)
    assert (slots.of("cuda"), slots.shares("cuda")) == (4, 2)
    assert slots.of("cpu") == slots.shares("cpu") == 8
    assert Slots(8, 0.5).shares("cuda") == 1


def test_a_gpu_that_is_not_there_is_told_before_anything_is_rendered_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And by what `resume` leads to as well: the same launch with another device."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(SweeperError, match="no GPU on this machine; use --device cpu"):
        executor_of("ray", None, "cuda")
    assert executor_of("ray", "auto", "cuda")  # only the cluster knows
    with pytest.raises(SweeperError, match="launch again with --device cpu"):
        Slots(8, 0).device("cuda")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert executor_of("ray", None, "cuda")
