"""The `results` view: one wide row a cell, for users, pandas and the figures."""

from __future__ import annotations

from sweeper.ledger.schema import ACCURACIES, NOW

# A cell is finished when its run has scores; otherwise it shows its run's latest attempt. That
# one is running only while the lease under which it was opened is kept alive.
_STATE = """CASE
    WHEN scores.run_id IS NOT NULL THEN 'finished'
    WHEN attempts.id IS NULL THEN 'pending'
    WHEN attempts.state <> 'running' THEN attempts.state
    WHEN leases.token <> attempts.token OR leases.host IS NULL THEN 'interrupted'
    WHEN {now} BETWEEN leases.heartbeat - 1 AND leases.expires THEN 'running'
    ELSE 'unknown' END"""

_VIEW = """CREATE VIEW results AS SELECT
    sweeps.name AS sweep, cells.label, cells.kind, cells.principle, cells.objective,
    cells.lam, cells.seed, {state} AS state, runs.key AS run_key,
    scores.mse, scores.gamma, scores.best_epoch, scores.test_size, scores.valid_size,
    {test}, {valid},
    scores.pitch_private - scores.pitch_shared AS delta_pitch,
    scores.instrument_shared - scores.instrument_private AS delta_instrument
FROM cells
JOIN sweeps ON sweeps.id = cells.sweep_id
JOIN runs ON runs.id = cells.run_id
LEFT JOIN scores ON scores.run_id = cells.run_id
LEFT JOIN attempts ON attempts.id =
    (SELECT MAX(tried.id) FROM attempts AS tried WHERE tried.run_id = cells.run_id)
LEFT JOIN leases ON leases.sweep_id = attempts.sweep_id
ORDER BY cells.id"""


def create_results_view(dialect: str) -> str:
    """The statement that creates the view in SQLite or PostgreSQL."""
    return _VIEW.format(
        state=_STATE.format(now=NOW[dialect]),
        test=", ".join(f"scores.{name}" for name in ACCURACIES),
        valid=", ".join(f"scores.valid_{name}" for name in ACCURACIES),
    )
