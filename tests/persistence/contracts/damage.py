"""Writing past the store, as a bad disk or a bad program would."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import apsw

from tenure import Store
from tenure.errors import Error, Internal, ReadFailed, StoreBroken
from tenure.persistence.engines.engine import NotStorable
from tenure.persistence.engines.statements import schema_files
from tenure.testing.observing import inside_of

Rows = dict[str, list[tuple[Any, ...]]]
Calls = dict[str, Callable[[], Awaitable[Any]]]


def _schema() -> dict[str, tuple[str, ...]]:
    connection = apsw.Connection(":memory:")
    for migration in schema_files():
        connection.execute(migration)
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return {str(name): _columns(connection, str(name)) for (name,) in names}


def _columns(connection: apsw.Connection, table: str) -> tuple[str, ...]:
    return tuple(str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})"))


SCHEMA = _schema()
"""Every table of the schema with its columns, asked of SQLite: a new one cannot be forgotten."""


async def execute(store: Store, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run any SQL on the connection that writes, between groups."""
    return await batch(store, [(sql, parameters)])


async def batch(store: Store, statements: list[tuple[str, tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """Run several statements in one go; the rows of the last."""
    return await inside_of(store).write_past(statements)


def junk(source: random.Random) -> tuple[str, Any]:
    """An SQL expression and its parameter."""
    data = source.randbytes(source.choice((0, 1, 8, 40)))
    return source.choice(
        [
            ("?", data),
            ("CAST(? AS TEXT)", data + b"\xff"),
            ("?", source.randrange(-(2**63), 2**63)),
            ("?", source.random()),
            ("?", "junk"),
            ("?", "{}"),
        ]
    )


def spoilt(table: str, source: random.Random, rounds: int) -> list[tuple[str, str, Any]]:
    """So many values of junk for each column of a table: the column, an SQL expression and its parameter."""
    return [(column, *junk(source)) for column in SCHEMA[table] for _ in range(rounds)]


def every_junk(source: random.Random) -> list[tuple[str, Any]]:
    """One of each sort, for a column of a table that the whole store hangs on."""
    return [
        ("?", source.randbytes(8)),
        ("CAST(? AS TEXT)", b"\xff"),
        ("?", source.randrange(2**62, 2**63)),
        ("?", -source.randrange(2**62)),
        ("?", source.random()),
        ("?", "junk"),
        ("?", None),
    ]


async def damage(store: Store, table: str, column: str, where: str, expression: str, value: Any) -> None:
    """Write junk over one column. An engine that does not store it there is as good a guard as any."""
    with suppress(NotStorable):
        parameters = (value,) if "?" in expression else ()
        await execute(store, f"UPDATE {table} SET {column} = {expression} WHERE {where}", *parameters)


async def outcome(call: Callable[[], Awaitable[Any]]) -> Any:
    """What a verb answers, or its typed error; any other error is its own, and fails the test."""
    try:
        return await call()
    except Error as error:
        return error


async def answers_of(calls: Calls) -> dict[str, Any]:
    """What every verb answers, or its typed error."""
    return {verb: await outcome(call) for verb, call in calls.items()}


def texts(answers: dict[str, Any]) -> dict[str, str]:
    """The answers, to be compared."""
    return {verb: repr(answer) for verb, answer in answers.items()}


def check_answers(
    whole: dict[str, Any],
    found: dict[str, Any],
    value: Any,
    *,
    may_be_silent: bool,
    seen: bool,
    sees_silent: bool = True,
) -> None:
    """What the verbs answer over damage: what they did before, or an error of reading, and `verify` has `seen` it then.

    `may_be_silent`: another answer is no error, as where another name is found. `sees_silent`: that is seen, too.
    """
    graves = [verb for verb, answer in found.items() if isinstance(answer, Internal | StoreBroken)]
    assert not graves, (graves, value, [repr(found[verb]) for verb in graves])
    changed = [verb for verb, answer in found.items() if repr(answer) != repr(whole[verb])]
    silent = [verb for verb in changed if not isinstance(found[verb], ReadFailed)]
    assert may_be_silent or not silent, (silent, value, [repr(found[verb])[:300] for verb in silent])
    if changed if sees_silent else len(silent) < len(changed):
        assert seen, (changed, value)


async def save(store: Store, tables: Iterable[str] = SCHEMA) -> Rows:
    """Every row of some tables, or of the store."""
    return {table: await execute(store, f"SELECT * FROM {table}") for table in tables}


async def restore(store: Store, saved: Rows) -> None:
    """Put back what was saved."""
    statements: list[tuple[str, tuple[Any, ...]]] = []
    for table, rows in saved.items():
        statements.append((f"DELETE FROM {table}", ()))
        statements += [(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row) for row in rows]
    await batch(store, statements)
