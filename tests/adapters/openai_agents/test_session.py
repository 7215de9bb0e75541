"""`TenureSession`: what it promises beyond the framework's own suite."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from agents import Agent, Runner
from agents.memory import OpenAIResponsesCompactionSession, Session
from agents.testing import ScriptedModel
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

import tenure.asyncio
from tenure import FullGraph, RuntimeCommit, SessionNodeRecord
from tenure.adapters.openai_agents import TenureSession
from tenure.errors import Closed, Corrupt, InvalidInput
from tests.kit.processes import running

WRITER = Path(__file__).with_name("session_writer.py")
ROOT = Path(__file__).parents[3]


def user(text: Any) -> Any:
    return {"role": "user", "content": text}


def texts(items: list[Any]) -> list[Any]:
    return [item["content"] for item in items]


def said(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
    return ResponseOutputMessage(id="1", type="message", role="assistant", content=[content], status="completed")


def run(main: Callable[[tenure.asyncio.Store], Coroutine[Any, Any, None]], path: Path) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), tenure.asyncio.open_store(path / "agents.db") as store:
            await main(store)

    asyncio.run(bounded())


def test_a_runner_finds_its_conversation_again_in_another_process(tmp_path: Path) -> None:
    async def turn(store: tenure.asyncio.Store, text: str) -> ScriptedModel:
        model = ScriptedModel(steps=[[said(f"answer to {text}")]])
        session = TenureSession("alice", store)
        assert isinstance(session, Session)
        await Runner.run(Agent(name="agent", model=model), text, session=session)
        return model

    async def first(store: tenure.asyncio.Store) -> None:
        await turn(store, "one")

    async def second(store: tenure.asyncio.Store) -> None:
        model = await turn(store, "two")
        assert [item["role"] for item in model.calls[0].input] == ["user", "assistant", "user"]
        assert await TenureSession("bob", store).get_items() == []

    run(first, tmp_path)
    run(second, tmp_path)


def test_appends_from_two_stores_and_many_tasks_all_land_whole(tmp_path: Path) -> None:
    async def main(one: tenure.asyncio.Store) -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as other:
            sessions = [TenureSession("alice", store) for store in (one, one, other)]
            await asyncio.gather(
                *(sessions[at % 3].add_items([user(f"{at}.{part}") for part in range(3)]) for at in range(24))
            )
            found = texts(await sessions[0].get_items())
            assert sorted(found) == sorted(f"{at}.{part}" for at in range(24) for part in range(3))
            assert all(found[at].endswith(".0") and found[at + 2] == f"{found[at][:-2]}.2" for at in range(0, 72, 3))
            popped = await asyncio.gather(*(sessions[at % 3].pop_item() for at in range(80)))
            assert sorted(texts([item for item in popped if item is not None])) == sorted(found)
            assert popped.count(None) == 8

    run(main, tmp_path)


def test_what_cannot_be_stored_is_refused_and_nothing_of_it_is_there(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        session = TenureSession("alice", store)
        await session.add_items([user("kept")])
        for bad in (object(), {1, 2}, b"bytes"):
            with pytest.raises(InvalidInput):
                await session.add_items([user("lost"), user(bad)])
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(InvalidInput):
            await session.add_items([user(deep)])
        odd = user("\ud800 \x00 'quoted' 😀")
        await session.add_items([odd])
        assert await session.get_items() == [user("kept"), odd]

    run(main, tmp_path)


def test_a_session_of_something_else_is_left_alone(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        node = SessionNodeRecord(node_id="a", payload=b"theirs")
        await store.sessions.commit_runtime_state(
            RuntimeCommit(session_id="theirs", expected_head_revision=0, nodes=(node,))
        )
        session = TenureSession("theirs", store)
        for verb in (session.get_items, session.pop_item, session.clear_session, lambda: session.add_items([user(1)])):
            with pytest.raises(InvalidInput, match="something else"):
                await verb()
        node = SessionNodeRecord(node_id="a", kind="openai-agents.item", payload=b"{", parent_node_id=None)
        await store.sessions.commit_runtime_state(
            RuntimeCommit(session_id="broken", expected_head_revision=0, nodes=(node,))
        )
        with pytest.raises(Corrupt):
            await TenureSession("broken", store).get_items()

    run(main, tmp_path)


def test_clearing_deletes_what_was_said_from_the_store(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        session = TenureSession("alice", store)
        await session.clear_session()
        assert await store.sessions.load_session("alice", FullGraph()) is None
        await session.add_items([user(at) for at in range(5)])
        assert await session.pop_item() == user(4)
        await session.clear_session()
        await session.clear_session()
        found = await store.sessions.load_session("alice", FullGraph())
        assert found is not None
        assert [node.kind for node in found.graph.nodes] == ["openai-agents"]
        assert await session.pop_item() is None
        await TenureSession("alice", store).add_items([user("again")])
        assert texts(await session.get_items()) == ["again"]

    run(main, tmp_path)


@pytest.mark.parametrize("moved", [False, True])
def test_compaction_is_one_commit_on_the_history_that_it_read(tmp_path: Path, moved: bool) -> None:  # noqa: FBT001
    async def main(store: tenure.asyncio.Store) -> None:
        session = TenureSession("alice", store)
        await session.add_items([user(at) for at in range(6)])
        summary: Any = {"type": "compaction", "id": "c", "encrypted_content": "short"}
        revisions: list[int] = []

        async def revision() -> int:
            read = await store.sessions.load_session("alice", FullGraph())
            assert read is not None
            return read.head_revision

        async def compact(**_: Any) -> Any:
            if moved:
                await TenureSession("alice", store).add_items([user("meanwhile")])
            revisions.append(await revision())
            return SimpleNamespace(output=[summary])

        client = MagicMock()
        client.responses.compact = AsyncMock(side_effect=compact)
        compacted = OpenAIResponsesCompactionSession(
            "alice", session, client=client, compaction_mode="input", should_trigger_compaction=lambda _: True
        )
        model = ScriptedModel(steps=[[said("done")]])
        await Runner.run(Agent(name="agent", model=model), "go on", session=compacted)

        client.responses.compact.assert_awaited_once()
        revisions.append(await revision())
        found = await session.get_items()
        if moved:
            assert texts(found[:6] + found[-1:]) == [*range(6), "meanwhile"]
        else:
            assert found == [summary]
            assert revisions[1] == revisions[0] + 1
            read = await store.sessions.load_session("alice", FullGraph())
            assert read is not None
            assert len(read.graph.nodes) == 2

    run(main, tmp_path)


def test_a_cancelled_append_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        session = TenureSession("alice", store)
        landed = 0
        for at in range(40):
            task = asyncio.ensure_future(session.add_items([user(at), user(at)]))
            for _ in range(at % 8):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            landed += not task.cancelled()
        found = texts(await session.get_items())
        assert found[::2] == found[1::2] == sorted(set(found))
        assert len(found) >= 2 * landed

    run(main, tmp_path)


def test_a_closed_store_answers_nothing(tmp_path: Path) -> None:
    kept: list[TenureSession] = []

    async def main(store: tenure.asyncio.Store) -> None:
        kept.append(TenureSession("alice", store))

    run(main, tmp_path)
    with pytest.raises(Closed):
        asyncio.run(kept[0].get_items())
    with pytest.raises(Closed):
        asyncio.run(kept[0].add_items([user("late")]))


@pytest.mark.slow
@pytest.mark.process
def test_what_was_acknowledged_outlives_a_killed_process(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    for _ in range(2):
        with running(
            [sys.executable, WRITER, tmp_path / "agents.db"], env=os.environ | {"PYTHONPATH": str(ROOT)}
        ) as child:
            assert child.stdout is not None
            acknowledged.extend(json.loads(child.stdout.readline()) for _ in range(5))
            child.send_signal(signal.SIGKILL)

    async def main(store: tenure.asyncio.Store) -> None:
        found = texts(await TenureSession("alice", store).get_items())
        assert found == [at for at in range(len(found) // 2) for _ in range(2)]
        assert acknowledged == sorted(set(acknowledged))
        assert set(acknowledged) <= set(found)

    run(main, tmp_path)


def test_ids_of_items_rise_in_the_order_of_one_object_and_are_those_of_no_other(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        one, other = TenureSession("talk", store), TenureSession("talk", store)
        for turn in range(20):
            await one.add_items([user(f"{turn}a"), user(f"{turn}b")])
        mine = [node.node_id for node in await nodes(store)][1:]  # without the root
        await other.add_items([user("another's")])
        assert mine == sorted(set(mine))
        assert (await nodes(store))[-1].node_id[:32] != mine[-1][:32]

    async def nodes(store: tenure.asyncio.Store) -> tuple[SessionNodeRecord, ...]:
        found = await store.sessions.load_session("talk", FullGraph())
        assert found is not None
        return found.graph.nodes

    run(main, tmp_path)
