"""Accuracies as rows, what every probe said of every clip, and notes of a sweep."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

PARTS = {"": "test", "valid_": "validation"}
COLUMNS = [
    (prefix, task, subspace)
    for prefix in PARTS
    for task in ("pitch", "instrument")
    for subspace in ("private", "shared", "overall")
]


def upgrade() -> None:
    """Adds tables and columns; moves the accuracies out of `scores`."""
    op.add_column("sweeps", sa.Column("note", sa.Text()))
    op.add_column("sweeps", sa.Column("git_commit", sa.String()))
    op.add_column("sweeps", sa.Column("git_dirty", sa.Boolean()))
    op.add_column("cells", sa.Column("point", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("attempts", sa.Column("share", sa.Double()))
    _fill_points()
    _create_tables()
    for prefix, task, subspace in COLUMNS:
        column = f"{prefix}{task}_{subspace}"
        op.execute(
            "INSERT INTO accuracies (run_id, part, task, subspace, accuracy)"
            f" SELECT run_id, '{PARTS[prefix]}', '{task}', '{subspace}', {column}"
            f" FROM scores WHERE {column} IS NOT NULL"
        )
        op.drop_column("scores", column)


def _fill_points() -> None:
    cells = sa.table("cells", *map(sa.column, ("id", "principle", "objective", "lam", "point")))
    connection = op.get_bind()
    axes = ("principle", "objective", "lam")
    for row in connection.execute(sa.select(cells)).mappings().all():
        point = {axis: row[axis] for axis in axes if row[axis] is not None}
        text = json.dumps(point, sort_keys=True, separators=(",", ":"))
        connection.execute(cells.update().where(cells.c.id == row["id"]).values(point=text))


def _create_tables() -> None:
    def key() -> list[sa.Column[Any]]:
        score = sa.ForeignKey("scores.run_id", ondelete="CASCADE")
        run = sa.Column("run_id", sa.Integer(), score, primary_key=True)
        names = ("part", "task", "subspace")
        return [run, *(sa.Column(name, sa.String(), primary_key=True) for name in names)]

    op.create_table(
        "accuracies",
        *key(),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "predictions",
        *key(),
        sa.Column("classes", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "clips",
        sa.Column("latents", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("note", sa.Integer(), nullable=False),
        sa.Column("twin", sa.Boolean(), nullable=False),
    )
