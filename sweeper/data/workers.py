"""Worker processes that read or render clips; the encoder's network runs on this one.

Networks are large, and a GPU bears one process better than many: so the workers do all that comes
before the network, ahead of it, and hand over what it takes. What has no network they encode.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.encoders import Encoder, TwoStage
from sweeper import plugins
from sweeper.data.clips import Clips, Dataset
from sweeper.errors import SweeperError
from sweeper.signals import unbroken

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

AHEAD = 2  # chunks for each process that may wait for the network: 300,000 clips fill no memory

Floats = NDArray[np.float32]
EncodedChunk = tuple[Floats, NDArray[np.bool_]]  # of N clips: a row each; which are audible
EncodeChunks = Callable[[Iterable[Clips]], Iterator[EncodedChunk]]

_reader: ClipReader


@dataclass(frozen=True)
class ClipReader:
    """All that comes before the network."""

    dataset: Dataset
    encoder: Encoder

    def __call__(self, clips: Clips) -> EncodedChunk:
        """What the network takes, or latents where there is none; and which can be heard."""
        waveforms = self.dataset.waveforms(clips)
        audible = np.abs(waveforms).max(axis=1) >= SILENT
        front = self.encoder.front if isinstance(self.encoder, TwoStage) else self.encoder.encode
        return front(waveforms), audible


@contextlib.contextmanager
def encoding(dataset: Dataset, encoder: Encoder, workers: int) -> Iterator[EncodeChunks]:
    """A `map` over chunks of clips, in order, to latents that are not yet standardised.

    Clips are read on that many processes (1: on this one).
    """
    network = encoder.network if isinstance(encoder, TwoStage) else lambda latents: latents
    with _reading(ClipReader(dataset, encoder), workers) as read:
        yield lambda chunks: ((network(inputs), audible) for inputs, audible in read(chunks))


@contextlib.contextmanager
def _reading(reader: ClipReader, workers: int) -> Iterator[EncodeChunks]:
    if workers == 1:
        # As the processes do it: how many threads a product has decides the last bit of a sum.
        with threadpool_limits(1, "blas"):
            yield lambda chunks: map(reader, chunks)
        return
    with tempfile.TemporaryDirectory() as directory:
        # Not through the pipe: a worker that cannot start would never empty it.
        parcel = Path(directory) / "parcel"
        parcel.write_bytes(pickle.dumps((plugins.loaded(), pickle.dumps(reader))))
        # Spawned, not forked: this process may have threads (Ray, torch) that a fork would break.
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        pool = ProcessPoolExecutor(workers, spawn, _start, (parcel, theirs))
        try:
            with _environment():
                yield lambda chunks: _ahead(pool, AHEAD * workers, chunks)
        except BrokenProcessPool as error:
            raise SweeperError(
                "a process that renders clips died, perhaps for want of memory; "
                "free some and try again"
            ) from error
        finally:
            ours.close()  # nobody waits for a clip that is under way
            pool.shutdown(cancel_futures=True)


def _ahead(pool: ProcessPoolExecutor, most: int, chunks: Iterable[Clips]) -> Iterator[EncodedChunk]:
    """In order; at most that many chunks are being read, or are read and wait."""
    waiting = deque[Future[EncodedChunk]]()
    for clips in chunks:
        # A process that is half started is nobody's to end.
        with unbroken(), _deaf_to_ctrl_c():
            waiting.append(pool.submit(_read, clips))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that start within never hear of it: it is this one's to answer, and waits so long.

    A worker could ignore it only once it has loaded what it needs, which takes seconds.
    """
    resource_tracker.ensure_running()  # or the first of them would start it, and end this
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start(parcel: Path, theirs: Connection) -> None:
    global _reader
    threading.Thread(target=_die_with_pool, args=(theirs,), daemon=True).start()
    sources, reader = pickle.loads(parcel.read_bytes())
    plugins.load(sources)  # whose classes the reader may be of
    _reader = pickle.loads(reader)


def _die_with_pool(theirs: Connection) -> None:
    """Ends this process once the other end of the pipe is closed, or its holder is dead."""
    wait([theirs])
    os._exit(1)


def _read(clips: Clips) -> EncodedChunk:
    return _reader(clips)
