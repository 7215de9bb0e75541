"""The person of a household: gives tasks, sees them through, has a secret erased, and follows what is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import trio

import tenure

from .agents import GO, KEEPER, LEAD, SICK, Hears, approval, is_approved

Look = Callable[..., Sequence[tuple[Any, ...]]]
"""Reads rows of the database by a statement and its parameters, below the verbs."""


async def give(supervisor: tenure.Supervisor, task: int) -> None:
    """Give a task to a lead of its own."""
    await supervisor.accept(f"{LEAD}-{task}", task, kind=LEAD, idempotency_key=GO)


async def see_through(
    supervisor: tenure.Supervisor, look: Look, witness: Hears | None = None, every_s: float = 1.0
) -> None:
    """Do what a person does until all has ended: let the sick ones go, approve, erase."""
    while await _care(supervisor, look, witness):  # noqa: ASYNC110 - as a person would look
        await trio.sleep(every_s)


async def _care(supervisor: tenure.Supervisor, look: Look, witness: Hears | None) -> bool:
    """One look: whether something is unfinished."""
    asked = look("SELECT 1 FROM inputs i JOIN runtimes r USING (runtime) WHERE r.runtime_id = ?", SICK)
    if asked and look("SELECT 1 FROM holds"):
        await supervisor.resume(kind=SICK)
    for (lead,) in look("SELECT runtime_id FROM runtimes WHERE kind = ? AND run IS NOT NULL", LEAD):
        task = task_of(lead)
        if is_approved(task):
            key = approval(task)
            await supervisor.accept(lead, "yes", lane="steer", correlation_id=key, idempotency_key=key)
    left = [keeper for (keeper,) in look(_KEEPERS, KEEPER) if not await _erase(supervisor, keeper, look, witness)]
    return (
        bool(left)
        or bool(look("SELECT 1 FROM inputs WHERE finished_at IS NULL LIMIT 1"))
        or bool([each for each in await supervisor.schedules.list() if each.next_at is not None])
    )


_KEEPERS: Final = """
SELECT runtime_id FROM runtimes WHERE kind = ? AND runtime NOT IN (SELECT runtime FROM erasures WHERE done_at IS NOT NULL)
"""
_KEPT: Final = """
SELECT r.state, i.finished_at FROM runtimes r LEFT JOIN inputs i USING (runtime) WHERE runtime_id = ?
"""


def task_of(lead: str) -> int:
    """The task of a lead, by its id."""
    return int(lead.rpartition("-")[2])


async def _erase(supervisor: tenure.Supervisor, keeper: str, look: Look, witness: Hears | None) -> bool:
    """Destroy a keeper once it keeps its secret, and erase it; whether all of it is gone."""
    found = look(_KEPT, keeper)
    if any(state != "destroyed" and finished_at is None for state, finished_at in found):
        return False
    handle = await supervisor.find(keeper)
    erasure = await (handle.erase() if found[0][0] == "destroyed" else handle.destroy(erase=True))
    if erasure is not None and erasure.gone and witness is not None:
        witness.acknowledged("gone", keeper)
    return erasure is not None and erasure.gone


async def follow(supervisor: tenure.Supervisor, task: int, witness: Hears) -> None:
    """Follow a lead, and tell what is heard."""
    lead = await supervisor.find(f"{LEAD}-{task}")
    async for entry in lead.follow():
        witness.acknowledged("heard", [lead.runtime_id, entry.position, entry.kind, entry.value])
