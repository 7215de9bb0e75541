"""The whole history of a store on a server, as rows: what was accepted, run, received, said, by which hosts, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import psycopg
from attrs import frozen
from psycopg import sql


@final
@frozen(kw_only=True, slots=True)
class Accepted:
    """One input.

    Attributes:
        runtime_id: Whose.
        key: Its idempotency key.
        input_id: Its id.
        admission: Its place in the inbox.
        phase: What became of it.
        run: Key of the run that had it, or None.
        boundary: Sequence of the receipt that consumed it, or None.
    """

    runtime_id: str
    key: str
    input_id: str
    admission: int
    phase: str
    run: int | None
    boundary: int | None


@final
@frozen(kw_only=True, slots=True)
class Received:
    """One receipt.

    Attributes:
        runtime_id: Whose.
        run: Key of its run.
        sequence: Its place in the run.
        position: Its place in the chain of the runtime.
        input_ids: Inputs that it is about.
        messages: So many messages had the conversation then.
        fence_token: The token it was written under.
        host: Key of the host that wrote it.
        group: Number of that host's group.
        at: Unix seconds of that group.
    """

    runtime_id: str
    run: int
    sequence: int
    position: int
    input_ids: Sequence[str]
    messages: int
    fence_token: int
    host: int
    group: int
    at: float


@final
@frozen(kw_only=True, slots=True)
class History:
    """Everything, as one snapshot of the database shows it.

    Attributes:
        accepted: Every input.
        received: Every receipt.
        said: By runtime, the texts of its conversation from first to last.
        tokens: By runtime, the token that it has now.
        last_token: The last one that the store has minted.
        groups: By host, the number of its last group that landed.
        processes: By host, the process that it was: one that was judged and woke has another row.
    """

    accepted: Sequence[Accepted]
    received: Sequence[Received]
    said: Mapping[str, Sequence[str]]
    tokens: Mapping[str, int]
    last_token: int
    groups: Mapping[int, int]
    processes: Mapping[int, str]


_ACCEPTED: Final = """
SELECT r.runtime_id, i.idempotency_key, i.input_id, i.admission, i.phase, i.run, i.boundary
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
"""
_RECEIVED: Final = """
SELECT r.runtime_id, c.run, c.sequence, c.position, c.input_ids, c.message_count, c.fence_token, c.host, c.group_number,
       c.committed_at
FROM receipts c JOIN runtimes r ON r.runtime = c.runtime
"""
_SAID: Final = """
SELECT r.runtime_id, n.payload FROM runtimes r JOIN nodes n ON n.session = r.session
WHERE n.tombstoned_at IS NULL ORDER BY r.runtime_id, n.position, n.node
"""


_AHEAD: Final = ("retry_at", "wake_at", "due_at", "next_at", "fires_at", "scheduled_at", "resume_at")
"""Those that may lie ahead."""

_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)"

_COLUMNS: Final = r"""
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = %s AND data_type = 'double precision' AND column_name LIKE '%%\_at' AND column_name <> ALL (%s)
"""

_RANGE: Final = "SELECT min({column}), max({column}) FROM {table}"

OFF_S: Final = 1.0
"""Seconds by which a time may lie outside: a host asks the server once a minute, and lets a tenth of a second be."""


def read_history(url: str, schema: str = "tenure") -> History:
    """Read everything in one view."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(f"SET LOCAL search_path TO {schema}".encode())

        def rows(asked: str) -> list[Any]:
            return connection.execute(asked.encode()).fetchall()

        said: dict[str, list[str]] = {}
        for runtime_id, payload in rows(_SAID):
            said.setdefault(runtime_id, []).append(json.loads(payload))
        ((last_token,),) = rows("SELECT last_fence_token FROM store")
        return History(
            accepted=[
                Accepted(
                    runtime_id=runtime_id,
                    key=key,
                    input_id=input_id,
                    admission=admission,
                    phase=phase,
                    run=run,
                    boundary=boundary,
                )
                for runtime_id, key, input_id, admission, phase, run, boundary in rows(_ACCEPTED)
            ],
            received=[
                Received(
                    runtime_id=runtime_id,
                    run=run,
                    sequence=sequence,
                    position=position,
                    input_ids=json.loads(input_ids),
                    messages=messages,
                    fence_token=token,
                    host=host,
                    group=group,
                    at=at,
                )
                for runtime_id, run, sequence, position, input_ids, messages, token, host, group, at in rows(_RECEIVED)
            ],
            said=said,
            tokens=dict(rows("SELECT runtime_id, fence_token FROM runtimes")),
            last_token=last_token,
            groups=dict(rows("SELECT host, group_number FROM hosts")),
            processes=dict(rows("SELECT host, concat_ws(' ', host_name, boot_id, pid, process_start) FROM hosts")),
        )


def server_time(url: str) -> float:
    """What the clock of a server shows, unix seconds."""
    with psycopg.connect(url) as connection:
        row: Any = connection.execute(_NOW).fetchone()
        return float(row[0])


def wrong_times(url: str, since: float, schema: str = "tenure") -> list[str]:
    """The columns that hold a time from before `since`, or from after now."""
    found: list[str] = []
    with psycopg.connect(url) as connection:
        columns = connection.execute(_COLUMNS, (schema, list(_AHEAD))).fetchall()
        for table, column in columns:
            asked = sql.SQL(_RANGE).format(column=sql.Identifier(column), table=sql.Identifier(schema, table))
            ((first, last),) = connection.execute(asked).fetchall()
            if first is not None and not since - OFF_S <= first <= last <= server_time(url) + OFF_S:
                found.append(
                    f"{table}.{column} holds times from {first:.3f} to {last:.3f}, and it is {since:.3f} or later"
                )
    return found
