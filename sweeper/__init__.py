"""Ablation sweeps with a results database; from Python, `open`, `sweeps` and `launch`."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Sweep", "SweeperError", "launch", "open", "sweeps"]

if TYPE_CHECKING:
    from sweeper.api import Sweep, SweeperError, launch, open, sweeps
else:

    def __getattr__(name: str) -> Any:
        """What of it is asked for, and pandas with it, is loaded then."""
        if name not in __all__:
            raise AttributeError(f"module 'sweeper' has no attribute '{name}'")
        from sweeper import api

        return getattr(api, name)
