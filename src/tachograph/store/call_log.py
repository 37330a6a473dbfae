"""The view `call_log`: every column of `calls` as people and their tools read it.

PostgreSQL has types for it: uuid, timestamptz, numeric. SQLite has not: there it is text, ids and
instants as in JSON, and money with all its twelve decimals.
"""

from __future__ import annotations

import sqlalchemy as sa

_UUIDS = ("id", "operation_id", "resend_of")
_HEXADECIMAL = ("trace_id", "span_id", "parent_span_id")


def create_call_log(connection: sa.Connection) -> None:
    """Makes the view of the columns that `calls` has now; in PostgreSQL a view that is there gets
    the new ones at its end, and keeps its grants and the views that stand on it."""
    sqlite = connection.dialect.name == "sqlite"
    names = [column["name"] for column in sa.inspect(connection).get_columns("calls")]
    shown = ",\n    ".join(_sqlite(name) if sqlite else _postgres(name) for name in names)
    create = "CREATE VIEW" if sqlite else "CREATE OR REPLACE VIEW"
    connection.exec_driver_sql(f"{create} call_log AS SELECT\n    {shown}\nFROM calls")


def _sqlite(name: str) -> str:
    if name in _UUIDS:
        cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        text = " || '-' || ".join(f"substr(lower(hex({name})), {at}, {n})" for at, n in cuts)
        return f"CASE WHEN {name} IS NOT NULL THEN {text} END AS {name}"
    if name in _HEXADECIMAL:
        return f"nullif(lower(hex({name})), '') AS {name}"
    if name.endswith("_us"):
        return (
            f"strftime('%Y-%m-%dT%H:%M:%S', {name} / 1000000, 'unixepoch')"
            f" || printf('.%06dZ', {name} % 1000000) AS {_shown(name)}"
        )
    if name.endswith("_picousd"):
        return (
            f"CASE WHEN {name} < 0 THEN '-' ELSE '' END || (abs({name}) / 1000000000000)"
            f" || printf('.%012d', abs({name}) % 1000000000000) AS {_shown(name)}"
        )
    return f"{name} AS {name}"


def _postgres(name: str) -> str:
    if name in _HEXADECIMAL:
        return f"encode({name}, 'hex') AS {name}"
    if name.endswith("_us"):
        return f"timestamptz 'epoch' + {name} * interval '1 microsecond' AS {_shown(name)}"
    if name.endswith("_picousd"):
        return f"{name} * 0.000000000001 AS {_shown(name)}"
    return f"{name} AS {name}"


def _shown(name: str) -> str:
    """The name in frames."""
    if name.endswith("_us"):
        return name.removesuffix("_us") + "_at"
    return name.removesuffix("_picousd") + "_usd"
