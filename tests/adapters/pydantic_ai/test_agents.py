"""Agents of Pydantic AI inside runs: scenarios after those that the framework has for its own engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset

import tenure
import tenure.asyncio
from tenure.adapters.pydantic_ai import TenureCapability, returned, run_agent, step_key, within
from tenure.errors import InvalidInput, StepFailed

Turn = Callable[[tenure.asyncio.Run], Coroutine[Any, Any, Any]]


def play(path: Path, turn: Turn, *prompts: object, **terms: Any) -> tuple[list[tenure.Outcome], list[Any]]:
    """Give prompts to a runtime with this behaviour, one after the other: how each ended, and the conversation."""

    async def main() -> tuple[list[tenure.Outcome], list[Any]]:
        behaviours = {"clerk": tenure.Behaviour(tenure.asyncio.behaviour(turn), **terms)}
        async with (
            asyncio.timeout(60),
            tenure.asyncio.open_supervisor(path / "agents.db", behaviours=behaviours) as supervisor,
        ):
            ended = [await (await supervisor.accept("a", each, kind="clerk")).wait_outcome() for each in prompts]
            return ended, await supervisor.read_session("a")

    return asyncio.run(main())


def calls(*names: str) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(name, {}) for name in names])


def once(*answers: ModelResponse) -> FunctionModel:
    """A model that gives these answers: the n-th to a conversation with n answers before it."""

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        return answers[sum(message.kind == "response" for message in messages)]

    return FunctionModel(answer)


def said(text: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)])


def test_the_history_of_an_agent_is_the_session_of_its_runtime(tmp_path: Path) -> None:
    agent = Agent(TestModel(custom_output_text="yes"), name="clerk", capabilities=[TenureCapability()])
    seen: list[int] = []

    async def turn(run: tenure.asyncio.Run) -> str:
        result = await run_agent(run, agent, run.inputs[0].payload)
        seen.append(len(result.all_messages()))
        return result.output

    ended, conversation = play(tmp_path, turn, "one", "two")

    assert [each.result for each in ended] == ["yes", "yes"]
    assert seen == [2, 4]
    assert [message["kind"] for message in conversation] == ["request", "response"] * 2


def test_a_run_may_run_agents_one_after_the_other(tmp_path: Path) -> None:
    agent = Agent(
        once(calls("look"), said("one"), calls("look"), said("two")), name="clerk", capabilities=[TenureCapability()]
    )
    looked: list[int] = []

    @agent.tool_plain
    def look() -> str:
        looked.append(1)
        if len(looked) == 1:
            raise ConnectionError("no eyes")
        return "seen"

    async def turn(run: tenure.asyncio.Run) -> list[str]:
        with pytest.raises(StepFailed, match="no eyes"):  # and asks again, as of the beginning
            await run_agent(run, agent, "go")
        outputs = [(await run_agent(run, agent, "go")).output for _ in range(2)]
        if not run.attempts:
            raise ConnectionError
        return outputs

    ended, conversation = play(tmp_path, turn, 1, restart=tenure.RestartPolicy(max_attempts=2, backoff_s=0))

    assert (ended[0].result, len(looked), len(conversation)) == (["one", "two"], 3, 8)


def test_tools_of_all_kinds_work_side_by_side_and_give_typed_results(tmp_path: Path) -> None:
    class Trip(BaseModel):
        city: str
        days: int

    agent = Agent(
        TestModel(custom_output_args={"city": "Oslo", "days": 2}),
        name="clerk",
        output_type=Trip,
        deps_type=int,
        capabilities=[TenureCapability()],
    )

    @agent.tool
    async def add(ctx: RunContext[int], number: int) -> dict[str, int]:
        return {"sum": ctx.deps + number}

    @agent.tool_plain
    def spell(text: str) -> list[str]:
        return list(text)

    async def turn(run: tenure.asyncio.Run) -> Any:
        result = await run_agent(run, agent, "go", deps=40)
        assert isinstance(result.output, Trip)
        return result.output.model_dump()

    ended, conversation = play(tmp_path, turn, 1)

    assert ended[0].result == {"city": "Oslo", "days": 2}
    parts = [part for message in conversation for part in message["parts"] if part["part_kind"] == "tool-return"]
    assert {part["tool_name"]: part["content"] for part in parts[:2]} == {"add": {"sum": 40}, "spell": ["a"]}


def test_outside_of_a_run_the_agent_is_as_it_was() -> None:
    agent = Agent(TestModel(), name="clerk", capabilities=[TenureCapability()])

    @agent.tool_plain
    def look() -> str:
        with pytest.raises(InvalidInput):
            step_key()
        return "seen"

    assert asyncio.run(agent.run("go")).output == '{"look":"seen"}'


def test_agents_side_by_side_and_inside_tools_are_told_apart(tmp_path: Path) -> None:
    inner = Agent(TestModel(custom_output_text="inner"), name="inner", capabilities=[TenureCapability()])
    agent = Agent(once(calls("ask"), said("done")), name="clerk", capabilities=[TenureCapability()])

    @agent.tool_plain
    async def ask() -> str:
        return (await inner.run("go")).output

    async def turn(run: tenure.asyncio.Run) -> Any:
        with within(run):
            both = await asyncio.gather(agent.run("one"), agent.run("two"), inner.run("three"))
        return [each.output for each in both]

    attempts: list[int] = []

    async def again(run: tenure.asyncio.Run) -> Any:
        found = await turn(run)
        attempts.append(run.attempts)
        if not run.attempts:
            raise ConnectionError
        return found

    ended, _ = play(tmp_path, again, 1, restart=tenure.RestartPolicy(max_attempts=2, backoff_s=0))

    assert (ended[0].result, attempts) == (["done", "done", "inner"], [0, 1])


def test_a_retry_that_a_tool_asks_for_is_recorded_as_what_it_is(tmp_path: Path) -> None:
    agent = Agent(once(calls("look"), calls("look"), said("done")), name="clerk", capabilities=[TenureCapability()])
    looked: list[int] = []

    @agent.tool_plain
    def look() -> str:
        looked.append(1)
        if len(looked) == 1:
            raise ModelRetry("not yet")
        return "seen"

    async def turn(run: tenure.asyncio.Run) -> str:
        output = (await run_agent(run, agent, "go")).output
        # Under a version arguments are compared: the messages are the same in each attempt.
        assert await run.step("count", len, await run.session.messages(), repeat="freely") == 6
        await run.checkpoint()
        if not run.attempts:
            raise ConnectionError
        return output

    terms = {"version": "1", "restart": tenure.RestartPolicy(max_attempts=2, backoff_s=0)}
    ended, conversation = play(tmp_path, turn, 1, **terms)

    assert (ended[0].result, len(looked)) == ("done", 2)
    assert len(conversation) == 6


def test_what_a_model_or_a_tool_raises_fails_its_step(tmp_path: Path) -> None:
    asked: list[int] = []

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked.append(1)
        if len(asked) < 3:
            raise ConnectionError("no network")
        return calls("charge")

    terms = {"repeat": "freely", "attempts": 3, "backoff_s": 0}
    agent = Agent(FunctionModel(answer), name="clerk", capabilities=[TenureCapability(model=terms)])

    @agent.tool_plain
    def charge() -> str:
        raise ZeroDivisionError("no account")

    async def turn(run: tenure.asyncio.Run) -> str:
        with pytest.raises(StepFailed, match="no account"):
            await run_agent(run, agent, "go")
        return "told"

    ended, conversation = play(tmp_path, turn, 1)

    assert (ended[0].result, len(asked), conversation) == ("told", 3, [])


def test_the_metadata_of_a_tool_has_its_own_terms(tmp_path: Path) -> None:
    agent = Agent(once(calls("own", "none", "plain"), said("done")), name="clerk", capabilities=[TenureCapability()])
    keys: list[str] = []
    called: list[str] = []

    @agent.tool_plain(metadata={"tenure": {"repeat": "keyed", "attempts": 2, "backoff_s": 0}})
    def own() -> str:
        keys.append(step_key())
        if len(keys) == 1:
            raise ConnectionError
        return "own"

    @agent.tool_plain(metadata={"tenure": False})
    def none() -> str:
        called.append("none")
        return "none"

    @agent.tool_plain
    def plain() -> str:
        called.append("plain")
        return "plain"

    async def turn(run: tenure.asyncio.Run) -> str:
        output = (await run_agent(run, agent, "go")).output
        if not run.attempts:
            raise ConnectionError
        return output

    ended, _ = play(tmp_path, turn, 1, restart=tenure.RestartPolicy(max_attempts=2, backoff_s=0))

    assert ended[0].result == "done"
    assert sorted(called) == ["none", "none", "plain"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_events_of_models_and_tools_reach_a_handler_once(tmp_path: Path) -> None:
    heard: list[str] = []

    async def handle(_: RunContext[None], events: Any) -> None:
        heard.extend([event.event_kind async for event in events])

    capability = TenureCapability[None](event_stream_handler=handle)
    agent = Agent(TestModel(), name="clerk", deps_type=type(None), capabilities=[capability])

    @agent.tool_plain
    def look() -> str:
        return "seen"

    async def turn(run: tenure.asyncio.Run) -> str:
        output = (await run_agent(run, agent, "go")).output
        if not run.attempts:
            raise ConnectionError
        return output

    ended, _ = play(tmp_path, turn, 1, restart=tenure.RestartPolicy(max_attempts=2, backoff_s=0))

    assert ended[0].result == '{"look":"seen"}'
    assert heard.count("function_tool_call") == heard.count("function_tool_result") == 1
    assert heard.count("final_result") == 1


def test_a_time_limit_goes_on_from_where_it_began(tmp_path: Path) -> None:
    agent = Agent(TestModel(), name="clerk", capabilities=[TenureCapability()])

    async def turn(run: tenure.asyncio.Run) -> str:
        return (await run_agent(run, agent, "go", timeout=3600)).output

    assert play(tmp_path, turn, 1)[0][0].phase == "consumed"


def test_what_no_run_could_know_again_is_refused(tmp_path: Path) -> None:
    agent = Agent(TestModel(), name="clerk", capabilities=[TenureCapability()])

    async def turn(run: tenure.asyncio.Run) -> str:
        with pytest.raises(UserError, match="tenure"):
            await run_agent(run, agent, "go", toolsets=[FunctionToolset([print], id="late")])
        return "told"

    assert play(tmp_path, turn, 1)[0][0].result == "told"
    with pytest.raises(UserError, match="name"):
        Agent(TestModel(), capabilities=[TenureCapability()])
    no_terms: list[Any] = [{}, {"attempts": 2}, "never"]
    for wrong in no_terms:
        with pytest.raises(InvalidInput):
            TenureCapability(tools=wrong)
    with pytest.raises(InvalidInput):
        returned(object())
