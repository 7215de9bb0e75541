"""Recovery: what a host finds at open and sets to work again (design §4, §6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, final

from attrs import frozen

from tenure.persistence.commits.rows import sound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store

if TYPE_CHECKING:
    from tenure.supervisor.supervisor import Supervisor

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


async def recover(supervisor: Supervisor) -> None:
    """Take over every runtime of a known kind that was left with work; a run on trial then waits for its turn."""
    after = ""
    while page := await supervisor.store.read(partial(unfinished, after=after)):
        after = page[-1].runtime_id
        known = [found for found in page if found.kind in supervisor.behaviours]
        await together(*(partial(supervisor.takeovers.take_quietly, found.runtime_id, found.kind) for found in known))


async def read_unowned(store: Store) -> list[UnownedRuntime]:
    """See `Supervisor.unowned`."""
    found: list[UnownedRuntime] = []
    while page := await store.read(partial(unfinished, after=found[-1].runtime_id if found else "")):
        found += page
    return found
