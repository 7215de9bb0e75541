"""A look into the database of a simulated host, beside all that it does.

Under inline executors a group is one sync call. So whoever runs on the trio thread sees the database between groups: what
is read here is what is committed, on the host's own connection, and nothing of the host is disturbed.
"""

from __future__ import annotations

from typing import Any, cast

import apsw

from tenure.supervisor.supervisor import Supervisor


def rows(supervisor: Supervisor, sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
    """Every row of a query."""
    # The store gives raw SQL to nobody; a simulation must not ask by the ways that it judges.
    opened: Any = supervisor.store._opened  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    connection = cast("apsw.Connection", opened.connection._db)  # noqa: SLF001
    return connection.execute(sql, parameters).fetchall()
