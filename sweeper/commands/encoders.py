"""`sweeper encoders list`: the frozen encoders, and which of them can be used here and now."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeper.console.listing import listing

# A cached repository must hold such a file: a config alone gives no latents.
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")


@dataclass(frozen=True)
class EncoderInfo:
    """An encoder as its class describes it."""

    name: str
    cls: Any

    @property
    def weights(self) -> str:
        """The published ones: a hub name or a path; "" where none are needed, or none are set."""
        return str(getattr(self.cls, "weights", ""))

    @property
    def shape(self) -> str:
        """T × D of its latents: as published, else as found where its weights are at hand."""
        from models.encoders import make_encoder

        shape = getattr(self.cls, "published_shape", None)
        if shape is None and not self.missing:
            shape = make_encoder(self.name).shape
        return " × ".join(map(str, shape)) if shape else "–"

    @property
    def missing(self) -> str:
        """Why it cannot be used at once; "" where it can."""
        for module in getattr(self.cls, "requires", ()):
            if importlib.util.find_spec(module) is None:
                return f"needs {module}"
        if not hasattr(self.cls, "patterns"):  # it takes no weights
            return ""
        if not self.weights:
            return "name a model"
        if is_at_hand(self.weights):
            return ""
        return "missing" if Path(self.weights).is_absolute() else "download"


def listed() -> list[EncoderInfo]:
    """All that can be named, in the order of the registry."""
    from models.encoders import ENCODERS, PRETRAINED, encoder_class

    return [EncoderInfo(name, encoder_class(name)) for name in (*ENCODERS, *PRETRAINED)]


def at_hand() -> list[str]:
    """Names of the encoders that work here without a download."""
    return [encoder.name for encoder in listed() if not encoder.missing]


def is_at_hand(weights: str) -> bool:
    """Whether a path exists, or the hub's cache holds weights of that name."""
    if Path(weights).expanduser().exists():
        return True
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError, HFValidationError):
        cached = Path(snapshot_download(weights, local_files_only=True))
        return any(file.suffix in WEIGHTS for file in cached.rglob("*"))
    return False


def show(console: Console) -> None:
    """Prints a row an encoder."""
    heads = ("encoder", "kHz", "T × D", "download", "licence", "here", "weights")
    rows = [
        (
            encoder.name,
            f"{encoder.cls.sample_rate / 1000:g}",
            encoder.shape,
            encoder.cls.download or "–",
            encoder.cls.licence or "–",
            encoder.missing or "yes",
            _where(encoder.weights),
        )
        for encoder in listed()
    ]
    console.print(listing(heads, rows))
    console.print("your own weights: --encoder NAME:PATH_OR_HUB_NAME", markup=False)


def _where(weights: str) -> str:
    if not weights:
        return "–"
    return "in the package" if Path(weights).is_absolute() else weights
