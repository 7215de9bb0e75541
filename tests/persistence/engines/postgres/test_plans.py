"""What a store asks that has grown fast from empty, before the server has looked at its tables: nothing reads them whole.

Plans are looked at, as a clock would say little.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final, final

import psycopg

from tenure.persistence.engines.postgres.connecting import Connecting
from tenure.persistence.engines.postgres.engine import writing_statements
from tenure.persistence.engines.postgres.protocol.translation import Statement, translated
from tenure.persistence.engines.postgres.protocol.wire import PLANS_S, Wire, command, plain
from tenure.persistence.engines.postgres.target import target_of
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.seams.limits import Limits

ROWS: Final = 50_000

TRIES: Final = 2

GROWN: Final[Mapping[str, Mapping[str, str]]] = {
    "runtimes": {"runtime_id": "'r-' || i", "owner": "1", "aside": "i % 2"},
    "sessions": {"session_id": "'s-' || i", "runtime": "i", "head": "i"},
    "nodes": {
        "session": "1 + i / 100",
        "parent": "nullif(i - 1, 100 * (i / 100))",
        "position": "i % 100",
        "run": "nullif(i * (i % 2), 0)",
        "node_id": "CASE WHEN i % 4 = 0 THEN 'd-' || i END",
    },
    "branches": {"session": "1 + i / 5", "node": "i"},
    "runs": {"run_id": "'u-' || i", "runtime": "i"},
    "asides": {"kind": "'k'", "wake_at": "i"},
    "inputs": {"input_id": "'i-' || i", "runtime": "1 + i % 500", "due_at": "nullif(i % 3, 0)", "phase": "'queued'"},
    "asks": {"run": "1 + i / 2", "target": "1 + i % 500"},
    "children": {"run": "1 + i / 3", "parent": "1 + i / 3", "child": "i", "scope": "'run'", "on_end": "'leave'"},
    "own_values": {"runtime": "1 + i / 10", "name": "'n' || i % 10", "revision": "i % 10"},
    "output_floors": {"chunk": "i"},
    "receipts": {"runtime": "1 + i / 10", "run": "i", "sequence": "1"},
    "payloads": {},
    "own_writes": {"runtime": "1 + i / 10", "revision": "i % 10", "run": "1 + i / 10", "boundary": "i % 10"},
}
"""Tables that grow with what runs, and what their rows have that differs; each has one for a number from 1 on."""

COLUMNS: Final = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
"""

READS: Final = (
    "nodes.path",
    "sessions.path",
    "sessions.path_page",
    "snapshots.path_back",
    "branches.at",
    "branches.above",
    "asides.due",
    "asides.due_unowned",
    "children.of_run",
    "own_state.written",
    "own_state.names_of_run",
    "asks.asked_by",
    "asks.open_of_run",
    "asks.waited_for",
    "delays.of_runtime",
    "inputs.count_delayed_to",
    "inputs.any_to_abandon",
    "holds.with_deadlines",
    "schedules.unfinished",
    "runs.of_runtime",
    "input_records.keys",
    "listing.inputs",
    "dead_letters.page",
    "sends.refused",
    "prunable.first_link",
    "verification.run",
    "verification.receipt_keys",
    "verification.unproven",
    "verification.counts",
    "verification.newest_receipts",
    "verification.receipts_after",
    "inputs.open_among",
    "own_state.writes",
)
"""Some that read a whole table where a server plans them for an empty one, by itself or as groups have it."""


COUNTED: Final = ("nodes.graph", "verification.node_keys", "verification.schemes", "verification.strays")
"""Some that do so until it has counted them."""


@final
class Clock:
    """One that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def keep_unseen(url: str) -> None:
    """Have the server look at no table by itself. It is said before plans are made, as each is made anew by that."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in GROWN:
            connection.execute(f"ALTER TABLE tenure.{table} SET (autovacuum_enabled = false)".encode())


def empty(url: str) -> None:
    """As they were made, for the planner too."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = tenure")
        connection.execute(f"TRUNCATE {', '.join(GROWN)} CASCADE".encode())


def fill(url: str) -> None:
    """Rows for the planner, which no verb would write."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = tenure")
        for table, differ in GROWN.items():
            needed = connection.execute(COLUMNS, (table,)).fetchall()
            values = {name: "'\\x'" if kind == "bytea" else "i" for name, kind in needed} | differ
            connection.execute(
                f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
                f" FROM generate_series(1, {ROWS}) AS i".encode()
            )


