"""How many runs a pack holds at most, when the user does not say."""

from __future__ import annotations

from collections.abc import Iterable

from sweeper.study.config import RunConfig
from sweeper.study.plan import LARGEST_CPU_PACK


def largest_pack(device: str, runs: Iterable[RunConfig], share: float) -> int:
    """What a CPU's cache holds, or a pack's `share` of the memory of this machine's GPU.

    A driver that sees no GPU of its own cannot know those of its cluster, and takes the CPU's.
    """
    if device == "cpu":
        return LARGEST_CPU_PACK
    import torch  # late: only here does the driver need it

    if not torch.cuda.is_available():
        return LARGEST_CPU_PACK
    memory = int(share * torch.cuda.get_device_properties(0).total_memory)
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
