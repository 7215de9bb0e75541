"""Outputs that are longer than a page, and pages without anything that a reader wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.persistence.facets.output import reads
from tests.kit.hosting import consumed, host

KIB = 1024


async def test_chunks_of_any_sizes_are_followed_to_their_end(database: Path, autojump_clock: MockClock) -> None:
    words = ["x" * 200 * KIB] * 9

    async def speak(run: tenure.Run) -> None:
        for count in (4, 2, 1, 2):  # 800, 400, 200 and 400 KiB: two of them are more than a read gives
            for word in words[:count]:
                await run.emit(word)
            await run.flush()

    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("go")
        await ticket.wait_outcome()
        with trio.fail_after(1):
            entries = [entry async for entry in alice.follow(ticket=ticket)]
            of_all = supervisor.follow()
            assert [await anext(of_all) for _ in entries] == entries
            for place, entry in enumerate(entries):
                assert [each async for each in alice.follow(entry.position, ticket=ticket)] == entries[place + 1 :]
    assert [entry.value for entry in entries if entry.kind == "data"] == words


@pytest.mark.parametrize("terms", [{"channel": "other"}, {}], ids=["a channel", "no events"])
async def test_pages_without_anything_that_is_wanted_are_passed_without_a_wait(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, terms: dict[str, Any]
) -> None:
    monkeypatch.setattr(reads, "PAGE_CHUNKS", 4)

    async def speak(run: tenure.Run) -> None:
        if run.inputs[0].payload == "last":
            await run.emit("last", channel="other")
        elif terms:
            for number in range(30):
                await run.emit(number)
                await run.flush()

    async with host(database, {"kind": tenure.Behaviour(speak, events=True)}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        for payload in (*range(10), "last"):
            await consumed(alice, payload)
        reader = alice.follow(**terms)
        began = trio.current_time()
        while (entry := await anext(reader)).value != "last":
            assert entry.kind != "data"
        assert trio.current_time() == began