def whole(wire: Wire, name: str, count: int) -> list[str]:
    """The tables of `GROWN` that a statement reads from end to end, as its connection has it planned."""
    values = f"({', '.join(['NULL'] * count)})" if count else ""
    (answer,) = wire.exchange([plain(f'EXPLAIN (FORMAT JSON) EXECUTE "{name}"{values}')])
    return [*_whole(json.loads(answer.rows()[0][0])[0]["Plan"])]


def _whole(plan: Mapping[str, Any]) -> list[str]:
    table = str(plan.get("Relation Name", ""))
    by_key = "Index Cond" in plan or "Recheck Cond" in plan
    own = [table] if table in GROWN and not by_key else []
    return [*own, *[each for below in plan.get("Plans", ()) for each in _whole(below)]]


def test_a_store_that_has_grown_from_empty_is_read_by_its_indexes(url: str) -> None:
    reads = {name: translated(sql) for name, sql in load_statements("postgres/statements.sql").items()}
    writes = reads | {name: translated(sql) for name, sql in writing_statements().items()}
    keep_unseen(url)
    connecting = Connecting(target_of(url), Limits(), None)
    clock = Clock()

    def prepared(statements: Mapping[str, Statement], *, is_writer: bool) -> Wire:
        wire = Wire(connecting.connect(writes=is_writer), 30, clock)
        for name in (*READS, *COUNTED):
            (answer,) = wire.exchange([command(name, statements[name], dict.fromkeys(statements[name].names))])
            assert answer.error is None, (name, answer.error)
        return wire

    def read_whole(
        wire: Wire, statements: Mapping[str, Statement], names: Sequence[str] = READS
    ) -> dict[str, list[str]]:
        found = {name: whole(wire, name, len(statements[name].names)) for name in names}
        return {name: tables for name, tables in found.items() if tables}

    def grown() -> tuple[Wire, Wire, set[str]]:
        """Two connections whose plans are of empty tables, and what they read whole since these have grown."""
        empty(url)
        reader, writer = prepared(reads, is_writer=False), prepared(writes, is_writer=True)
        fill(url)
        return reader, writer, {*read_whole(reader, reads), *read_whole(writer, writes)}

    reader, writer, early = grown()
    for _ in range(TRIES):
        if not early:  # the server has forgotten all plans by itself, as it does where tests beside make many tables
            reader.close()
            writer.close()
            reader, writer, early = grown()
    with closing(reader), closing(writer):
        # Paths of conversations are read by their keys at once. Which of the partial indexes is one's own is not known before.
        assert not {each for each in early if each.startswith(("nodes", "sessions", "snapshots", "branches.at", "own"))}
        assert "asks.asked_by" in early, "else nothing is tested here"
        clock.now += PLANS_S

        assert read_whole(reader, reads) == {}
        assert read_whole(writer, writes) == {}

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        assert read_whole(reader, reads, COUNTED) == {}
        assert read_whole(writer, writes, COUNTED) == {}


def rows_read(wire: Wire, name: str) -> int:
    """How many rows a statement without parameters reads from tables."""
    (answer,) = wire.exchange([plain(f'EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "{name}"')])
    return _rows(json.loads(answer.rows()[0][0])[0]["Plan"])


def _rows(plan: Mapping[str, Any]) -> int:
    own = plan["Actual Rows"] * plan["Actual Loops"] + plan.get("Rows Removed by Filter", 0)
    return int(own if "Relation Name" in plan else 0) + sum([_rows(each) for each in plan.get("Plans", ())])


def test_of_all_floors_of_output_the_highest_is_read_alone(url: str) -> None:
    statement = translated(load_statements("postgres/statements.sql")["output.floors"])
    keep_unseen(url)
    fill(url)
    with closing(Wire(Connecting(target_of(url), Limits(), None).connect(writes=False), 30)) as wire:
        (answer,) = wire.exchange([command("output.floors", statement, {})])

        assert len(answer.rows()) == 1
        assert rows_read(wire, "output.floors") <= 2
