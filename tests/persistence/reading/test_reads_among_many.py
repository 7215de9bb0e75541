"""What is read of one does not grow with what there is of others."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import apsw
import pytest

from tenure.persistence.engines.statements import load_statements, schema_files
from tests.kit.among import fillings

pytestmark = pytest.mark.sqlite("counts steps of SQLite's machine")

FEW: Final = 200
MANY: Final = 4_000

READS: Final = (
    *("output.floors", "spoken.last_gone", "attachments.counts", "attachments.newest"),
    *("input_records.keys", "listing.inputs", "listing.inbox", "dead_letters.page", "sends.refused", "runs.of_runtime"),
    *("prunable.first_link", "verification.run", "verification.receipt_keys", "verification.node_keys"),
    *("verification.unproven", "verification.counts", "verification.dead_letters", "verification.newest_receipts"),
    *("verification.receipts_after", "verification.schemes", "verification.empty_sessions", "verification.strays"),
    *("verification.oldest_input", "verification.facts", "verification.why", "verification.open_inputs"),
)
"""What is read of one runtime, one session, or the newest of all."""


@cache
def filled(rows: int) -> apsw.Connection:
    """A database with so many rows of neighbours in each table, which is only read."""
    connection = apsw.Connection(":memory:")
    for text in schema_files():
        connection.execute(text)
    for sql in fillings(rows).values():
        connection.execute(sql)
    connection.execute("DELETE FROM erasures")  # else each neighbour is one that was erased
    columns = [str(row[1]) for row in connection.execute("PRAGMA table_info(runtimes)")]
    own = [{"runtime": "1", "runtime_id": "'own'"}.get(name, name) for name in columns]
    connection.execute(f"INSERT INTO runtimes SELECT {', '.join(own)} FROM runtimes LIMIT 1")
    connection.pragma("query_only", value=True)
    return connection


def steps(connection: apsw.Connection, name: str, **given: Any) -> int:
    """How many steps a statement takes, for what no neighbour has."""
    sql = load_statements()[name]
    names = set(re.findall(r"(?<!:):(\w+)", sql))
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    connection.set_progress_handler(count, 1)
    try:
        connection.execute(sql, {each: given.get(each, 1) for each in names}).fetchall()
    finally:
        connection.set_progress_handler(None)
    return counted


@pytest.mark.parametrize("name", READS)
def test_it_reads_as_much_among_many_as_among_few(name: str) -> None:
    few, many = (
        steps(filled(rows), name, session_id="own", runtime_id="own", run_id="", after=0, count=10)
        for rows in (FEW, MANY)
    )

    assert many < few + 100, (few, many)
