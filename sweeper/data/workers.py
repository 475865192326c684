"""Worker processes that render and encode clips."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoders import Encoder
from sweeper.data.clips import Clips, Dataset
from sweeper.errors import SweeperError

SILENT = 1e-3  # of full scale: clips with a lower peak are dropped, as in NSynth

# One process a core, each with one thread. The last two (glibc's) keep the memory that a render
# gives back for the next one; alone, either makes things worse.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}

Encoded = tuple[NDArray[np.float32], NDArray[np.bool_]]  # latents (N, T, D); which are audible
Map = Callable[[Iterable[Clips]], Iterator[Encoded]]

_encode_here: Callable[[Clips], Encoded]


def encode(dataset: Dataset, encoder: Encoder, clips: Clips) -> Encoded:
    """Latents of the clips, not yet standardised, and which of them can be heard."""
    waveforms = dataset.waveforms(clips)
    audible = np.abs(waveforms).max(axis=1) >= SILENT
    return encoder.encode(waveforms), audible


@contextlib.contextmanager
def encoding(dataset: Dataset, encoder: Encoder, workers: int) -> Iterator[Map]:
    """A `map` over chunks of clips, in order, on that many processes (1: on this one)."""
    if workers == 1:
        yield functools.partial(map, functools.partial(encode, dataset, encoder))
        return
    with tempfile.TemporaryDirectory() as directory:
        # Not through the pipe: a worker that cannot start would never empty it.
        (parcel := Path(directory) / "parcel").write_bytes(pickle.dumps((dataset, encoder)))
        with _pool(parcel, workers) as run:
            yield run


@contextlib.contextmanager
def _pool(parcel: Path, workers: int) -> Iterator[Map]:
    # Spawned, not forked: this process may have threads (Ray, torch) that a fork would break.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (parcel,))
    try:
        with _environment():
            yield functools.partial(pool.map, _encode)
    except BrokenProcessPool as error:
        raise SweeperError(
            "a process that renders clips died, perhaps for want of memory; free some and try again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start(parcel: Path) -> None:
    global _encode_here
    _encode_here = functools.partial(encode, *pickle.loads(parcel.read_bytes()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _encode(clips: Clips) -> Encoded:
    return _encode_here(clips)
