"""Writing past the store, as a bad disk or a bad program would."""

from __future__ import annotations

from typing import Any

from tenure import Store


async def execute(store: Store, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run any SQL on the connection that writes, between groups."""
    executor: Any = vars(store)["_executor"]
    opened: Any = vars(store)["_opened"]
    writer: object = opened.connection
    connection: Any = vars(writer)["_db"]

    def run() -> list[tuple[Any, ...]]:
        return list(connection.execute(sql, parameters))

    found: list[tuple[Any, ...]] = await executor.run(run)
    return found
