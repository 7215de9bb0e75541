"""The statements that SQLite executes, heard of where its connections execute them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import apsw

Hear = Callable[[str], object]


def hear_statements(connection: apsw.Connection, hear: Hear) -> None:
    """Call `hear` with the SQL of everything that a connection executes from now on."""

    def trace(_cursor: object, sql: str, _bindings: object) -> bool:
        hear(sql)
        return True

    connection.set_exec_trace(trace)


@contextmanager
def statements_heard(hear: Hear) -> Generator[None]:
    """Call `hear` with the SQL of everything on every connection that opens in the block."""

    def hook(connection: apsw.Connection) -> None:
        hear_statements(connection, hear)

    apsw.connection_hooks.append(hook)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(hook)
