"""Recovery: the runtimes with work that no living host owns, as a host finds them at open and later (design §4, §6)."""

from __future__ import annotations

from functools import partial
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.rows import sound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store

PAGE: Final = 500
"""Runtimes that are read, and taken over, at a time."""


@final
@frozen(kw_only=True, slots=True)
class UnownedRuntime:
    """A runtime with work that no living host owns.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
    """

    runtime_id: LogicalRuntimeId
    kind: str


def unfinished(statements: Statements, after: str) -> list[UnownedRuntime]:
    """A page of the runtimes with work and without a living owner, by id."""
    rows = sound(statements.readable("ownership.with_work", after=after, count=PAGE), (str, str))
    return [UnownedRuntime(runtime_id=runtime_id, kind=kind) for runtime_id, kind in rows]


async def read_unowned(store: Store) -> list[UnownedRuntime]:
    """See `Supervisor.unowned`."""
    found: list[UnownedRuntime] = []
    while page := await store.read(partial(unfinished, after=found[-1].runtime_id if found else "")):
        found += page
    return found
