"""An agent of Pydantic AI is killed inside a tool, and goes on in the next process.

    pip install '.[pydantic-ai]'
    python examples/adapters/pydantic_agent.py

The first process dies by SIGKILL right after its tool has booked a flight and before anybody heard of it. The second one opens
the same store and brings the input to its end. What to look at is how often each thing was called, in both lives together:

- The model was asked "where to?" once: its answer was on disk, and the agent that runs again is given it.
- The flight was booked once. Whether the tool ran before the kill no store can know, so its step is in doubt, and the hook
  `in_doubt` asks the airline. Without a hook the agent would wait for a person (`tenure why`, `tenure resume --ran`).
- The conversation is there once, whole: messages land with the end of the run.

The model is a stand-in, so this runs without a network: put ``"openai:gpt-5"`` or another one of Pydantic AI in its place.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import tenure
import tenure.asyncio
from tenure.adapters.pydantic_ai import TenureCapability, returned, run_agent


class World:
    """What stands outside: an airline, and the bill of the model. A line for each call, which no crash takes back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, what: str) -> None:
        """Somebody was called."""
        with self._path.open("a") as file:
            file.write(f"{what}\n")

    def calls(self) -> list[str]:
        """Every call there was."""
        return self._path.read_text().splitlines() if self._path.exists() else []


def agent_in(world: World, *, dies: bool) -> Agent[None, str]:
    """The agent: nothing in it knows of tenure but its capability."""

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            world.call("model: where to?")
            return ModelResponse(parts=[ToolCallPart("book", {"city": "Oslo"})])
        world.call("model: what to say?")
        return ModelResponse(parts=[TextPart("You fly to Oslo.")])

    agent = Agent(FunctionModel(answer), name="clerk", capabilities=[TenureCapability()])

    @agent.tool_plain
    def book(city: str) -> str:
        """Book a flight."""
        world.call(f"airline: a seat to {city}")
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"seat 7 to {city}"

    return agent


async def host(folder: Path, *, dies: bool) -> None:
    """Serve one message, with a key under which it may be handed over again."""
    world = World(folder / "world")
    agent = agent_in(world, dies=dies)

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        result = await run_agent(run, agent, run.inputs[0].payload)
        return result.output

    async def in_doubt(step: tenure.StepInDoubt) -> tenure.Ran | tenure.DidNotRun:
        """Ask the airline whether it has the seat: nobody else can know."""
        city = step.arguments[0]["city"]
        booked = f"airline: a seat to {city}" in world.calls()
        print(f"in doubt: {step.name} {step.arguments[0]}; the airline says: {'booked' if booked else 'no such seat'}")
        return returned(f"seat 7 to {city}") if booked else tenure.DidNotRun()

    behaviours = {"clerk": tenure.Behaviour(clerk, in_doubt=in_doubt)}
    async with tenure.asyncio.open_supervisor(folder / "agents.db", behaviours=behaviours) as supervisor:
        ticket = await supervisor.accept("alice", "I want to fly", kind="clerk", idempotency_key="mail-1")
        outcome = await ticket.wait_outcome()
        print(f"{outcome.phase}: {outcome.result}")
        for message in await supervisor.read_session("alice"):
            parts = [str(part.get("content") or part.get("args")) for part in message["parts"]]
            print(f"  {message['kind']}: {' '.join(parts)}")


def main(folder: Path) -> None:
    """Two lives of a host: this process starts the first, and is the second."""
    died = subprocess.run([sys.executable, __file__, str(folder), "--dies"], check=False)  # noqa: S603 - this file
    print(f"the first process ended by {signal.Signals(-died.returncode).name}")
    asyncio.run(host(folder, dies=False))
    print("calls, in both lives:")
    for call in World(folder / "world").calls():
        print(f"  {call}")


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="tenure-"))
    if "--dies" in sys.argv:
        asyncio.run(host(place, dies=True))
    else:
        main(place)
