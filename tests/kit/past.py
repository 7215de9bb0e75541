"""Reading and writing past a store, on every engine, whether hosts have it open or not.

What a bad disk or a bad program would write, and what another program would read. A store that the test itself has open is
looked into by `inside_of` of `tenure.testing.observing`; this one goes in through the engine's door, as another host would.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.engine import Row, SqlValue

MOST_ROWS = 100_000


def rows_of(target: Path | str, sql: str, *parameters: SqlValue) -> list[Row]:
    """What another program reads there: what has landed."""
    connection = door_to(target).engine(None).open_query()
    assert connection is not None, "nothing else reads a store in memory"
    with closing(connection):
        return connection.query(sql, parameters, MOST_ROWS, lambda: False)


def write_past(target: Path | str, sql: str, *parameters: SqlValue) -> None:
    """Write what no verb would, in one transaction. Raises `NotStorable` where the engine does not take it there."""
    engine = door_to(target).engine(None)
    connection = engine.open()
    try:
        connection.begin_unnumbered()
        connection.raw(sql, parameters)
        connection.commit()
    finally:
        connection.rollback()
        connection.close(checkpoint=True)
        engine.close()
