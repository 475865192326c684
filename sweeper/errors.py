"""What a user can mend: one clear line, an exit code, never a traceback."""


class SweeperError(Exception):
    """Bad input or a bad environment; the message says what is wrong and what to do."""

    exit_code = 1


class SweepHeldError(SweeperError):
    """Another driver holds this sweep."""

    exit_code = 3


class ClusterDiedError(SweeperError):
    """The Ray cluster is gone in mid-sweep; what is missing can be resumed."""

    exit_code = 4
