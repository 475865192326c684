"""Latents before training: which ones a request needs, made once and cached."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig
from sweeper.study.presets import preset

if TYPE_CHECKING:
    from sweeper.data.cache import Latents


@dataclass(frozen=True)
class Source:
    """Where this machine finds clips and encoder; no part of a run's key, its digests are."""

    encoder: str = "logmel"  # NAME, or NAME:WEIGHTS
    path: str | None = None  # a SoundFont for `notes`, else the directory of the dataset
    # Of a sweep that compares encoders, by the fingerprints of their latents.
    encoders: Mapping[str, str] = field(default_factory=dict)

    def encoder_of(self, data: DataConfig) -> str:
        """NAME or NAME:WEIGHTS of what makes these latents."""
        return self.encoders.get(data.fingerprint, self.encoder)

    @property
    def location(self) -> Path | None:
        return None if self.path is None else Path(self.path)


def data_config(data: DataConfig, dataset: str, source: Source) -> DataConfig:
    """The data config with its fingerprint. Raises SweeperError on unknown names."""
    from sweeper.data.latents import fingerprint

    data = dataclasses.replace(data, dataset=dataset, encoder=source.encoder, fingerprint="")
    name, _, _ = source.encoder.partition(":")
    return dataclasses.replace(data, encoder=name, fingerprint=fingerprint(data, source.location))


def latents_of(
    data: DataConfig,
    source: Source,
    *,
    workers: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Latents:
    """The cached latents of a config; made first where the cache has none, or damaged ones."""
    from sweeper.data.latents import open_latents, prepare

    try:
        return open_latents(data)
    except SweeperError:
        data = dataclasses.replace(data, encoder=source.encoder_of(data))
        return prepare(data, workers=workers, progress=progress, source=source.location)


def prepare_all(configs: Iterable[DataConfig], source: Source, console: Console) -> None:
    """Renders or reads the audio and caches the latents of every data config."""
    from sweeper.console.live import data_progress

    for data in dict.fromkeys(configs):
        with data_progress(console) as progress:
            latents_of(data, source, progress=progress)


def prepare_preset(name: str, dataset: str, source: Source, console: Console) -> None:
    """`sweeper data prepare`."""
    prepare_all([data_config(preset(name).data, dataset, source)], source, console)
    describe_preset(name, dataset, source, console)


def describe_preset(name: str, dataset: str, source: Source, console: Console) -> None:
    """`sweeper data info`: what the cached latents of a preset hold."""
    from sweeper.data.latents import open_latents

    latents = open_latents(data_config(preset(name).data, dataset, source))
    info = latents.summary()
    lowest, highest = info["pitch_range"]
    console.print(f"{dataset} through {source.encoder}, key {info['key'][:12]}", markup=False)
    console.print(f"{info['path']} ({info['bytes'] / 1e6:.1f} MB)", markup=False)
    console.print(f"pitches {lowest} to {highest}, pooled by {info['pool']}", markup=False)
    console.print(_families(info))
    parts = ", ".join(f"{clips} {part}" for part, clips in info["downstream_parts"].items())
    console.print(f"downstream clips for the probes: {parts}", markup=False)


def _families(info: dict[str, Any]) -> Table:
    """Clips per family and split, shapes below."""
    table = Table("family", *info["shapes"], box=None, header_style="dim")
    for family, counts in info["families"].items():
        table.add_row(family, *(str(clips) for clips in counts.values()))
    shapes = (" × ".join(map(str, shape)) for shape in info["shapes"].values())
    table.add_row("[dim]clips × T × D[/dim]", *shapes)
    return table
