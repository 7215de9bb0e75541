"""What is wrong is refused before an agent runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

import tenure.asyncio
from tenure.adapters.pydantic_ai import TenureCapability, run_agent, step_key, within
from tenure.errors import InvalidInput
from tests.adapters.sweep import WRONG


def test_what_is_no_run_and_no_agent_is_refused(tmp_path: Path) -> None:
    agent = Agent(TestModel(), name="clerk", capabilities=[TenureCapability()])
    refused: list[int] = []

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        for wrong in WRONG:
            for made in (lambda wrong=wrong: run_agent(wrong, agent), lambda wrong=wrong: run_agent(run, wrong)):
                with pytest.raises(InvalidInput):
                    await made()
            with pytest.raises(InvalidInput), within(wrong):
                pass
            refused.append(1)
        with pytest.raises(InvalidInput, match="message_history"):
            await run_agent(run, agent, "hello", message_history=[])
        return (await run_agent(run, agent, "hello")).output

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"clerk": clerk}) as supervisor:
            outcome = await (await supervisor.accept("a", "x", kind="clerk")).wait_outcome()
            assert outcome.result == "success (no tool calls)"

    asyncio.run(main())
    assert len(refused) == len(WRONG)
    with pytest.raises(InvalidInput):
        step_key()
    wrong: Any
    for wrong in (b"x", 3, {}, {"repeat": "freely", 3: 4}, {"repeat": "sometimes"}, [("repeat", "never")]):
        with pytest.raises(InvalidInput):
            TenureCapability(tools=wrong)
        with pytest.raises(InvalidInput):
            TenureCapability(model=wrong)


def test_a_conversation_of_others_is_not_taken_for_an_agents(tmp_path: Path) -> None:
    agent = Agent(TestModel(), name="clerk", capabilities=[TenureCapability()])

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> None:
        run.session.append({"role": "user", "content": "hello"})
        with pytest.raises(InvalidInput, match="not those of agents"):
            await run_agent(run, agent, "hello")

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"clerk": clerk}) as supervisor:
            outcome = await (await supervisor.accept("a", "x", kind="clerk")).wait_outcome()
            assert outcome.error is None

    asyncio.run(main())
