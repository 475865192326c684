"""Latents of a DataConfig: opened from the cache, or made and put there."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.encoders import ENCODERS, PRETRAINED, Encoder, make_encoder
from sweeper.data import cache, make_dataset
from sweeper.data.build import DRAW_SEED, build
from sweeper.data.cache import CorruptCacheError, Latents
from sweeper.data.clips import Clips, Ints, Progress
from sweeper.data.splits import divide
from sweeper.data.workers import SILENT
from sweeper.errors import SweeperError
from sweeper.plugins import code_of, find
from sweeper.study.config import DataConfig, canonical_json

VERSION = 2  # of the draw, the standardisation and the files
# Probe training, validation, test. Notes are what verdicts stand on: many are tested.
PART_SHARES = {"note": (0.50, 0.10, 0.40), "clip": (0.70, 0.15, 0.15)}
PART_SEED = 20_240_603


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
    data = dataclasses.replace(data, dataset=dataset, encoder=source.encoder, fingerprint="")
    name, _, _ = source.encoder.partition(":")
    return dataclasses.replace(data, encoder=name, fingerprint=fingerprint(data, source.location))


def latents_of(
    data: DataConfig,
    source: Source,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Latents:
    """The cached latents of a config; made first where the cache has none, or damaged ones."""
    try:
        return open_latents(data)
    except SweeperError:
        data = dataclasses.replace(data, encoder=source.encoder_of(data))
        return prepare(data, workers=workers, progress=progress, source=source.location)


def width(data: DataConfig, source: Source) -> int:
    """D of a config's latents, made or not. Raises SweeperError for an unknown encoder."""
    with _users_fault():
        return _encoder(source.encoder_of(data)).shape[1]


def fingerprint(data: DataConfig, source: Path | None = None) -> str:
    """Digest (64 hex digits) of everything that makes the latents; nothing is rendered.

    Raises:
        SweeperError: unknown dataset or encoder, no usable SoundFont, or split sizes below 1.
    """
    return _Recipe(data, source).key


def prepare(
    data: DataConfig,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    source: Path | None = None,
) -> Latents:
    """Open the latents of `data`; make them first if the cache has none, or damaged ones.

    Args:
        workers: processes that render and encode; by default one for each core.
        progress: called with (clips done, clips in all, what is being done).
        source: a SoundFont 2 file instead of pretty_midi's, or the directory of a dataset.

    Raises:
        SweeperError: see `fingerprint`; or `data.fingerprint` is not empty and this machine
            would make other latents; or the cache cannot be written; or too many clips are asked.
    """
    recipe = _Recipe(data, source)
    if data.fingerprint not in ("", recipe.key):
        raise SweeperError(
            f"the run config wants latents {data.fingerprint[:12]}…, this machine makes "
            f"{recipe.key[:12]}…; use the same SoundFont and versions, or start a new sweep"
        )
    progress = progress or (lambda done, total, what: None)
    if latents := _cached(recipe.key):
        return latents
    with cache.locked(recipe.key, lambda: progress(0, 1, "waiting for another process")):
        if not _cached(recipe.key):  # else another process has made them meanwhile
            recipe.make(workers or _cores(), progress)
    return cache.read(recipe.key)


def _cached(key: str) -> Latents | None:
    with contextlib.suppress(FileNotFoundError, CorruptCacheError):
        return cache.read(key)
    return None


def open_latents(
    data: DataConfig, source: Path | None = None, made_by: str = "sweeper data prepare"
) -> Latents:
    """Open latents that `prepare` has made; by `data.fingerprint` where it is given.

    Raises:
        SweeperError: there are none (the command `made_by` makes them), or they are damaged.
    """
    key = data.fingerprint or fingerprint(data, source)
    try:
        return cache.read(key)
    except FileNotFoundError as error:
        raise SweeperError(
            f"no latents {key[:12]}… in {cache.directory(key).parent}; run `{made_by}`"
        ) from error


class _Recipe:
    """All that makes the latents of a DataConfig on this machine."""

    def __init__(self, data: DataConfig, source: Path | None) -> None:
        """Raises SweeperError, see `fingerprint`."""
        self._dataset = make_dataset(data, source)
        with _users_fault():
            self._encoder = _encoder(data.encoder)
            encoder = {"name": self._encoder.name, "fingerprint": self._encoder.fingerprint}
        self._sizes, self._split = split_sizes(data), data.split
        self._made_of = {
            "version": VERSION,
            "dataset": {"name": data.dataset, **self._dataset.recipe()},
            "sizes": self._sizes,
            "draw": [DRAW_SEED, SILENT],
            "parts": [PART_SEED, *PART_SHARES[data.split]],
            "encoder": encoder,
        }
        made = {"dataset": self._dataset, "encoder": self._encoder}
        if plugins := {kind: code for kind, of in made.items() if (code := code_of(type(of)))}:
            self._made_of["plugins"] = plugins
        if data.split != "clip":  # as all were before there was a choice
            self._made_of["split"] = data.split
        self.key = hashlib.sha256(canonical_json(self._made_of).encode()).hexdigest()

    def make(self, workers: int, progress: Progress) -> None:
        """Puts the latents in the cache."""
        with _users_fault():
            tokens, width = self._encoder.shape
        size = (4 + 2) * sum(self._sizes.values()) * tokens * width  # raw, and standardised
        with cache.writing(self.key, size) as path:
            labels = build(self._dataset, self._encoder, self._sizes, path, workers, progress)
            cache.write_labels(path, labels, probe_parts(labels["downstream"], self._split))
            meta = {"fingerprint": self.key, "made_of": self._made_of}
            of_latents = {"shape": (tokens, width), "pool": self._encoder.pool}
            of_clips = {"families": self._dataset.families, "factors": [*labels["train"].others]}
            cache.write_meta(path, {**meta, **of_latents, **of_clips})


def _encoder(name: str) -> Encoder:
    """One of ours, or of an installed plugin. ValueError where there is none."""
    if name.partition(":")[0] not in PRETRAINED:
        find("encoders", name, ENCODERS)
    return make_encoder(name)


def split_sizes(data: DataConfig) -> dict[str, int]:
    """Clips of each split.

    Raises:
        SweeperError: a split would be empty.
    """
    sizes = {
        "train": data.train_clips,
        "valid": data.valid_clips,
        "downstream": data.downstream_clips,
    }
    for split, clips in sizes.items():
        if clips < 1:
            raise SweeperError(f"{clips} {split} clips asked for; give {split}_clips of at least 1")
    return sizes


def probe_parts(clips: Clips, split: str) -> Ints:
    """Probe part of each downstream clip (index in PARTS), stratified by pitch and family.

    By "note", the clips of a note are all in one part: an accuracy on clips whose notes the probe
    knows at another velocity tells memory, not what the latents hold.
    """
    rng = np.random.default_rng(PART_SEED)
    if split == "clip":
        return divide((clips.pitch, clips.family), PART_SHARES[split], rng)
    notes = clips.note
    _, first = np.unique(notes, return_index=True)
    parts = divide((clips.pitch[first], clips.family[first]), PART_SHARES[split], rng)
    return parts[notes]


@contextlib.contextmanager
def _users_fault() -> Iterator[None]:
    """Encoders know nothing of SweeperError."""
    try:
        yield
    except ValueError as error:
        raise SweeperError(str(error)) from error


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
