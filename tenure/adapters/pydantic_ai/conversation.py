"""An agent on the conversation of a runtime."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from pydantic_ai.run import AgentRunResult

from tenure.adapters.checking import checked
from tenure.asyncio import Run
from tenure.errors import InvalidInput

from .entering import as_entered, entered

OutputT = TypeVar("OutputT")


@checked
async def run_agent(
    run: Run, agent: AbstractAgent[Any, OutputT], prompt: Any = None, **options: Any
) -> AgentRunResult[OutputT]:
    """Run an agent on the conversation of a runtime: its history is the run's session, and what it adds is appended there.

    The messages land with the next checkpoint of the run, or its end, together with its inputs and all else that it commits.
    Of an agent that raises nothing is appended.

    Args:
        run: The run of the behaviour.
        agent: With a `TenureCapability`; one without is run as it is, and nothing that it does is recorded.
        prompt: What the user says.
        **options: As `Agent.run` takes them, but for ``message_history``.

    Raises:
        InvalidInput: The session has messages that are not those of agents, or an argument is none.
        StepFailed: A model or a tool raised; or whatever else `run.step` and `Agent.run` raise.
    """
    if "message_history" in options:
        raise InvalidInput(
            detail="it is the run's session; `within` is for an agent with another one", field="message_history"
        )
    inside = entered(run)  # before the first await: of several agents side by side the order is that of their calls
    said = await run.session.messages()
    try:
        history = ModelMessagesTypeAdapter.validate_python(said)
    except ValidationError as exc:
        detail = f"the run's session has messages that are not those of agents: {exc}"
        raise InvalidInput(detail=detail, field="session") from exc
    with as_entered(inside):
        result: AgentRunResult[OutputT] = await agent.run(prompt, message_history=history, **options)
    for message in _messages(result.new_messages(), run.now()):
        run.session.append(message)
    return result


def _messages(messages: list[ModelMessage], now: datetime) -> list[dict[str, Any]]:
    """Messages as JSON, the same where the run enters again: of what this side adds, the framework takes the time anew."""
    found = cast("list[dict[str, Any]]", ModelMessagesTypeAdapter.dump_python(messages, mode="json"))
    for message in found:
        if message["kind"] == "request":
            for timed in (message, *message["parts"]):
                if timed.get("timestamp") is not None:
                    timed["timestamp"] = now.isoformat()
    return found
