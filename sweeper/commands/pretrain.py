"""`sweeper encoders pretrain`: notes are rendered, and the masked autoencoder is trained on them.

A checkpoint after every epoch lies beside the file that is to be made; the same command goes on
from it. The notes are training candidates of the `paper` preset: none of its validation clips is
among them, and no downstream clip's instrument.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from models.encoders import logmel
from models.encoders.mae import pack, read
from models.encoders.mae_network import Shape
from models.encoders.mae_pretraining import Pretraining, Recipe
from sweeper.console.progress import data_progress
from sweeper.data.build import CHUNK
from sweeper.data.clips import Clips, Progress
from sweeper.data.notes.dataset import Notes
from sweeper.data.splits import stratified_order
from sweeper.data.workers import encoding
from sweeper.errors import SweeperError
from sweeper.signals import caught
from sweeper.storage.files import cache_root, make_private, write_atomically
from sweeper.study.config import DataConfig, canonical_json

INTERRUPTED = 128  # exit code: and the signal's number


@dataclass(frozen=True)
class PretrainRequest:
    """One `sweeper encoders pretrain`."""

    out: Path
    clips: int = 16_000  # silent ones are left out
    recipe: Recipe = field(default_factory=Recipe)
    shape: Shape = field(default_factory=Shape)
    soundfont: Path | None = None

    def check(self) -> None:
        """SweeperError when there can be no such training or file."""
        try:
            self.recipe.check()
        except ValueError as error:
            raise SweeperError(str(error)) from error
        if self.clips < 2 * self.recipe.batch:
            raise SweeperError(
                f"{self.clips} clips are too few; ask for {2 * self.recipe.batch} or more"
            )
        if self.out.is_dir() or not self.out.parent.is_dir():
            raise SweeperError(f"cannot write {self.out}; give a file in a directory that exists")


class Frames:
    """The front end alone, where workers expect an encoder: frames (64, 128) of a clip."""

    name = "log-mel frames"
    sample_rate = logmel.SAMPLE_RATE
    shape = (logmel.SAMPLES // logmel.HOP, logmel.BANDS)
    pool = "flatten"
    licence = download = ""
    fingerprint = logmel.LogMel().fingerprint  # its settings are all the settings

    def encode(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Waveforms (N, 64000) -> (N, 64, 128)."""
        return np.stack([logmel.log_mel_frames(waveform) for waveform in waveforms])


def pretrain(request: PretrainRequest, console: Console) -> int:
    """Makes `request.out`, or goes on making it; gives the exit code.

    Raises:
        SweeperError: bad input, or another command's file is in the way.
    """
    request.check()
    notes = Notes(DataConfig(), request.soundfont)
    made = description(request, notes)
    if request.out.exists():
        _check_finished(request.out, made)
        console.print(f"{request.out} is what this command makes; nothing to do", markup=False)
        return 0
    state = load(checkpoint(request.out), made)
    with data_progress(console) as progress:
        frames = frames_of(notes, request.clips, progress)
    torch.set_num_threads(1)  # so that the number of cores decides nothing
    try:
        training = Pretraining(frames, request.shape, request.recipe)
        if state is not None:
            training.load_state_dict(state)
    except ValueError as error:
        raise SweeperError(str(error)) from error
    return train(training, request, made, console)


def train(
    training: Pretraining, request: PretrainRequest, made: dict[str, Any], console: Console
) -> int:
    """The epochs that are missing, then the file; gives the exit code."""
    epochs, signals = request.recipe.epochs, list[int]()
    with caught(lambda number, _: signals.append(number)), data_progress(console) as progress:
        while training.epoch < epochs:
            losses: list[float] = []
            for loss in training.train_epoch():
                losses.append(loss)
                done = training.epoch * training.steps + len(losses)
                progress(done, epochs * training.steps, "pre-training, steps")
                if signals:
                    console.print(
                        f"stopped in epoch {training.epoch + 1}; the same command goes on"
                    )
                    return INTERRUPTED + signals[0]
            _write(checkpoint(request.out), _serialised(made, training.state_dict()))
            loss_line = f"epoch {training.epoch}/{epochs}: loss {np.mean(losses):.4f}"
            console.print(loss_line, markup=False)
    _write(request.out, pack(training.encoder(), request.shape, made))
    checkpoint(request.out).unlink(missing_ok=True)
    return 0


