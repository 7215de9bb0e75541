"""What is wrong is refused where tools are made and where a client is asked; a disk without room is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tenure
import tenure.asyncio
from tenure.adapters.mcp import TaskTool, TenureEventStore, TenureTasks, ask_client, tool_behaviour
from tenure.errors import InvalidInput
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tests.adapters.serving import run
from tests.adapters.sweep import WRONG
from tests.kit.faulty_vfs import FULL, FaultyVfs

from .test_events import DONE, Desk, replayed


def work() -> None:
    """Work."""


def refused(made: Callable[[Any], object], *wrong: Any) -> None:
    for each in wrong:
        with pytest.raises(InvalidInput):
            made(each)


def test_a_tool_that_is_none_is_refused_where_it_is_made(tmp_path: Path) -> None:
    refused(lambda wrong: TaskTool(wrong, kind="a"), b"x", None, 3, {})
    refused(lambda wrong: TaskTool(work, kind=wrong), b"x", None, 3, "\ud800")
    refused(lambda wrong: TaskTool(work, kind="a", name=wrong), b"x", 3, "\ud800")
    refused(lambda wrong: TaskTool(work, kind="a", required=wrong), b"x", 3, None, "yes")
    refused(tool_behaviour, b"x", None, 3)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            two = [TaskTool(work, kind="a"), TaskTool(work, kind="b")]
            with pytest.raises(InvalidInput, match="one name"):
                TenureTasks(supervisor, two)
            refused(lambda wrong: TenureTasks(wrong, []), b"x", None, 3)
            refused(lambda wrong: TenureTasks(supervisor, wrong), b"x", None, 3, [work], {"a": 1})
            refused(lambda wrong: TenureTasks(supervisor, [], owner_resolver=wrong), b"x", None, 3)
            refused(lambda wrong: TenureTasks(supervisor, [], poll_interval_ms=wrong), 0, -1, 1.5, True, "1", None)

    asyncio.run(main())


def test_what_is_no_request_is_not_asked(tmp_path: Path) -> None:
    asked: list[int] = []

    @tenure.asyncio.behaviour
    async def asks(run: tenure.asyncio.Run) -> None:
        wrong: Any
        for wrong in (*WRONG, {"a": 3}):
            with pytest.raises(InvalidInput):
                await ask_client(run, wrong)
            with pytest.raises(InvalidInput):
                await ask_client(wrong, {})
            asked.append(1)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"asks": asks}) as supervisor:
            ticket = await supervisor.accept("a", "x", kind="asks")
            assert (await ticket.wait_outcome()).error is None

    asyncio.run(main())
    assert len(asked) == len(WRONG) + 1


def test_an_event_waits_for_room_on_the_disk(tmp_path: Path) -> None:
    vfs = FaultyVfs()
    seams = tenure.Seams(engine=SqliteOptions(vfs=vfs.vfs_name))

    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db", seams=seams) as store:
            desk, events = Desk(), TenureEventStore(store)
            await desk.open(b"a")
            first = await desk.ask(b"a", events.store_event("1", None))
            vfs.fail("xWrite", "-wal", FULL)
            storing = asyncio.create_task(desk.ask(b"a", events.store_event("1", DONE)))
            await asyncio.sleep(0.1)
            assert not storing.done()
            vfs.heal()
            await storing
            assert [event.message for event in await replayed(desk, events, b"a", first)] == [DONE]

    run(main)
