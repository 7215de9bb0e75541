"""Entries of a run's record that land with its next boundary: what a behaviour asks of its session (design §18, §20)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import trio

from tenure.errors import InvalidInput
from tenure.persistence.model.entries import EntryKind, EntryStatus
from tenure.supervisor.runs.recording.asked import Asked
from tenure.supervisor.runs.recording.branch import Branch
from tenure.supervisor.runs.recording.entering import Entering


@contextmanager
def reserved(branch: Branch, what: str) -> Generator[None]:
    """Hold a branch while what it asks for is made ready. Raises `InvalidInput` where something of it is in flight."""
    if branch.in_flight is not None:
        raise InvalidInput(
            detail=f"{what} is asked for while {branch.in_flight} is in flight in the same branch", field="call"
        )
    branch.in_flight = what
    try:
        yield
    finally:
        branch.in_flight = None


@asynccontextmanager
async def enter(entering: Entering, kind: EntryKind, arguments: bytes) -> AsyncGenerator[str]:
    """Ask for an entry, and do in the body what it stands for; its place. It is recorded by the next commit of its branch.

    What was cut off by a scope before is not done, and waits for the same end.

    Raises:
        StepMismatch: Something else is recorded there.
        InvalidInput: It has no place there; see `Record.ask`.
    """
    asked = Asked(kind=kind, name=str(kind), arguments=arguments)
    branch, found = entering.ask(asked)
    with entering.in_flight(branch, asked, found) as flight:
        if found.entry is not None and found.entry.status is EntryStatus.CANCELLED:
            await entering.wait_for_scope(asked, found)
        await trio.lowlevel.checkpoint()
        yield found.place
        if found.entry is None:
            branch.late[found.place] = flight.record(EntryStatus.SUCCEEDED)
