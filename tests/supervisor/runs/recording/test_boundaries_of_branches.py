"""Boundaries of `gather`, `map` and `first`: what stood before lands with them; in a branch, what it sent with what it asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tests.kit.hosting import cut_off, forever, host, peek

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


async def hear(run: tenure.Run) -> None:
    for each in run.inputs:
        run.session.append(each.payload)


async def double(run: tenure.Run) -> int:
    doubled: int = run.inputs[0].payload * 2
    return doubled


async def outcome_of(runtime: tenure.Runtime, payload: Any) -> tenure.Outcome:
    return await (await runtime.accept(payload)).wait_outcome()


def plain(value: int) -> int:
    return value


async def gather(run: tenure.Run, side: Callable[[], Awaitable[Any]]) -> None:
    await run.gather(side, side)


async def first(run: tenure.Run, side: Callable[[], Awaitable[Any]]) -> None:
    await run.first(side, side)


async def over_items(run: tenure.Run, side: Callable[[], Awaitable[Any]]) -> None:
    async def of_item(_item: int) -> None:
        await side()

    await run.map("side", of_item, [1, 2], repeat="freely")


@pytest.mark.parametrize("beside", [gather, first, over_items], ids=["gather", "first", "map"])
async def test_what_stood_before_lands_before_a_branch_begins(
    target: Path | str,
    autojump_clock: trio.testing.MockClock,
    beside: Callable[[tenure.Run, Callable[[], Awaitable[Any]]], Awaitable[None]],
) -> None:
    async def lead(run: tenure.Run) -> None:
        run.session.append("before")
        run.send("bob", "sent")
        run.state.set("seen", 1)
        run.answer(run.inputs[0], "early")
        await beside(run, trio.sleep_forever)

    async with host(target, {"lead": lead, "hear": hear}) as supervisor:
        await supervisor.spawn("bob", "hear")
        alice = await supervisor.spawn("alice", "lead")

        assert (await outcome_of(alice, "go")).result == "early"
        await trio.sleep(1)
        assert await supervisor.read_session("alice") == ["before"]
        assert await supervisor.read_session("bob") == ["sent"]
        assert (await supervisor.execution_state("alice")).values == {"seen": 1}
        await alice.stop()


@pytest.mark.parametrize("attempts", [0, 2], ids=["at once", "after two failures"])
async def test_what_a_branch_sent_lands_with_what_it_asks_and_spawns_once(
    target: Path | str, autojump_clock: trio.testing.MockClock, attempts: int
) -> None:
    async def side(run: tenure.Run, name: str) -> Any:
        run.send("bob", f"{name} asks")
        answer = await run.ask("carol", 2, "double")
        run.send("bob", f"{name} spawns")
        await run.spawn(f"{name}'s", "double")
        run.send("bob", f"{name} forks")
        await run.gather(partial(run.step, "inner", plain, 1, repeat="freely"))
        run.session.append(name)
        run.send("bob", f"{name} ends")
        return answer

    async def lead(run: tenure.Run) -> Any:
        run.send("bob", "begins")
        found = await run.gather(partial(side, run, "left"), partial(side, run, "right"))
        run.send("bob", "has ended")
        await run.checkpoint()
        if run.attempts < attempts:
            raise ValueError
        return found

    behaviours = {"lead": tenure.Behaviour(lead, restart=QUICK, version="1"), "hear": hear, "double": double}
    async with host(target, behaviours) as supervisor:
        await supervisor.spawn("bob", "hear")
        outcome = await outcome_of(await supervisor.spawn("alice", "lead"), "go")
        await trio.sleep(1)
        heard = await supervisor.read_session("bob")

        assert outcome.result == [4, 4]
        assert await supervisor.read_session("alice") == ["left", "right"]
        assert heard[0] == "begins"
        assert heard[-3:] == ["left ends", "right ends", "has ended"]
        assert len(heard) == len({*heard}) == 10


async def test_a_branch_that_sends_something_else_where_it_enters_again_is_held(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    entered: list[int] = []

    async def lead(run: tenure.Run) -> None:
        async def side() -> None:
            run.send("bob", len(entered))
            await run.ask("carol", 2, "double")

        entered.append(1)
        await run.gather(side)
        raise ValueError

    behaviours = {"lead": tenure.Behaviour(lead, restart=QUICK, version="1"), "hear": hear, "double": double}
    async with host(target, behaviours) as supervisor:
        await supervisor.spawn("bob", "hear")
        alice = await supervisor.spawn("alice", "lead")
        await alice.accept("go")

        assert await alice.wait_held() == "step mismatch"
        assert await supervisor.read_session("bob") == [1]
        await alice.destroy()


async def test_a_message_of_a_branch_that_is_refused_is_sent_again_by_a_retry(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> None:
        async def side() -> None:
            run.send("bob", "sent")
            await run.ask("carol", 2, "double")

        await run.gather(side)

    async with host(target, {"lead": lead, "hear": hear, "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        await outcome_of(alice, "go")
        [refused] = await supervisor.refused_sends("alice")
        await supervisor.spawn("bob", "hear")
        await alice.retry(refused.input_id)
        await trio.sleep(1)

        assert await supervisor.read_session("bob") == ["sent"]


async def test_a_gather_that_a_scope_cuts_off_keeps_its_boundary_over_restarts(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> str:
        run.session.append("before")
        async with run.move_on_after(5):
            await run.gather(partial(run.ask, "bob", "question", "forever"))
        run.session.append("between")
        await run.checkpoint()
        run.session.append("after")
        await run.sleep(50)
        return "done"

    behaviours = {"lead": tenure.Behaviour(lead, version="1"), "forever": forever}

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "lead")).accept("go", idempotency_key="key")
        await trio.sleep(2)

    async def wait(_supervisor: tenure.Supervisor) -> None:
        await trio.sleep(10)

    await cut_off(database, behaviours, begin)
    await cut_off(database, behaviours, wait)
    async with host(database, behaviours) as supervisor:
        ticket = await supervisor.ticket("alice", idempotency_key="key")
        assert (await ticket.wait_outcome()).result == "done"
        assert await supervisor.read_session("alice") == ["before", "between", "after"]
        await supervisor.runtime("bob").stop()

    assert peek(database, "SELECT count(*) FROM inputs WHERE kind = 'peer_request'") == [[1]]
