"""A look into the database of a simulated host, beside all that it does.

Under inline executors a group is one sync call. So what runs on the trio thread sees the database between groups: what
is read here is what is committed, on the host's own connection, and nothing of the host is disturbed.
"""

from __future__ import annotations

from typing import Any

from tenure.supervisor.supervisor import Supervisor
from tenure.testing.observing import inside_of


def rows(supervisor: Supervisor, sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
    """Every row of a query."""
    # A simulation must not ask by the ways that it judges.
    return inside_of(supervisor.store).rows(sql, *parameters)
