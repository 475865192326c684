"""The database's clock, the only one that leases are timed by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

SQL = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "extract(epoch FROM clock_timestamp())::double precision",
}


class db_now(ColumnElement[float]):
    """Seconds since 1970 as the database tells them."""

    inherit_cache = True
    type = Float()


@compiles(db_now)
def _compile(_element: db_now, compiler: Any, **_options: Any) -> str:
    return SQL[compiler.dialect.name]
