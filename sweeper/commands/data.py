"""Latents before training: which ones a request needs, made once and cached."""

from __future__ import annotations

import shlex
from typing import Any

from rich.console import Console
from rich.table import Table

from sweeper.console.live import ConsoleWatcher
from sweeper.data.latents import Source, data_config, open_latents
from sweeper.study.presets import preset
from sweeper.sweep import prepare_all


def prepare_preset(name: str, dataset: str, source: Source, console: Console) -> None:
    """`sweeper data prepare`."""
    data = data_config(preset(name).data, dataset, source)
    prepare_all([data], source, ConsoleWatcher(console))
    describe_preset(name, dataset, source, console)


def describe_preset(name: str, dataset: str, source: Source, console: Console) -> None:
    """`sweeper data info`: what the cached latents of a preset hold."""
    again = ["sweeper", "data", "prepare", "--preset", name, "--encoder", source.encoder]
    again += [] if dataset == "notes" else ["--dataset", dataset]
    if source.path:
        again += ["--soundfont" if dataset == "notes" else "--data-root", source.path]
    data = data_config(preset(name).data, dataset, source)
    latents = open_latents(data, made_by=shlex.join(again))
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
