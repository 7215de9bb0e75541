"""Rows of neighbours: a store's tables filled past its verbs, so that what reads them by the way is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tenure.persistence.engines.statements import all_tables

FIRST: Final = 1_000
"""The keys of neighbours begin here: below stands what a test looks for."""

COLUMNS: Final[Mapping[str, str]] = {
    "phase": "'consumed'",
    "outcome": "'finished'",
    "state": "'idle'",
    "scope": "'run'",
    "on_end": "'leave'",
    "lost_how": "'seized'",
    "drain": "'asked'",
    "aside": "0",
    "record_version": "1",
}
"""What columns say that may not say just anything."""

KEYS: Final = ("singleton", "promotion")


def fillings(rows: int) -> Mapping[str, str]:
    """An insert for each table with so many rows of neighbours, for any engine; `series` gives the numbers from 0 on."""
    made: dict[str, str] = {}
    for table in all_tables():
        if "singleton" in table.columns:
            continue
        values = {name: _value(name, sort) for name, sort in table.columns.items()}
        if table.name == "session_moves":
            values["kind"] = "'pop'"
        values[table.key[0]] = f"i + {FIRST}"
        # Names and values are of this file and of the schema.
        made[table.name] = (
            f"INSERT INTO {table.name} ({', '.join(values)})"
            f" WITH RECURSIVE series (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM series WHERE i < {rows - 1})"
            f" SELECT {', '.join(values.values())} FROM series"
        )
    return made


def _value(name: str, sort: str) -> str:
    blob = "CAST('n-' || i AS BLOB)"
    return COLUMNS.get(name) or {"INTEGER": f"i + {FIRST}", "REAL": "i * 1.0", "TEXT": "'n-' || i", "BLOB": blob}[sort]
