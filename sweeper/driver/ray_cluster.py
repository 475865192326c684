"""What a place can run at once, and how large a pack may be there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    gpu_memory: Callable[[], int | None] = lambda: None  # bytes of the smallest GPU, if known

    def of(self, device: str) -> int:
        """Packs that are in work at once."""
        return max(1, int(self.gpus / GPU_SHARE) if device == "cuda" else self.cpus)

    def shares(self, device: str) -> int:
        """Packs into which runs are divided: one for each core, or for each GPU.

        Two halves that train on one GPU at once take longer than the whole: it runs twice as many
        kernels, each for half as many runs.
        """
        return max(1, int(self.gpus) if device == "cuda" else self.cpus)

    def device(self, asked: str) -> str:
        """`auto` is CUDA where there is a GPU."""
        if asked == "cuda" and not self.gpus:
            raise SweeperError(
                "--device cuda: no GPU in this Ray cluster; launch again with --device cpu"
            )
        return "cuda" if asked == "cuda" or (asked == "auto" and self.gpus) else "cpu"


def largest_pack(device: str, slots: Slots, runs: Iterable[RunConfig]) -> int:
    """What a CPU's cache holds, or a pack's share of the memory of the smallest GPU.

    Where nobody can say what memory that is, the CPU's.
    """
    memory = slots.gpu_memory() if device == "cuda" else None
    if memory is None:
        return LARGEST_CPU_PACK
    share = int(GPU_SHARE * memory)
    trained = {(run.kind, run.data, run.model, run.training): run for run in runs if run.training}
    return min((_fits(run, share) for run in trained.values()), default=LARGEST_CPU_PACK)


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
