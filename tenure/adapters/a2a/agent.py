"""`TenureAgent`: an A2A agent whose tasks are inputs of runtimes.

Theory of operation. A context of the protocol is a runtime, and each message to it an input, whose key is the id of the
message. The input is on disk before the client hears of its task; from there on the run goes its own way, over crashes, and the
task follows its outcome. Who has lost sight of it, as after a crash, accepts the same message again: the key is known, nothing
is written, and the outcome is the same one.
"""

from __future__ import annotations

from typing import Final, final

from a2a.helpers.proto_helpers import new_data_part, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.events import EventQueue
from a2a.server.owner_resolver import OwnerResolver, resolve_user_scope
from a2a.server.tasks.task_updater import TaskUpdater
from a2a.types.a2a_pb2 import Artifact, Message, Role, Task, TaskState
from a2a.utils.errors import InvalidParamsError, TaskNotCancelableError
from google.protobuf.json_format import MessageToDict, ParseError
from google.protobuf.message import DecodeError

import tenure.asyncio
from tenure import AbandonReason, InputPhase, Outcome
from tenure.adapters.checking import check_value, checked
from tenure.adapters.keys import part
from tenure.errors import (
    Closed,
    IdempotencyConflict,
    InvalidInput,
    KindMismatch,
    NotFound,
    PayloadTooLarge,
    RuntimeDestroyed,
    StoreBroken,
)

from .records import check_listed, has_room

_PART_LIMIT: Final = 90
_REFUSED: Final = (IdempotencyConflict, InvalidInput, KindMismatch, PayloadTooLarge, RuntimeDestroyed)
"""What is wrong with a message, and not with us."""

_CLOSING: Final = (Closed, StoreBroken)


