"""Maps of encoders' latents: two new tables, and no change to the others."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds `maps` and `map_points`."""
    op.create_table(
        "maps",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("latents", sa.String(), nullable=False),
        sa.Column("encoder", sa.String(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("clips", sa.Integer(), nullable=False),
        sa.Column("separation_pitch", sa.Double()),
        sa.Column("separation_instrument", sa.Double()),
        sa.Column("created", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("latents", "method"),
    )
    op.create_table(
        "map_points",
        sa.Column("map_id", sa.Integer(), sa.ForeignKey("maps.id"), primary_key=True),
        sa.Column("clip", sa.Integer(), primary_key=True),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("pitch", sa.Integer(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
    )
