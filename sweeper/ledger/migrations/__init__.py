"""Alembic's migrations, one a released schema; upgrade.py runs them."""
