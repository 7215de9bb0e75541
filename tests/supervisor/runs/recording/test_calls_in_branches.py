"""Steps with a call id are of the branch that asks for them: they lose with it, and what is drawn beside them is the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=5, backoff_s=1.0)


class World:
    """Does what it is asked for, and keeps it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def act(self, work: str) -> str:
        self.done.append(work)
        return work

    async def call(self, run: tenure.Run, work: str) -> None:
        await run.step("act", self.act, work, repeat="never", call=work)

    def behaviour(self, act: Any, version: str = "1") -> tenure.Behaviour:
        return tenure.Behaviour(act, version=version, restart=QUICK, replay_s=5.0)


def fail_once(run: tenure.Run) -> None:
    if run.attempts == 0:
        raise ConnectionError("of a test")


async def came_of(supervisor: tenure.Supervisor, ticket: tenure.Ticket) -> str:
    """What came of the run: the phase of its input, or why it is held."""
    found = list[str]()
    runtime = supervisor.runtime("a")

    async def end() -> None:
        found.append(str((await ticket.wait_outcome()).phase))
        nursery.cancel_scope.cancel()

    async def hold() -> None:
        await runtime.wait_held()
        found.append(f"held, {runtime.held_detail}")
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        nursery.start_soon(hold)
    return found[0]


async def consumed(open_host: OpenHost, behaviour: tenure.Behaviour) -> None:
    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert await came_of(supervisor, ticket) == "consumed"


