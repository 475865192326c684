"""Latents before training: which ones a request needs, made once and cached."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from sweeper.config import DataConfig
from sweeper.presets import preset


def data_config(data: DataConfig, dataset: str, encoder: str, soundfont: Path | None) -> DataConfig:
    """The data config with its fingerprint. Raises SweeperError on unknown names."""
    from sweeper.data import fingerprint

    data = dataclasses.replace(data, dataset=dataset, encoder=encoder, fingerprint="")
    return dataclasses.replace(data, fingerprint=fingerprint(data, soundfont))


def prepare_all(configs: Iterable[DataConfig], soundfont: Path | None, console: Console) -> None:
    """Renders or reads the audio and caches the latents of every data config."""
    from sweeper.data import prepare
    from sweeper.live import data_progress

    for data in dict.fromkeys(configs):
        with data_progress(console) as progress:
            prepare(data, soundfont=soundfont, progress=progress)


def prepare_preset(
    name: str, dataset: str, encoder: str, soundfont: Path | None, console: Console
) -> None:
    """`sweeper data prepare`."""
    data = data_config(preset(name).data, dataset, encoder, soundfont)
    prepare_all([data], soundfont, console)
    describe_preset(name, dataset, encoder, soundfont, console)


def describe_preset(
    name: str, dataset: str, encoder: str, soundfont: Path | None, console: Console
) -> None:
    """`sweeper data info`: what the cached latents of a preset hold."""
    from sweeper.data import open_latents

    latents = open_latents(data_config(preset(name).data, dataset, encoder, soundfont))
    console.print(latents.summary(), markup=False)
