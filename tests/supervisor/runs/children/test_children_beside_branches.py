"""Which children a branch sees: those that were spawned before it, and its own, whatever is spawned beside it."""

from __future__ import annotations

from functools import partial

import trio
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost


async def does_nothing(_: tenure.Run) -> None:
    """Nothing."""


async def test_a_branch_sees_what_was_spawned_before_it_and_its_own(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[list[list[str]]] = []

    async def act(run: tenure.Run) -> None:
        found: list[list[str]] = []

        async def look() -> None:
            found.append([each.runtime_id for each in await run.children()])

        async def spawns() -> None:
            await trio.sleep(0 if run.attempts else 1)
            await run.spawn("beside", "child")
            await run.gather(lambda: run.spawn("deeper", "child"))
            await trio.sleep(0 if run.attempts else 2)
            await look()

        async def looks() -> None:
            await trio.sleep(2)
            await look()
            await run.spawn("own", "child")
            await look()
            await run.gather(look)

        await run.spawn("before", "child")
        await run.gather(spawns, looks)
        await look()
        seen.append(sorted(found))
        await run.checkpoint()
        if not run.attempts:
            raise ConnectionError("of a test")

    async with open_host({"k": act, "child": does_nothing}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"

    (live, again) = seen
    assert live == again
    assert ["before"] in live
    assert live.count(["before", "own"]) == 2
    assert ["before", "beside", "deeper"] in live
    assert ["before", "beside", "deeper", "own"] in live


async def test_a_branch_does_not_see_what_is_spawned_beside_it_at_that_moment(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[list[int]] = []

    async def act(run: tenure.Run) -> None:
        found: list[int] = []

        async def look() -> None:
            found.append(len(await run.children()))

        for number in range(30):
            child = None if number % 2 else f"child-{number}"
            await run.gather(*[partial(run.spawn, child, "child"), *[look] * 4])
        seen.append(found)
        await run.checkpoint()
        if not run.attempts:
            raise ConnectionError("of a test")

    async with open_host({"k": act, "child": does_nothing}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"

    assert seen == [[number for number in range(30) for _ in range(4)]] * 2


async def test_a_child_that_was_there_is_seen_before_it_is_spawned_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[list[list[str]]] = []

    async def act(run: tenure.Run) -> None:
        found: list[list[str]] = []

        async def look() -> None:
            found.append([each.runtime_id for each in await run.children()])

        for child in run.inputs[0].payload:
            await look()
            await run.gather(partial(run.spawn, child, "child"), look)
        await look()
        seen.append(found)
        await run.checkpoint()
        if not run.attempts:
            raise ConnectionError("of a test")

    async with open_host({"k": act, "child": does_nothing}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        for payload in (["one", "two", "one"], ["two", "three", "two"]):
            assert (await (await runtime.accept(payload)).wait_outcome()).phase == "consumed"

    first = [[], [], ["one"], ["one"], ["one", "two"], ["one", "two"], ["one", "two"]]
    second = [["one", "two"]] * 4 + [["one", "two", "three"]] * 3
    assert seen == [first, first, second, second]
