"""The states of an attempt, and so of its run, and which of them are final."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How an attempt stands or has ended; the values are what the database holds."""

    PENDING = "pending"  # never tried, or to be trained again as a user asked
    RUNNING = "running"  # under a live lease; shown as `unknown` or `interrupted` under any other
    FINISHED = "finished"  # has scores
    DIVERGED = "diverged"  # left the finite range: a result, never averaged
    FAILED = "failed"  # its own code raised, and raised again when the run was alone
    UNCONFIRMED = "unconfirmed"  # raised once, or in company: nobody knows yet whose fault it was
    OUT_OF_MEMORY = "out-of-memory"  # retried in a smaller pack
    INFRASTRUCTURE = "infrastructure"  # a worker or a node was lost: retried, with a bound
    INTERRUPTED = "interrupted"  # stopped by a signal, or its driver died
    BLOCKED = "blocked"  # never stored: needs a run that has failed or diverged
    UNKNOWN = "unknown"  # opened by a driver of which nobody knows whether it lives


# A run in one of these states is done: it is not trained again unless a user asks.
DONE = (State.FINISHED, State.DIVERGED, State.FAILED)
# Broken off: shown as interrupted, for a launch goes on with them.
STOPPED = (State.INTERRUPTED, State.UNCONFIRMED, State.OUT_OF_MEMORY, State.INFRASTRUCTURE)
# Ends that a user should hear of.
TROUBLES = (State.FAILED, State.DIVERGED, State.OUT_OF_MEMORY, State.INFRASTRUCTURE)
