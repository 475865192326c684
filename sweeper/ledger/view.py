"""The `results` view: one wide row a cell, for users, pandas and the figures."""

from __future__ import annotations

from analysis.factors import PAPER, Factors
from sweeper.ledger.schema import NOW, PARTS, SUBSPACES, TASKS


def measured_of(factors: Factors) -> dict[str, str]:
    """What the columns of a study's tasks are: of the paper's the view has them."""
    accuracies = {
        f"{prefix}{task}_{subspace}": f"accuracy of {task} from {subspace}, {part} clips, 0 to 1"
        for prefix, part in PARTS.items()
        for task in factors.tasks
        for subspace in SUBSPACES
    }
    sides = {task: factors.sides(task) for task in factors.tasks}
    margins = {f"delta_{t}": f"{held} - {other}, −1 to 1" for t, (held, other) in sides.items()}
    return accuracies | margins


# What each column is, and its unit; NULL is None of a text and NaN of a number.
COLUMNS = {
    "sweep": "name of the sweep",
    "label": "name of the cell, unique in its sweep",
    "kind": "multiview, or a baseline: encoder, cl-pitch, cl-instrument",
    "principle": "how views are compared; None of a baseline",
    "objective": "SIM, SEP or SIM+SEP; None of a baseline",
    "lam": "λ, the share of the reconstruction, 0 to 1; NaN of a baseline",
    "seed": "of initial weights, batches and probes",
    "state": "of the cell: finished, pending, …",
    "run_key": "SHA-256 of all that decides the run's numbers; cells that train the same share it",
    "mse": "squared error of reconstructed standardised latents, downstream clips; NaN: no decoder",
    "gamma": "γ, weight of the reconstruction, no unit; NaN where it plays no part",
    "best_epoch": "epoch whose weights were kept, from 1, by total validation loss",
    "test_size": "clips that the probes were tested on",
    "valid_size": "clips that they were validated on",
    **measured_of(PAPER),
    "dataset": "name of the dataset",
    "encoder": "name of the frozen encoder",
    "latents": "fingerprint of its latents",
    "epochs": "of training, at most",
    "lr": "learning rate",
    "gamma_rule": "how γ is chosen",
    "precision": "of the training's numbers",
    "point": "JSON: the place on every axis of the grid, the further ones too",
}

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
    {accuracies}, {margins}, {config}, cells.point
FROM cells
JOIN sweeps ON sweeps.id = cells.sweep_id
JOIN runs ON runs.id = cells.run_id
LEFT JOIN scores ON scores.run_id = cells.run_id
LEFT JOIN attempts ON attempts.id =
    (SELECT MAX(tried.id) FROM attempts AS tried WHERE tried.run_id = cells.run_id)
LEFT JOIN leases ON leases.sweep_id = attempts.sweep_id
ORDER BY cells.id"""

# Looked up by primary key, so that a sweep's rows cost the same in a small database and a large.
_ACCURACY = """(SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = '{part}' AND task = '{task}' AND subspace = '{subspace}')"""

# Fields of a run's config that tell one sweep from another.
_CONFIG = {
    "dataset": ("data", "dataset", "TEXT"),
    "encoder": ("data", "encoder", "TEXT"),
    "latents": ("data", "fingerprint", "TEXT"),
    "epochs": ("training", "epochs", "INTEGER"),
    "lr": ("training", "lr", "FLOAT"),
    "gamma_rule": ("loss", "gamma", "TEXT"),
    "precision": ("training", "precision", "TEXT"),
}
_FIELD = {
    "sqlite": "json_extract(runs.config, '$.{section}.{field}')",
    "postgresql": "CAST(CAST(runs.config AS jsonb) #>> '{{{section},{field}}}' AS {kind})",
}


def create_results_view(dialect: str) -> str:
    """The statement that creates the view in SQLite or PostgreSQL."""
    return _VIEW.format(
        state=_STATE.format(now=NOW[dialect]),
        accuracies=", ".join(
            f"{_ACCURACY.format(part=part, task=task, subspace=subspace)}"
            f" AS {prefix}{task}_{subspace}"
            for prefix, part in PARTS.items()
            for task in TASKS
            for subspace in SUBSPACES
        ),
        margins=", ".join(
            (_margin("pitch", "private", "shared"), _margin("instrument", "shared", "private"))
        ),
        config=", ".join(
            f"{_FIELD[dialect].format(section=section, field=field, kind=kind)} AS {name}"
            for name, (section, field, kind) in _CONFIG.items()
        ),
    )


def _margin(task: str, wanted: str, other: str) -> str:
    """How much better the subspace that should hold a factor tells it than the other (Δ)."""
    of = {"part": "test", "task": task}
    better, worse = (_ACCURACY.format(subspace=name, **of) for name in (wanted, other))
    return f"{better} - {worse} AS delta_{task}"
