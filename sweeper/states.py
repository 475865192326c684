"""How an attempt can end, and which ends are final."""

from __future__ import annotations

RUNNING = "running"  # under a live lease; shown as `unknown` or `interrupted` under any other
FINISHED = "finished"  # has scores
DIVERGED = "diverged"  # left the finite range: a result, never averaged
FAILED = "failed"  # its own code raised, and raised again when the run was alone
UNCONFIRMED = "unconfirmed"  # raised once, or in company: nobody knows yet whose fault it was
OUT_OF_MEMORY = "out-of-memory"  # retried in a smaller pack
INFRASTRUCTURE = "infrastructure"  # a worker or a node was lost: retried, with a bound
INTERRUPTED = "interrupted"  # stopped by a signal, or its driver died
UNKNOWN = "unknown"  # opened by a driver of which nobody knows whether it lives
PENDING = "pending"  # never tried

# A run in one of these states is done: it is not trained again unless a user asks.
DONE = (FINISHED, DIVERGED, FAILED)
# Ends that a user should hear of.
TROUBLES = (FAILED, DIVERGED, OUT_OF_MEMORY, INFRASTRUCTURE)

_MEMORY_ERRORS = ("OutOfMemoryError", "MemoryError")
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")


def classify(error: BaseException) -> str:
    """The failure class of an exception that a run's code raised."""
    names = {cls.__name__ for cls in type(error).__mro__}
    told = str(error).lower()
    if names & set(_MEMORY_ERRORS) or any(words in told for words in _MEMORY_WORDS):
        return OUT_OF_MEMORY
    return UNCONFIRMED


def classify_loss(error: BaseException | None) -> str:
    """The failure class of a trial that ended with an error of Ray's, not of the run's code."""
    name = "lost" if error is None else type(error).__name__
    if name == "OutOfMemoryError":
        return OUT_OF_MEMORY  # Ray's memory monitor killed the worker
    return UNCONFIRMED if name.startswith("RayTaskError") else INFRASTRUCTURE