async def cut_off(open_host: OpenHost, behaviour: tenure.Behaviour, after_s: float) -> None:
    """Leave the host in the middle of a run."""
    with trio.CancelScope() as scope:
        async with open_host({"k": behaviour}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
            await trio.sleep(after_s)
            scope.cancel()
            await trio.sleep_forever()


async def test_a_call_of_the_loser_of_a_first_is_passed_over_with_it(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        async def loses() -> None:
            await world.call(run, "looked up")
            await trio.sleep(100)

        async def wins() -> None:
            await trio.sleep(1)
            await world.call(run, "found")

        await run.first(loses, wins)
        await world.call(run, "paid")
        fail_once(run)

    await consumed(open_host, world.behaviour(act))
    assert world.done == ["looked up", "found", "paid"]


async def test_a_call_that_its_branch_has_not_reached_again_is_passed_over_where_another_wins(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world, entered = World(), list[int]()

    async def act(run: tenure.Run) -> None:
        entered.append(1)

        async def asks() -> None:
            await trio.sleep(50 if len(entered) > 1 else 0)
            await world.call(run, "looked up")
            await trio.sleep(100)

        async def wins() -> None:
            await trio.sleep(3)

        await run.first(asks, wins)
        await world.call(run, "paid")

    await cut_off(open_host, world.behaviour(act), 1.5)
    async with open_host({"k": world.behaviour(act)}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert await came_of(supervisor, ticket) == "consumed"
    assert world.done == ["looked up", "paid"]


async def test_a_call_of_branches_that_a_scope_cut_off_is_passed_over_with_them(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        async def branch() -> None:
            await world.call(run, "looked up")
            await trio.sleep(100)

        async with run.move_on_after(5):
            await run.gather(branch)
        await world.call(run, "paid")
        fail_once(run)

    await consumed(open_host, world.behaviour(act))
    assert world.done == ["looked up", "paid"]


async def test_what_waits_at_the_guard_ends_with_the_branch_that_raised_before_its_call(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world, errors = World(), list[str]()

    async def act(run: tenure.Run) -> None:
        async def raises() -> None:
            if run.attempts > 0:
                raise ValueError("of the branch")
            await world.call(run, "looked up")

        async def pays() -> None:
            if run.attempts > 0:
                await run.step("pay", world.act, "paid", repeat="never")

        await run.gather(raises, pays)
        raise ConnectionError("of a test")

    async with open_host({"k": world.behaviour(act)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert await came_of(supervisor, ticket) == "abandoned"
        errors.extend([str(each.error) for each in await supervisor.dead_letters("a")])
    assert errors[0].startswith("ValueError: of the branch")
    assert world.done == ["looked up"]


async def test_time_that_is_asked_for_beside_calls_is_the_same_where_the_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world, seen = World(), list[tuple[datetime, ...]]()

    async def act(run: tenure.Run) -> None:
        drawn = list[datetime]()

        async def branch() -> None:
            drawn.append(run.now())
            await world.call(run, f"in a branch, {drawn[-1]}")

        for number in range(3):
            drawn.append(run.now())
            await world.call(run, f"{number}, {drawn[-1]}")
            await trio.sleep(1.5)
        await run.step("look", str, repeat="freely")
        drawn.append(run.now())
        await run.gather(branch)
        seen.append(tuple(drawn))
        fail_once(run)

    await consumed(open_host, world.behaviour(act))
    assert len(set(seen)) == 1
    assert len(set(seen[0][:3])) == 3
    assert len(world.done) == 4


@pytest.mark.parametrize("left_at", [0, 1, 2])
async def test_time_beside_calls_is_the_same_wherever_the_run_is_cut_off(
    autojump_clock: MockClock, open_host: OpenHost, left_at: int
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        for number in range(3):
            await run.step("act", world.act, f"{number}, {run.now()}", repeat="never", call=f"c{number}")
            await trio.sleep(1)
        await run.step("act", world.act, f"last, {run.now()}", repeat="never")

    await cut_off(open_host, world.behaviour(act), left_at + 0.5)
    async with open_host({"k": world.behaviour(act)}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert await came_of(supervisor, ticket) == "consumed"
    assert len(world.done) == 4


async def test_a_patch_goes_the_old_way_where_calls_alone_are_recorded(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world, ways = World(), list[bool]()

    async def old(run: tenure.Run) -> None:
        await world.call(run, "looked up")
        await trio.sleep(100)

    async def new(run: tenure.Run) -> None:
        ways.append(await run.patched("asks twice"))
        await world.call(run, "asked twice" if ways[-1] else "looked up")
        ways.append(await run.patched("reports"))

    await cut_off(open_host, world.behaviour(old), 1.0)
    async with open_host({"k": world.behaviour(new, "2")}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert await came_of(supervisor, ticket) == "consumed"
    assert ways == [False, True]
    assert world.done == ["looked up"]


async def test_what_is_forgotten_takes_its_calls_along_and_those_after_it_move_up(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world, seen = World(), list[tuple[str, datetime]]()

    async def begins(run: tenure.Run) -> None:
        await run.step("look", str, repeat="freely")
        await run.gather(lambda: world.call(run, "in a branch"))
        await goes_on(run)
        await trio.sleep(100)

    async def goes_on(run: tenure.Run) -> None:
        seen.append(("main", run.now()))
        await world.call(run, "after it")

        async def branch() -> None:
            seen.append(("branch", run.now()))
            await run.first(lambda: world.call(run, "inside"), trio.sleep_forever)

        await run.gather(branch)

    async def new(run: tenure.Run) -> None:
        await run.step("look", str, repeat="freely")
        await goes_on(run)
        await run.step("act", world.act, "paid", repeat="never")

    await cut_off(open_host, world.behaviour(begins), 1.0)
    async with open_host({"k": world.behaviour(new, "2")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        with pytest.raises(InvalidInput, match="act at #in a branch"):
            await runtime.resume(forget=["main/2"])
        await runtime.resume(forget=["main/2"], repeat_never=True)
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert await came_of(supervisor, ticket) == "consumed"
    assert world.done == ["in a branch", "after it", "inside", "paid"]
    assert seen[:2] == seen[-2:]


async def test_a_call_that_is_cut_off_with_its_branch_is_recorded_by_no_branch_beside(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    done: list[str] = []

    async def calls(name: str) -> None:
        await trio.sleep(2)
        done.append(name)

    async def act(run: tenure.Run) -> None:
        async def loses() -> None:
            await run.step("call", calls, "c1", repeat="freely", call="c1")

        async def raises() -> None:
            await trio.sleep(1 if not run.attempts else 100)
            raise ConnectionError("of a test")

        async def goes_on() -> None:
            await trio.sleep(3)
            await run.step("beside", str, repeat="freely")

        await run.gather(lambda: run.first(loses, raises), goes_on)

    restart = tenure.RestartPolicy(max_attempts=3, backoff_s=1.0)
    async with open_host({"k": tenure.Behaviour(act, restart=restart, replay_s=10.0)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert done == ["c1"]
