"""`TenureTaskStore`: the tasks of an A2A agent in a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, final

from a2a.server.context import ServerCallContext
from a2a.server.owner_resolver import OwnerResolver, resolve_user_scope
from a2a.server.tasks.task_store import TaskStore
from a2a.types.a2a_pb2 import ListTasksRequest, ListTasksResponse, Task
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InvalidParamsError
from a2a.utils.task import (
    ListTasksCursor,
    decode_list_tasks_cursor,
    decode_page_token,
    encode_list_tasks_cursor,
)

from tenure.adapters.checking import check_value, checked
from tenure.adapters.fronts import AnyStore, Caller
from tenure.errors import Contended, DiskFull

from .records import TASKS, decode, encode, read_all, task_key, tasks_of

_RETRY_S: Final = 0.5

Owned = list[tuple[str, Task]]
"""Tasks, each after its owner."""


@final
@checked
class TenureTaskStore(TaskStore):
    """Keeps tasks in a store, each its owner's alone. What a verb has written is on disk when it returns, in one commit.

    Of two writers the later wins. Errors are those of `tenure.errors`, and `InvalidParamsError` for a page token that is none.
    """

    def __init__(self, store: AnyStore, *, owner_resolver: OwnerResolver = resolve_user_scope) -> None:
        """Bind to an open store: of `tenure.asyncio`, on whose loop this is called, or of `tenure.sync`.

        Args:
            store: It stays its opener's to close.
            owner_resolver: Whose a call is; by the name of its user for a call without another one.

        Raises:
            InvalidInput: It is another object, or there is no running loop for it.
        """
        self._caller = Caller(store)
        check_value(owner_resolver, OwnerResolver, "owner_resolver")
        self._owner = owner_resolver

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Store a task in place of what was there. Raises `PayloadTooLarge`, or `InvalidInput` where none could read it.

        While the disk is full, or the store is busy, it waits and tries again, as the commits of a run do: to the framework a
        task that cannot be stored has failed. Cancellation ends that wait.
        """
        owner = self._owner(context)
        values: dict[str, bytes | None] = {task_key(owner, task.id): encode(owner, task)}
        while True:
            try:
                await self._caller.awaited(self._caller.values.write(values))
            except (DiskFull, Contended):  # nothing was written
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        """A task of the caller's, or None."""
        key = task_key(self._owner(context), task_id)
        found = await self._caller.awaited(self._caller.values.get_all([key]))
        return decode(found[key], Task, key)[1] if key in found else None

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """A page of the caller's tasks, the last updated first. Reads all of them."""
        stem = tasks_of(self._owner(context))
        rows = await self._caller.awaited(read_all(self._caller.values, stem))
        tasks = [task for key, data in rows if _fits(task := decode(data, Task, key)[1], params)]
        tasks.sort(key=_place, reverse=True)
        first = _first(tasks, params.page_token) if params.page_token else 0
        size = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
        page, more = tasks[first : first + size], first + size < len(tasks)
        token = encode_list_tasks_cursor(_cursor(page[-1])) if more else None
        return ListTasksResponse(tasks=page, next_page_token=token, total_size=len(tasks), page_size=size)

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        """Delete a task of the caller's, if it is there."""
        await self._caller.awaited(self._caller.values.write({task_key(self._owner(context), task_id): None}))

    async def every(self) -> Owned:
        """Every task of every owner, with its owner."""
        rows = await self._caller.awaited(read_all(self._caller.values, TASKS))
        return [decode(data, Task, key) for key, data in rows]


def _fits(task: Task, params: ListTasksRequest) -> bool:
    since = params.status_timestamp_after.ToNanoseconds() if params.HasField("status_timestamp_after") else None
    return (
        (not params.context_id or task.context_id == params.context_id)
        and (not params.status or task.status.state == params.status)
        and (since is None or (_is_timed(task) and task.status.timestamp.ToNanoseconds() >= since))
    )


def _is_timed(task: Task) -> bool:
    return bool(task.HasField("status") and task.status.HasField("timestamp"))


def _place(task: Task) -> tuple[bool, int, str]:
    timed = _is_timed(task)
    return timed, task.status.timestamp.ToNanoseconds() if timed else 0, task.id


def _cursor(task: Task) -> ListTasksCursor:
    timed, at, task_id = _place(task)
    return ListTasksCursor(timestamp_ns=at if timed else None, task_id=task_id)


def _first(tasks: Sequence[Task], token: str) -> int:
    """Where the page of a token begins; one of an older client names the first task of it."""
    cursor = decode_list_tasks_cursor(token)
    if cursor is not None:
        return next((at for at, task in enumerate(tasks) if _place(task) < cursor.sort_key()), len(tasks))
    named = decode_page_token(token)
    for at, task in enumerate(tasks):
        if task.id == named:
            return at
    raise InvalidParamsError(f"Invalid page token: {token}")
