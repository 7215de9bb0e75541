"""`TenureTasks`: the tasks extension of MCP, whose tasks are inputs of runtimes.

Theory of operation. A call of a tool is a new runtime with one input, which is on disk before the client hears the id of
its task. The id is part of that of the runtime, and has the time at which it was made, so nothing else is stored: what a task
is can be read from the input, its outcome and the runtime's own state, by every server on the file and after every crash.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, cast, final

import attrs
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import principal_components
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ToolBinding
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ErrorData,
    InputRequiredResult,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

import tenure.asyncio
from tenure.adapters.checking import check_value
from tenure.adapters.keys import part
from tenure.errors import IdempotencyConflict, InvalidInput, NotFound, PayloadTooLarge, RuntimeDestroyed

from .behaviours import ASKED, CALL, answer_key
from .wire import Asking, created_ms, describe, ended, is_kept, new_task_id, result_of

IDENTIFIER: Final = "io.modelcontextprotocol/tasks"
_OWNER_LIMIT: Final = 90
_REFUSED: Final = (InvalidInput, PayloadTooLarge)
"""What is wrong with a call, and not with us."""

_MADE: ContextVar[list[Any] | None] = ContextVar("_MADE", default=None)
"""Where the tool's function leaves the payload of the input, in the call of `intercept_tool_call`."""

Context = ServerRequestContext[Any, Any]
OwnerResolver = Callable[[Context], str]


class _TaskParams(RequestParams):
    task_id: str = Field(alias="taskId")


class _UpdateParams(_TaskParams):
    input_responses: dict[str, dict[str, Any]] = Field(alias="inputResponses")


def resolve_principal(_context: Context) -> str:
    """Whose a request is: the principal of its access token, or "" without one."""
    token = get_access_token()
    return "" if token is None else repr(principal_components(token))


@attrs.frozen
class TaskTool:
    """A tool whose calls are tasks.

    Attributes:
        function: Made into a tool as by ``MCPServer.tool``: its signature is the schema, its docstring the description. What it
            returns is the payload of the input, a JSON value. An `InputRequiredResult` goes to the client instead.
        kind: The behaviour that executes a call; see `tool_behaviour`.
        name: Names the tool; the function's name where it is None.
        required: Whether clients that do not know of tasks are refused. For them a call waits for its end otherwise.
    """

    function: Callable[..., Any]
    kind: str = attrs.field(kw_only=True)
    name: str | None = attrs.field(kw_only=True, default=None)
    required: bool = attrs.field(kw_only=True, default=False)

    def __attrs_post_init__(self) -> None:
        """Raise `InvalidInput` for what is not a tool."""
        check_value(self.function, Callable[..., Any], "function")
        check_value(self.kind, str, "kind")
        check_value(self.name, str | None, "name")
        check_value(self.required, bool, "required")


