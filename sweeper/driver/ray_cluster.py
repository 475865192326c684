"""What a place can run at once, and how large a pack may be there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweeper.errors import SweeperError
from sweeper.study.config import RunConfig
from sweeper.study.plan import LARGEST_CPU_PACK

GPU_SHARE = 0.5  # two packs a GPU: one trains while the other loads or probes


@dataclass(frozen=True)
class Slots:
    """What an executor can run at once."""

    cpus: int
    gpus: float

    def of(self, device: str) -> int:
        return max(1, int(self.gpus / GPU_SHARE) if device == "cuda" else self.cpus)

    def device(self, asked: str) -> str:
        """`auto` is CUDA where there is a GPU."""
        if asked == "cuda" and not self.gpus:
            raise SweeperError("--device cuda: no GPU in this Ray cluster; use --device cpu")
        return "cuda" if asked == "cuda" or (asked == "auto" and self.gpus) else "cpu"


def largest_pack(device: str, runs: Iterable[RunConfig]) -> int:
    """What a CPU's cache holds, or a pack's share of the memory of this machine's GPU.

    A driver that sees no GPU of its own cannot know those of its cluster, and takes the CPU's.
    """
    if device == "cpu":
        return LARGEST_CPU_PACK
    import torch  # late: only here does the driver need it

    if not torch.cuda.is_available():
        return LARGEST_CPU_PACK
    memory = int(GPU_SHARE * torch.cuda.get_device_properties(0).total_memory)
    trained = {(run.kind, run.data, run.model, run.training): run for run in runs if run.training}
    return min((_fits(run, memory) for run in trained.values()), default=LARGEST_CPU_PACK)


def _fits(run: RunConfig, memory: int) -> int:
    from models.multiview import ModelShape
    from models.pack import memory as packed
    from sweeper.data.latents import open_latents

    assert run.model is not None and run.training is not None
    latents = open_latents(run.data)
    tokens, features = latents.shape
    shape = ModelShape.of(run.kind, features, run.model)
    rows = 2 * run.training.batch_pairs * tokens
    resident = 4 * (latents.train.size + latents.valid.size)  # in single precision
    return packed.largest_pack(shape, rows, memory - resident)
