"""What all encoders with published weights share.

Weights are a path, or a name on the Hugging Face hub. They are loaded where they are first used:
an encoder that goes to a worker process takes their name along and not the weights.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from models.encoders import hub

SAMPLE_RATE = 16_000
SAMPLES = 4 * SAMPLE_RATE
SEE_CARD = "see its card"
LOADED = ("model", "extractor")  # where they are first used, in each process
TOKENS = 25  # of 160 ms: AudioMAE's. Finer frames are averaged to as many


class Pretrained:
    """Clips of 4 s at 16 kHz -> latents, by a frozen network."""

    name: str
    weights: str  # the published ones
    published_shape: ClassVar[tuple[int, int] | None] = None  # (T, D) with them
    licence: str = SEE_CARD
    download: str = SEE_CARD
    version: ClassVar[int] = 1  # raise it when the same weights would give other latents
    patterns: ClassVar[Sequence[str]] = ("*.json", "*.safetensors", "*.bin")
    sample_rate = SAMPLE_RATE
    pool = "mean"

    def __init__(self, weights: str | None = None) -> None:
        """`weights`: a path or a hub name instead of the published ones."""
        self.weights = weights or self.weights

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in LOADED}

    @functools.cached_property
    def model(self) -> Any:
        """The network, on the GPU if there is one; loaded when it is first asked for."""
        try:
            with torch.inference_mode():  # the move too: half of it outside makes no network
                return self.load(self.path).eval().requires_grad_(False).to(device())
        except (OSError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{self.path} holds no weights for {self.name}: {reason}") from error

    @functools.cached_property
    def path(self) -> Path:
        """The file or directory of the weights."""
        path = Path(self.weights).expanduser()
        return path if path.exists() else hub.fetch(self.weights, self.patterns)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Digest of the version and of the files."""
        files = [self.path]
        if self.path.is_dir():
            files = [file for pattern in self.patterns for file in self.path.glob(pattern)]
        made_of = (self.name, self.version, hub.digest(files))
        return hashlib.sha256(repr(made_of).encode()).hexdigest()

    @functools.cached_property
    def shape(self) -> tuple[int, int]:
        """(T, D), found by encoding a clip."""
        self.model  # noqa: B018 -- of what is wrong with the weights it knows most
        _, tokens, width = self.encode(np.zeros((1, SAMPLES), np.float32)).shape
        return tokens, width

    def encode(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Waveforms (N, 64000), full scale 1 -> latents (N, T, D)."""
        return self.network(self.front(waveforms))

    def front(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `TwoStage`."""
        if waveforms.ndim != 2 or waveforms.shape[1] != SAMPLES:
            raise ValueError(f"{self.name} takes waveforms (N, {SAMPLES}), not {waveforms.shape}")
        return self.inputs(waveforms)

    def network(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `TwoStage`."""
        model = self.model
        with torch.inference_mode(), single_precision():
            latents = self.latents(model, torch.from_numpy(inputs).to(device()))
        return latents.float().cpu().numpy()

    def load(self, path: Path) -> Any:
        """The network from its file or directory. ValueError or OSError: it is another's."""
        raise NotImplementedError

    def inputs(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Waveforms (N, 64000) -> what the network takes; without the network and the GPU."""
        raise NotImplementedError

    def latents(self, model: Any, inputs: torch.Tensor) -> torch.Tensor:
        """What `inputs` gives -> (N, T, D)."""
        raise NotImplementedError


def device() -> torch.device:
    """Where networks run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """Products and convolutions as on a CPU: latents have one fingerprint, wherever they are made.

    Half precision or tf32, which cuDNN takes unasked, would be other latents under the same key.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def resample(waveforms: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Waveforms (N, samples) at 16 kHz -> (N, samples · rate / 16000)."""
    if rate == SAMPLE_RATE:
        return waveforms
    from scipy.signal import resample_poly

    common = np.gcd(rate, SAMPLE_RATE)
    resampled: NDArray[np.float32] = resample_poly(
        waveforms, rate // common, SAMPLE_RATE // common, axis=1
    )
    return resampled.astype(np.float32, copy=False)


def averaged(frames: torch.Tensor) -> torch.Tensor:
    """Frames (N, D, t) -> tokens (N, TOKENS, D), each the mean of its stretch of time."""
    if frames.shape[2] > TOKENS:
        frames = torch.nn.functional.adaptive_avg_pool1d(frames.float(), TOKENS)
    return frames.transpose(1, 2)
