"""What a supervisor reads of any runtime in the store, here or on another host; paged, so that no view outlives a page."""

from __future__ import annotations

from functools import partial
from typing import Any, final

from attrs import field, frozen

from tenure.errors import InvalidInput, NotFound
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.runs import (
    dead_letters,
    sends,
)
from tenure.persistence.model.codec import message_of
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunId,
)
from tenure.persistence.store import Store
from tenure.persistence.upkeep import record


@final
@frozen(kw_only=True, slots=True)
class Backlog:
    """What waits in a store, for any host.

    Attributes:
        inputs: Unfinished inputs, those of runs that execute included.
        oldest_at: When the oldest of them was accepted, unix seconds, or None where there is none.
    """

    inputs: int
    oldest_at: float | None


async def read_backlog(store: Store) -> Backlog:
    """See `Supervisor.backlog`."""
    waiting, oldest_at = await store.read(lambda statements: statements.one("inputs.backlog")) or (0, None)
    return Backlog(inputs=waiting, oldest_at=oldest_at)


@final
@frozen(kw_only=True, slots=True)
class SessionNode:
    """One message of a conversation, with what is known of it.

    Attributes:
        number: Its place in the conversation, from 1; `after` of the next read is the last one's.
        node_id: Its id, for the verbs of `Store.sessions`.
        message: As it was appended: JSON decoded, and bytes that are no JSON as they are.
        created_at: When it was stored, unix seconds.
        run_id: The run that appended it; None where none did, or that run was pruned.
    """

    number: int
    node_id: str
    message: Any = field(repr=False)
    created_at: float
    run_id: RunId | None


async def read_session(store: Store, runtime_id: LogicalRuntimeId) -> list[Any]:
    """See `Supervisor.read_session`."""
    path = await store.read(partial(sessions.path_of_runtime, runtime_id=runtime_id))
    if path is None:
        raise NotFound(what="runtime", key=runtime_id)
    return [message_of(message) for message in path]


async def read_session_nodes(
    store: Store, runtime_id: LogicalRuntimeId, after: int, limit: int | None
) -> list[SessionNode]:
    """See `Supervisor.read_session`."""
    if after < 0:
        raise InvalidInput(detail=f"{after} is below 0", field="after")
    if limit is not None and limit < 1:
        raise InvalidInput(detail=f"{limit} is below 1", field="limit")
    path = await store.read(partial(sessions.page_of_runtime, runtime_id=runtime_id, after=after, limit=limit))
    if path is None:
        raise NotFound(what="runtime", key=runtime_id)
    return [
        SessionNode(
            number=node.number,
            node_id=node.node_id,
            message=message_of(node.payload),
            created_at=node.created_at,
            run_id=node.run_id,
        )
        for node in path
    ]


async def read_dead_letters(store: Store, runtime_id: LogicalRuntimeId) -> list[dead_letters.DeadLetter]:
    """See `Supervisor.dead_letters`."""
    found: list[dead_letters.DeadLetter] = []
    while True:
        after = found[-1].input_id if found else InputId("")
        page = await store.read(partial(dead_letters.of_runtime, runtime_id=runtime_id, after=after, count=PAGE))
        found.extend(page)
        if len(page) < PAGE:
            return found


async def read_refused_sends(store: Store, runtime_id: LogicalRuntimeId) -> list[sends.RefusedSend]:
    """See `Supervisor.refused_sends`."""
    found: list[sends.RefusedSend] = []
    while True:
        after = found[-1].input_id if found else InputId("")
        page = await store.read(partial(sends.refused, runtime_id=runtime_id, after=after, count=PAGE))
        found.extend(page)
        if len(page) < PAGE:
            return found


async def read_entries(
    store: Store, runtime_id: LogicalRuntimeId, run_id: str | None, *, content: bool, chain: bool
) -> list[record.RunEntry]:
    """See `Supervisor.entries`."""
    found: list[record.RunEntry] = []
    find = partial(record.find_chain, runtime_id=runtime_id, run_id=run_id, most=None if chain else 1)
    for key, name in await store.read(find):
        after, more = 0, True
        while more:
            read = partial(record.entries_after, run=key, run_id=name, after=after, content=content)
            after, page = await store.read(read)
            found.extend(page)
            more = len(page) == PAGE
    return found


async def read_unfinished_runs(store: Store, version: str | None) -> list[record.UnfinishedRun]:
    """See `Supervisor.unfinished_runs`."""
    found: list[record.UnfinishedRun] = []
    after, more = 0, True
    while more:
        after, page = await store.read(partial(record.unfinished_after, after=after))
        found.extend(each for each in page if version is None or version in each.versions)
        more = len(page) == PAGE
    return found
