"""A host of an agent that is killed at one point after the other, and begun again each time.

    python mortal.py FOLDER

The points are before and after everything that an agent asks of the world: requests to its model, and calls of its
tools. At each of them one process dies by SIGKILL; the next one, which dies of nothing, brings the input to its end. The
world is a file with a line for each call. Printed is a line of JSON for each point: what was called, and how the input ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import tenure
import tenure.asyncio
from tenure.adapters.pydantic_ai import TenureCapability, returned, run_agent, step_key


class World:
    """What was called, in a file that no crash takes back; and when to die."""

    def __init__(self, path: Path, die_at: int) -> None:
        self._path = path
        self._die_at = die_at
        self._points = 0

    def point(self) -> None:
        self._points += 1
        if self._points == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def call(self, what: str) -> None:
        self.point()
        with self._path.open("a") as file:
            file.write(f"{what}\n")
        self.point()

    def calls(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []


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


async def work(folder: Path, die_at: int) -> str:
    """One life of the host."""
    world = World(folder / "world", die_at)
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
    async with asyncio.timeout(60), tenure.asyncio.open_supervisor(folder / "agents.db", behaviours=behaviours) as host:
        ticket = await host.accept("a", "fly", kind="clerk", idempotency_key="one")
        outcome = await ticket.wait_outcome()
        assert outcome.phase == "consumed", outcome
        said = await host.read_session("a")
        asked = [each for each in said if each["kind"] == "response"]
        assert len(said) == 2 * len(asked), said
        return str(outcome.result)


def live(folder: Path, die_at: int) -> tuple[int, str]:
    """One life in a process of its own, forked from here where everything is imported: its status, and what it printed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            os.write(writing, asyncio.run(work(folder, die_at)).encode())
        except BaseException as exc:  # noqa: BLE001 - the parent shows it
            os.write(writing, repr(exc).encode())
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        printed = told.read()
    return os.waitpid(child, 0)[1], printed


def main(folder: Path) -> None:
    die_at = 0
    while True:
        place = folder / str(die_at)
        place.mkdir()
        status, printed = live(place, die_at)
        died = os.WIFSIGNALED(status)
        if died:
            status, printed = live(place, 0)
        calls = World(place / "world", 0).calls()
        sys.stdout.write(
            json.dumps({"point": die_at, "died": died, "status": status, "said": printed, "calls": calls}) + "\n"
        )
        sys.stdout.flush()
        if die_at and not died:
            return
        die_at += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
