"""`open_handler`: what answers the requests of the protocol, with the tasks of an earlier process taken up again."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, final

from a2a.auth.user import User
from a2a.server.agent_execution import RequestContext, RequestContextBuilder, SimpleRequestContextBuilder
from a2a.server.context import ServerCallContext
from a2a.server.owner_resolver import OwnerResolver, resolve_user_scope
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.types.a2a_pb2 import AgentCard, SendMessageRequest, Task, TaskState
from a2a.utils.errors import A2AError, UnsupportedOperationError

import tenure.asyncio

from .agent import TenureAgent, last_message
from .pushes import TenurePushConfigStore
from .tasks import TenureTaskStore

_LOGGER: Final = logging.getLogger("tenure.adapters.a2a")
_ON_THE_WAY: Final = {TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING}


@final
class _Owner(User):
    """Stands for the caller of an earlier process, of whom nothing but the name of an owner is stored."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    @property
    def is_authenticated(self) -> bool:
        """As a caller with a name is."""
        return bool(self.owner)

    @property
    def user_name(self) -> str:
        """Names the owner."""
        return self.owner


@final
class _OneMessage(RequestContextBuilder):
    """Refuses a further message to a task: the framework would answer it, and keep it in memory until the task has ended."""

    def __init__(self, inner: RequestContextBuilder) -> None:
        self._inner = inner

    async def build(
        self,
        context: ServerCallContext,
        params: SendMessageRequest | None = None,
        task_id: str | None = None,
        context_id: str | None = None,
        task: Task | None = None,
    ) -> RequestContext:
        """Build what the agent is asked. Raises `UnsupportedOperationError` for a message to a task that there is."""
        if task_id is not None and not isinstance(context.user, _Owner):
            raise UnsupportedOperationError(
                message=f"task {task_id} takes no further message: send it to the context of the task, where it is another task"
            )
        return await self._inner.build(context, params, task_id, context_id, task)


@asynccontextmanager
async def open_handler(
    supervisor: tenure.asyncio.Supervisor,
    agent_card: AgentCard,
    *,
    kind: str,
    owner_resolver: OwnerResolver = resolve_user_scope,
    request_context_builder: RequestContextBuilder | None = None,
    **terms: Any,
) -> AsyncGenerator[DefaultRequestHandler]:
    """The request handler of an agent whose tasks are inputs of runtimes, with tasks and configs in the store of `supervisor`.

    A task that an earlier process has left on the way is taken up before this yields: it follows its run to the end, can be
    subscribed to and be cancelled, and its push notifications are sent. One server at a time serves the tasks of a file. A task
    has one message: a further one that names it is refused, and its context takes it.

    Args:
        supervisor: Which host; it stays its opener's, and is open for longer than this.
        agent_card: What the agent says of itself.
        kind: See `TenureAgent`.
        owner_resolver: See `TenureTaskStore`.
        request_context_builder: As the framework's `DefaultRequestHandler` has it, which gives it each first message of a task.
        terms: Further ones of the framework's `DefaultRequestHandler`, such as ``push_sender``.
    """

    def owner_of(context: ServerCallContext) -> str:
        return context.user.owner if isinstance(context.user, _Owner) else owner_resolver(context)

    tasks = TenureTaskStore(supervisor.store, owner_resolver=owner_of)
    handler = DefaultRequestHandler(
        agent_executor=TenureAgent(supervisor, kind=kind, owner_resolver=owner_of),
        task_store=tasks,
        agent_card=agent_card,
        push_config_store=TenurePushConfigStore(supervisor.store, owner_resolver=owner_of),
        request_context_builder=_OneMessage(request_context_builder or SimpleRequestContextBuilder()),
        **terms,
    )
    try:
        await _take_up(handler, tasks)
        yield handler
    finally:
        await handler.aclose()


async def _take_up(handler: DefaultRequestHandler, tasks: TenureTaskStore) -> None:
    """Send the last message of every task on the way again: it is known, so what follows is its outcome."""
    for owner, task in await tasks.every():
        message = last_message(task)
        if task.status.state not in _ON_THE_WAY or message is None:
            continue
        request = SendMessageRequest(message=message)
        request.message.task_id, request.message.context_id = task.id, task.context_id
        request.configuration.return_immediately = True
        try:
            call = ServerCallContext(user=_Owner(owner))
            await handler.on_message_send(request, call)  # pyright: ignore[reportUnknownMemberType] - as it is decorated
        except A2AError:  # the task has failed by that, and says so
            _LOGGER.exception("task %s of an earlier process could not be taken up", task.id)