@final
class TenureTasks(Extension):
    """Serves tasks: `tools/call` of its tools, `tasks/get`, `tasks/update` and `tasks/cancel`.

    The protocol as of 2026-07-28. Errors of clients are those of the protocol; those of `tenure.errors` are its internal error.
    """

    identifier = IDENTIFIER

    def __init__(
        self,
        supervisor: tenure.asyncio.Supervisor,
        tools: Sequence[TaskTool],
        *,
        owner_resolver: OwnerResolver = resolve_principal,
        poll_interval_ms: int = 1000,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            supervisor: Which host; one on the same file may execute the runs.
            tools: What it serves.
            owner_resolver: Whose a request is: a task is its owner's alone.
            poll_interval_ms: Milliseconds that clients shall wait between two looks at a task.

        Raises:
            InvalidInput: Two tools have one name, the interval is not a whole number above 0, or an argument is none.
        """
        check_value(supervisor, tenure.asyncio.Supervisor, "supervisor")
        check_value(tools, Sequence[TaskTool], "tools")
        check_value(owner_resolver, OwnerResolver, "owner_resolver")
        self._tools = {tool.name or tool.function.__name__: tool for tool in tools}
        if len(self._tools) != len(tools):
            raise InvalidInput(detail="two tools have one name", field="tools")
        if type(poll_interval_ms) is not int or poll_interval_ms < 1:
            raise InvalidInput(detail="it is a whole number of milliseconds above 0", field="poll_interval_ms")
        self._supervisor = supervisor
        self._owner = owner_resolver
        self._poll_interval_ms = poll_interval_ms

    def tools(self) -> Sequence[ToolBinding]:
        """The tools, as the server lists them."""
        return [
            ToolBinding(fn=_leaving(tool.function), kwargs={"name": name, "structured_output": False})
            for name, tool in self._tools.items()
        ]

    def methods(self) -> Sequence[MethodBinding]:
        """What is served besides `tools/call`."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", _TaskParams, self._get, versions),
            MethodBinding("tasks/update", _UpdateParams, self._update, versions),
            MethodBinding("tasks/cancel", _TaskParams, self._cancel, versions),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Context, call_next: CallNext
    ) -> HandlerResult:
        """Accept a call of one of the tools, and answer with its task when it is on disk."""
        tool = self._tools.get(params.name)
        if tool is None:
            return await call_next(ctx)
        if tool.required:
            require_client_extension(ctx, IDENTIFIER)
        made: list[Any] = []
        token = _MADE.set(made)
        try:
            result = await call_next(ctx)
        finally:
            _MADE.reset(token)
        if not made:
            return result  # the arguments do not fit, or it asks for more
        created = time.time_ns() // 1_000_000
        task_id = new_task_id(created)
        try:
            ticket = await self._supervisor.accept(
                self._runtime_id(task_id, ctx), made[0], kind=tool.kind, idempotency_key=CALL
            )
        except _REFUSED as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from error
        if _knows_of_tasks(ctx):
            return {"resultType": "task", **describe(task_id, created, self._poll_interval_ms, "working")}
        done = result_of(await ticket.wait_outcome())
        if isinstance(done, ErrorData):
            raise MCPError.from_error_data(done)
        return done

    # Inside

    def _runtime_id(self, task_id: str, ctx: Context) -> str:
        return f"mcp:{part(self._owner(ctx), 'owner', _OWNER_LIMIT)}:{task_id}"

    async def _find(self, params: _TaskParams, ctx: Context) -> tuple[int, tenure.asyncio.Ticket]:
        """When a task of the caller's was made, and its ticket."""
        require_client_extension(ctx, IDENTIFIER)
        _check_name(params.task_id, ctx)
        created = created_ms(params.task_id)
        if created is None:
            raise _unknown(params.task_id)
        try:
            return created, await self._supervisor.ticket(self._runtime_id(params.task_id, ctx), idempotency_key=CALL)
        except (NotFound, RuntimeDestroyed) as error:
            raise _unknown(params.task_id) from error

    async def _get(self, ctx: Context, params: _TaskParams) -> HandlerResult:
        created, ticket = await self._find(params, ctx)
        if ticket.outcome is not None:
            if not is_kept(ticket.outcome):
                raise _unknown(params.task_id)
            status, inlined = ended(ticket.outcome)
            receipt = ticket.outcome.receipt
            updated = None if receipt is None else receipt.committed_at
        else:
            asking = await self._asking(ticket.runtime_id)
            status = "working" if asking is None else "input_required"
            inlined = {} if asking is None else {"inputRequests": asking.requests}
            updated = None if asking is None else asking.at
        return describe(params.task_id, created, self._poll_interval_ms, status, updated) | inlined

    async def _update(self, ctx: Context, params: _UpdateParams) -> HandlerResult:
        _, ticket = await self._find(params, ctx)
        asking = await self._asking(ticket.runtime_id) if ticket.outcome is None else None
        for key, response in params.input_responses.items():
            if asking is None or key not in asking.requests:
                continue  # as the protocol wants it: what was not asked, or is answered, is ignored
            try:
                await self._supervisor.accept(
                    ticket.runtime_id,
                    {"key": key, "response": response},
                    lane="steer",
                    idempotency_key=answer_key(key),
                    correlation_id=asking.round,
                )
            except IdempotencyConflict:
                continue  # another answer was first
            except _REFUSED as error:
                raise MCPError(code=INVALID_PARAMS, message=str(error)) from error
        return {}

    async def _cancel(self, ctx: Context, params: _TaskParams) -> HandlerResult:
        _, ticket = await self._find(params, ctx)
        if ticket.outcome is None:
            runtime = await self._supervisor.find(ticket.runtime_id)
            await runtime.cancel(ticket.input_id, in_run=True)
        return {}

    async def _asking(self, runtime_id: str) -> Asking | None:
        """What the run of a task waits for from its client."""
        state = await self._supervisor.execution_state(runtime_id)
        for name, value in state.values.items():
            if name.startswith(ASKED):
                asked = cast("dict[str, Any]", value)
                open_requests = {
                    key: said for key, said in asked["requests"] if not await self._is_answered(runtime_id, key)
                }
                if open_requests:
                    return Asking(at=asked["at"], round=asked["round"], requests=open_requests)
        return None

    async def _is_answered(self, runtime_id: str, key: str) -> bool:
        try:
            await self._supervisor.ticket(runtime_id, idempotency_key=answer_key(key))
        except NotFound:
            return False
        return True


def _leaving(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as the server calls it: it leaves what it made with the call."""

    @wraps(function)
    async def leave(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        payload = await made if inspect.isawaitable(made) else made
        if isinstance(payload, InputRequiredResult):
            return payload
        place = _MADE.get()
        if place is None:
            message = "a tool that is a task is called by a request"
            raise ToolError(message)
        place.append(payload)
        return CallToolResult(content=[])

    return leave


def _knows_of_tasks(ctx: Context) -> bool:
    capabilities = ctx.session.client_capabilities
    declared = capabilities.extensions if capabilities else None
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and bool(declared) and IDENTIFIER in (declared or ())


def _check_name(task_id: str, ctx: Context) -> None:
    """The routing header of a request over HTTP names its task, where it is there."""
    headers = getattr(ctx.request, "headers", None)
    name = None if headers is None else headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(code=HEADER_MISMATCH, message="Mcp-Name is not the id of the task")


def _unknown(task_id: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=f"there is no task {task_id}")
