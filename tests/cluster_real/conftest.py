"""The toy study of the fault tests, on clusters."""

from tests.faults.conftest import processes, study, sweep

__all__ = ["processes", "study", "sweep"]
