"""A conversation that is read: whole, in pages, with bytes that are no JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

import tenure
from tenure.errors import Corrupt, InvalidInput, NotFound
from tests.kit.hosting import EPOCH, consumed, echo, host
from tests.persistence.contracts.damage import execute


@pytest.mark.parametrize("given", [b"\xff\x00", b"[" * 3000 + b"]" * 3000, b"NaN", b'"\\ud800"', b"[1e999]", b""])
async def test_bytes_that_are_no_json_come_back_as_bytes(
    database: Path, autojump_clock: MockClock, given: bytes
) -> None:
    seen: list[list[Any]] = []

    async def behaviour(run: tenure.Run) -> None:
        run.session.append(given)
        run.session.append("text")
        seen.append(await run.session.messages())

    async with host(database, {"kind": behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

        assert seen == [[given, "text"]]
        assert await supervisor.read_session("alice") == [given, "text"]
        assert [node.message for node in await supervisor.read_session("alice", after=0)] == [given, "text"]


async def test_a_page_says_number_time_and_run_of_each_message(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": echo}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        runs = [(await consumed(alice, number)).run_id for number in range(5)]

        page = await supervisor.read_session("alice", after=1, limit=2)

        assert [(node.number, node.message, node.run_id) for node in page] == [(2, 1, runs[1]), (3, 2, runs[2])]
        assert all(node.created_at >= EPOCH for node in page)
        found = await supervisor.store.sessions.load_node(await supervisor.session_id("alice"), page[0].node_id)
        assert found is not None
        assert found.payload == b"1"
        numbers = [node.number for node in await supervisor.read_session("alice", limit=2)]
        numbers += [node.number for node in await supervisor.read_session("alice", after=3)]
        assert numbers == [1, 2, 4, 5]
        assert await supervisor.read_session("alice", after=5) == []
        assert await supervisor.read_session("alice", after=2**70, limit=2**70) == []


@pytest.mark.parametrize(("named", "field"), [({"after": -1}, "after"), ({"limit": 0}, "limit")])
async def test_a_page_that_is_none_is_refused(
    database: Path, autojump_clock: MockClock, named: dict[str, int], field: str
) -> None:
    async with host(database, {"kind": echo}) as supervisor:
        await supervisor.spawn("alice", "kind")

        with pytest.raises(InvalidInput) as caught:
            await supervisor.read_session("alice", **named)  # type: ignore[call-overload]
        assert caught.value.field == field
        with pytest.raises(NotFound):
            await supervisor.read_session("nobody", limit=1)


async def test_a_page_with_a_changed_message_is_corrupt_and_the_others_are_not(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": echo}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        for number in range(4):
            await consumed(alice, number)
        await execute(supervisor.store, "UPDATE nodes SET payload = x'39' WHERE position = 3")
        with pytest.raises(Corrupt):
            await supervisor.read_session("alice", after=2, limit=1)
        assert [node.message for node in await supervisor.read_session("alice", after=3)] == [3]
        assert [node.message for node in await supervisor.read_session("alice", limit=2)] == [0, 1]
