"""A host of an agent that is killed at one point after the other, and begun again each time.

    python mortal.py FOLDER

The points are before and after everything that an agent asks of the world: requests to its model, and calls of its
tools. The world is a file with a line for each call.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import tenure
import tenure.asyncio
from tenure.adapters.pydantic_ai import TenureCapability, returned, run_agent, step_key
from tests.adapters.mortal import Notes, Points, die_at_every_point


class World:
    """What was called, in a file that no crash takes back; and when to die."""

    def __init__(self, path: Path, points: Points) -> None:
        self._notes = Notes(path)
        self.point = points.point

    def call(self, what: str) -> None:
        self.point()
        self._notes.note(what)
        self.point()

    def calls(self) -> list[str]:
        return self._notes.read()


def agent_in(world: World) -> Agent[None, str]:
    """It books two flights side by side, is told to try one again, and reports."""

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked = sum(message.kind == "response" for message in messages)
        world.call(f"ask {asked}")
        if asked == 0:
            return ModelResponse(parts=[ToolCallPart("book", {"city": city}) for city in ("Oslo", "Rome")])
        if asked == 1:
            return ModelResponse(parts=[ToolCallPart("pay", {"cents": 700}), ToolCallPart("look", {})])
        told = [part.content for each in messages for part in each.parts if isinstance(part, ToolReturnPart)]
        if asked == 2:
            return ModelResponse(parts=[ToolCallPart("look", {})])
        return ModelResponse(parts=[TextPart(" ".join(map(str, told)))])

    async def book(city: str) -> str:
        world.call(f"book {city}")
        return f"booked {city}"

    def pay(cents: int) -> str:
        world.call(f"pay {step_key()}")
        return f"paid {cents}"

    def look(ctx: RunContext[None]) -> str:
        world.call("look")
        if not ctx.retry:
            raise ModelRetry("not yet")
        return "seen"

    agent = Agent(
        FunctionModel(answer), name="clerk", deps_type=type(None), capabilities=[TenureCapability[None]()], retries=3
    )
    agent.tool_plain(metadata={"tenure": {"repeat": "never"}})(book)
    agent.tool_plain(metadata={"tenure": {"repeat": "keyed"}})(pay)
    agent.tool(look)
    return agent


async def live(folder: Path, points: Points) -> str:
    """One life of the host: how the input ended, and what was called."""
    world = World(folder / "world", points)
    agent = agent_in(world)

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        output = (await run_agent(run, agent, run.inputs[0].payload)).output
        await run.checkpoint()
        world.point()
        return output

    async def in_doubt(step: tenure.StepInDoubt) -> Any:
        """As a person would, look into the world whether it ran."""
        tool = step.name.rpartition(":")[2]
        if tool == "look":
            return tenure.DidNotRun()  # looking again does no harm
        (arguments,) = step.arguments
        return (
            returned(f"booked {arguments['city']}")
            if f"book {arguments['city']}" in world.calls()
            else tenure.DidNotRun()
        )

    behaviours = {"clerk": tenure.Behaviour(clerk, in_doubt=in_doubt)}
    async with tenure.asyncio.open_supervisor(folder / "agents.db", behaviours=behaviours) as host:
        ticket = await host.accept("a", "fly", kind="clerk", idempotency_key="one")
        outcome = await ticket.wait_outcome()
        assert outcome.phase == "consumed", outcome
        said = await host.read_session("a")
        asked = [each for each in said if each["kind"] == "response"]
        assert len(said) == 2 * len(asked), said
        return json.dumps({"result": outcome.result, "calls": world.calls()})


if __name__ == "__main__":
    die_at_every_point(live, Path(sys.argv[1]), every=1)
