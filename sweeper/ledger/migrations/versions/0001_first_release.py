"""The first released schema. New databases are made by schema.py, so there is nothing to do."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing came before."""