def description(request: PretrainRequest, notes: Notes) -> dict[str, Any]:
    """All that decides the weights but the processor; JSON."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    return {
        "clips": request.clips,
        "recipe": dataclasses.asdict(request.recipe),
        "shape": dataclasses.asdict(request.shape),
        "data": digest_of(notes, request.clips),
        "versions": versions,
    }


def digest_of(notes: Notes, clips: int) -> str:
    """SHA-256 of what makes the frames."""
    recipe = {**notes.recipe(), "frames": Frames.fingerprint, "clips": clips}
    return hashlib.sha256(canonical_json(recipe).encode()).hexdigest()


def frames_of(notes: Notes, clips: int, progress: Progress) -> NDArray[np.float16]:
    """Frames (audible clips, 64, 128) of that many notes; rendered where the cache has none."""
    path = cache_root() / "frames" / f"{digest_of(notes, clips)}.npy"
    with contextlib.suppress(FileNotFoundError, ValueError, EOFError):  # none, or damaged
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
    frames = np.concatenate(list(_rendered(notes, drawn(notes, clips), progress)))
    make_private(path.parent)
    np.save(file := io.BytesIO(), frames)
    _write(path, file.getvalue())
    return frames


def drawn(notes: Notes, clips: int) -> Clips:
    """That many training candidates, stratified by family and pitch."""
    candidates = notes.candidates("train")
    if clips > len(candidates):
        raise SweeperError(f"{clips} clips are asked for and only {len(candidates)} exist")
    everything = np.ones(len(candidates), np.bool_)
    order = stratified_order(candidates.stratum, everything, np.random.default_rng(0))
    return candidates.take(order[:clips])


def _rendered(notes: Notes, clips: Clips, progress: Progress) -> Iterator[NDArray[np.float16]]:
    numbers = np.arange(len(clips))
    chunks = [clips.take(numbers[at : at + CHUNK]) for at in range(0, len(clips), CHUNK)]
    with encoding(notes, Frames(), os.cpu_count() or 1) as encode:
        for done, (frames, audible) in enumerate(encode(chunks), 1):
            yield frames[audible].astype(np.float16)
            progress(min(done * CHUNK, len(clips)), len(clips), "rendering notes")


def checkpoint(out: Path) -> Path:
    """Where the checkpoint of an unfinished pre-training lies."""
    return out.with_name(f"{out.name}.checkpoint")


def load(path: Path, made: dict[str, Any]) -> dict[str, Any] | None:
    """The state of an unfinished pre-training, if there is one.

    Raises:
        SweeperError: it is damaged, or another command's.
    """
    try:
        document = torch.load(path, weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise SweeperError(f"{path} is damaged; delete it to pre-train anew") from error
    _check_same(path, document["made"], made)
    state: dict[str, Any] = document["state"]
    return state


def _check_finished(path: Path, made: dict[str, Any]) -> None:
    from safetensors import SafetensorError

    try:
        _, about = read(path)
    except (ValueError, OSError, SafetensorError) as error:
        raise SweeperError(f"{path} is in the way; delete it, or give another --out") from error
    _check_same(path, about["made"], made)


def _check_same(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    differing = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if differing:
        raise SweeperError(
            f"{path} was made with other {', '.join(differing)}; delete it, or give another --out"
        )


def _serialised(made: dict[str, Any], state: dict[str, Any]) -> bytes:
    torch.save({"made": made, "state": state}, file := io.BytesIO())
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise SweeperError(f"cannot write {path}: {error.strerror}; make room there") from error
