"""What executes a call of a tool: `tool_behaviour`, and `ask_client` for what it has to ask the client meanwhile.

Theory of operation. What a run asks stands in the runtime's own state, on disk before the client can see it, under keys that
are the run's own and never come again. An answer is an input that steers the run, with the key in its idempotency key: what has
such an input is answered, whether or not the run has heard of it yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, Final

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CreateMessageRequest, ElicitRequest, ListRootsRequest

import tenure
import tenure.asyncio
from tenure.adapters.checking import checked
from tenure.errors import InvalidInput, RunEnded

from .wire import dump, failure, result_for

CALL: Final = "call"
"""The idempotency key of the input that a call is."""

ASKED: Final = "mcp.asked"
"""What the names in a runtime's own state begin with under which stands what its run asks the client, by round."""

InputRequest = ElicitRequest | CreateMessageRequest | ListRootsRequest


def answer_key(key: str) -> str:
    """The idempotency key of the input that answers what was asked under a key."""
    return f"answer:{key}"


@checked
def tool_behaviour(
    function: Callable[[tenure.asyncio.Run, Any], Coroutine[Any, Any, Any]],
) -> Callable[[tenure.Run], Awaitable[Any]]:
    """Make a behaviour of a function of a run and of what the tool's function has made of the call.

    What it returns is the result of the tool: a `CallToolResult`, or a text as text, an object as structured content, another
    JSON value as its text. A `ToolError` that it raises is a result with ``isError``, in its words. After any other exception
    the run is tried again as the host has it, and then the task has failed; clients do not hear why.
    """

    @wraps(function)
    async def enter(run: tenure.asyncio.Run) -> Any:
        call = next((entry for entry in run.inputs if entry.idempotency_key == CALL), None)
        if call is None:
            return None  # an answer that came when its task had just ended
        try:
            return dump(result_for(await function(run, call.payload)))
        except ToolError as error:
            return dump(failure(str(error)))

    return tenure.asyncio.behaviour(enter)


@checked
async def ask_client(run: tenure.asyncio.Run, requests: Mapping[str, InputRequest]) -> dict[str, Any]:
    """Ask the client of a task, wait durably until it has answered all, and return the answers by the names of the requests.

    An answer is a JSON object as the client sent it: look into it before you believe it. A client that does not know of tasks
    cannot be asked: the tools of those who ask are `TaskTool(required=True)`. A call that is cancelled, by a timeout say,
    asks no more from the run's next commit on. One call at a time asks: of two at once the later is refused.

    Raises:
        InvalidInput: There is nothing to ask, a request is none, or another call asks.
        ToolError: The runtime retires, and no answer can come any more.
    """
    if not requests:
        raise InvalidInput(detail="there is nothing to ask", field="requests")
    names = {str(run.uuid()): name for name in requests}
    around = next(iter(names))
    # Pairs, for the fields of a stored object come back in the order of their names.
    asked = [
        [key, requests[name].model_dump(by_alias=True, mode="json", exclude_none=True)] for key, name in names.items()
    ]
    run.state.set(place := f"{ASKED}.{around}", {"round": around, "at": run.now().timestamp(), "requests": asked})
    answers: dict[str, Any] = {}
    try:
        await run.checkpoint()
        while len(answers) < len(names):
            joined = await run.wait_steered(correlation_id=around)
            if not joined:
                message = "the server takes no answers any more"
                raise ToolError(message)
            for entry in joined:
                said: Any = entry.payload
                answers[names[said["key"]]] = said["response"]
    finally:  # a behaviour that gives up, by a timeout say, waits for its client no more
        with suppress(RunEnded):
            run.state.delete(place)
    return answers
