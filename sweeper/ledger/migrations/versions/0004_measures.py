"""Other views of disentanglement, a row a run and view."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds a table."""
    score = sa.ForeignKey("scores.run_id", ondelete="CASCADE")
    op.create_table(
        "measures",
        sa.Column("run_id", sa.Integer(), score, primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )
