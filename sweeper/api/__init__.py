"""Sweeps from Python, in a notebook say: launched, and read as frames, figures and encoders.

What is read is read anew at every call, so that a sweep in training is seen as it stands.
"""

from sweeper.api.launching import launch
from sweeper.api.opening import open, sweeps
from sweeper.api.sweep import Sweep
from sweeper.errors import SweeperError

__all__ = ["Sweep", "SweeperError", "launch", "open", "sweeps"]