@final
@checked
class TenureAgent(AgentExecutor):
    """Hands messages to the runtimes of one kind, and reports to A2A what becomes of them.

    The payload of an input is the message as JSON (`MessageToDict`), without the ids of context and task. What the behaviour
    returns is the task's artifact: a text as a text part, another value as a data part, and None is none. What it rejects
    (`Run.reject`) is a rejected task, with its words; clients do not hear what it fails for. A result that is nested more
    deeply than the protocol holds (about 30 objects), or too large to be stored with its task, is a failed task.
    Serve it by `open_handler`: another handler answers a further message to a task that works before it is on disk.
    """

    def __init__(
        self, supervisor: tenure.asyncio.Supervisor, *, kind: str, owner_resolver: OwnerResolver = resolve_user_scope
    ) -> None:
        """Nothing is read or written yet.

        Args:
            supervisor: Which host; one on the same file may execute the runs.
            kind: The behaviour that answers. A context that is new gets a runtime of it.
            owner_resolver: Whose a call is: contexts of two owners are two runtimes, whatever their ids.

        Raises:
            InvalidInput: One of them is none.
        """
        check_value(supervisor, tenure.asyncio.Supervisor, "supervisor")
        check_value(kind, str, "kind")
        check_value(owner_resolver, OwnerResolver, "owner_resolver")
        self._supervisor = supervisor
        self._kind = kind
        self._owner = owner_resolver
        self._cancelled: dict[str, bool] = {}

    def runtime_id(self, context_id: str, context: ServerCallContext) -> str:
        """The runtime that a context of the caller's is."""
        owner = part(self._owner(context), "owner", _PART_LIMIT)
        return f"a2a:{owner}:{part(context_id, 'context_id', _PART_LIMIT)}"

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Accept a message, report its task when it is on disk, and its end when that has come.

        Raises:
            InvalidParamsError: The message cannot be an input, or its id was another message's in this context.
        """
        message, task_id, context_id = _asked(context)
        task = context.current_task or Task(id=task_id, context_id=context_id, history=[message])
        if not self._has_room(task, context.call_context):
            raise InvalidParamsError(message="the message is too large to be stored as a task")
        payload = MessageToDict(message)
        for name in ("taskId", "contextId"):
            payload.pop(name, None)
        try:
            ticket = await self._supervisor.accept(
                self.runtime_id(context_id, context.call_context),
                payload,
                kind=self._kind,
                idempotency_key=message.message_id,
            )
        except _REFUSED as error:
            raise InvalidParamsError(message=str(error)) from error
        updater = TaskUpdater(event_queue, task_id, context_id)
        if context.current_task is None:
            task.status.state = TaskState.TASK_STATE_SUBMITTED
            task.status.timestamp.GetCurrentTime()
            await event_queue.enqueue_event(task)
        await updater.start_work()
        self._cancelled[task_id] = False
        try:
            outcome = await ticket.wait_outcome()
            if not self._cancelled[task_id]:
                await self._tell(updater, task, ticket.input_id, outcome, context.call_context)
        except _CLOSING:
            return  # the task stays as it is: the next host goes on with the run, and with this
        finally:
            del self._cancelled[task_id]

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Cancel the run that answers a task, or its message where that still waits, and report how it ended.

        Raises:
            TaskNotCancelableError: Its runtime has never had a message of it.
        """
        task = context.current_task
        asked = None if task is None else last_message(task)
        if task is None or asked is None:
            raise TaskNotCancelableError
        runtime_id = self.runtime_id(task.context_id, context.call_context)
        try:
            ticket = await self._supervisor.ticket(runtime_id, idempotency_key=asked.message_id)
            runtime = await self._supervisor.find(runtime_id)
        except NotFound as error:
            raise TaskNotCancelableError from error
        if task.id in self._cancelled:
            self._cancelled[task.id] = True
        await runtime.cancel(ticket.input_id, in_run=True)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await self._tell(updater, task, ticket.input_id, await ticket.wait_outcome(), context.call_context)

    # Inside

    def _has_room(self, task: Task, context: ServerCallContext) -> bool:
        return has_room(self._owner(context), task, self._supervisor.store.limits.payload_bytes)

    async def _tell(
        self, updater: TaskUpdater, task: Task, input_id: str, outcome: Outcome, context: ServerCallContext
    ) -> None:
        """The last events of a task, as it is before them."""
        if outcome.phase is InputPhase.CONSUMED and outcome.receipt is None:
            await _fail(updater, "its result is not kept any more")
        elif outcome.phase in {InputPhase.CONSUMED, InputPhase.COALESCED}:
            try:
                artifacts = _artifacts(outcome, input_id)
            except (DecodeError, InvalidInput, ParseError):
                await _fail(updater, "its result is nested too deeply for A2A")
                return
            ended = Task(artifacts=artifacts)
            ended.MergeFrom(task)
            if not self._has_room(ended, context):
                await _fail(updater, "its result is too large to be stored with its task")
                return
            for artifact in artifacts:
                await updater.add_artifact(list(artifact.parts), artifact_id=artifact.artifact_id)
            await updater.complete()
        elif outcome.phase is InputPhase.SUPERSEDED or outcome.reason == AbandonReason.CANCELLED:
            await updater.cancel()
        elif outcome.reason == AbandonReason.REJECTED:  # in the behaviour's own words
            await updater.reject(new_text_message(outcome.error or AbandonReason.REJECTED))
        else:  # what went wrong is for the operators of the agent: `tenure why`
            await _fail(updater, str(outcome.reason))


def last_message(task: Task) -> Message | None:
    """The last message that a client has sent to a task; None where it has none."""
    said = [message for message in task.history if message.role == Role.ROLE_USER]
    return said[-1] if said else None


def _asked(context: RequestContext) -> tuple[Message, str, str]:
    if context.message is None or context.task_id is None or context.context_id is None:
        raise InvalidParamsError(message="a request has a message, a task and a context")
    return context.message, context.task_id, context.context_id


def _artifacts(outcome: Outcome, input_id: str) -> list[Artifact]:
    """What a behaviour has returned. Raises what the protocol does, or `InvalidInput`, where it cannot be said there."""
    result = outcome.result
    if result is None:
        return []
    part = new_text_part(result) if isinstance(result, str) else new_data_part(result)
    # The same end, reported again by another host, is the same artifact.
    artifacts = [Artifact(artifact_id=input_id, parts=[part])]
    check_listed(Task(artifacts=artifacts))
    return artifacts


async def _fail(updater: TaskUpdater, why: str) -> None:
    await updater.failed(new_text_message(f"the agent could not answer: {why}"))
