"""How many runs of one kind execute at the same time: `Behaviour(max_running=)`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput
from tenure.supervisor.runs.behaviour import BehaviourFunction
from tests.kit.alone import OpenHost


class World:
    """Counts what executes, and keeps the order in which it began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.most = 0
        self._now = 0

    async def work(self, name: str, seconds: float = 1.0) -> str:
        self.began.append(name)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await trio.sleep(seconds)
        finally:
            self._now -= 1
        return name


async def accept(supervisor: tenure.Supervisor, *names: str) -> list[tenure.Ticket]:
    return [await (await supervisor.spawn(name, "k")).accept(name) for name in names]


async def end(tickets: list[tenure.Ticket]) -> None:
    for ticket in tickets:
        assert (await ticket.wait_outcome()).phase == "consumed"


def opened(
    open_host: OpenHost, behaviour: BehaviourFunction, most: int | None = 1
) -> AbstractAsyncContextManager[tenure.Supervisor]:
    return open_host({"k": tenure.Behaviour(behaviour, max_running=most, version="1")})


async def test_no_more_runs_of_a_kind_execute_than_it_says_and_all_come_to_their_turn_in_order(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        await run.step("work", world.work, run.runtime_id, repeat="freely")

    names = [f"agent-{number}" for number in range(9)]
    async with opened(open_host, act, 3) as supervisor:
        await end(await accept(supervisor, *names))
    waves = [sorted(world.began[at : at + 3]) for at in (0, 3, 6)]
    assert (world.most, [name for wave in waves for name in wave]) == (3, names)


async def test_a_run_that_sleeps_lets_another_have_its_slot_and_goes_on_before_new_ones(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        await run.step("work", world.work, f"{run.runtime_id} 1", repeat="freely")
        if run.runtime_id == "a":
            await run.sleep(0.5)
            await run.step("work", world.work, "a 2", repeat="freely")

    async with opened(open_host, act) as supervisor:
        await end(await accept(supervisor, "a", "b", "c"))
    assert (world.most, world.began) == (1, ["a 1", "b 1", "a 2", "c 1"])


async def test_a_run_that_waits_to_be_steered_lets_another_have_its_slot(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        if run.runtime_id == "a":
            await run.wait_steered()

    async with opened(open_host, act) as supervisor:
        (waits,) = await accept(supervisor, "a")
        await trio.sleep(1)
        await end(await accept(supervisor, "b"))
        assert waits.outcome is None  # it waits still, and the other one has run
        await supervisor.runtime("a").accept("go on", lane="steer")
        await end([waits])


async def test_a_step_that_waits_for_its_next_attempt_lets_another_run_have_the_slot(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def fail_once(name: str) -> None:
        await world.work(name)
        if world.began.count(name) == 1 and name == "a":
            raise ConnectionError("of a test")

    async def act(run: tenure.Run) -> None:
        await run.step("work", fail_once, run.runtime_id, repeat="freely", attempts=2, backoff_s=0.5)

    async with opened(open_host, act) as supervisor:
        await end(await accept(supervisor, "a", "b", "c"))
    assert world.began == ["a", "b", "a", "c"]


async def test_a_failed_run_is_tried_again_before_new_ones_begin(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    began: list[str] = []

    async def act(run: tenure.Run) -> None:
        began.append(run.runtime_id)
        await trio.sleep(1)
        if run.attempts == 0 and run.runtime_id == "a":
            raise ConnectionError("of a test")

    quick = tenure.RestartPolicy(backoff_s=0.1, backoff_limit_s=0.1)
    async with open_host({"k": tenure.Behaviour(act, max_running=1, restart=quick)}) as supervisor:
        await end(await accept(supervisor, "a", "b", "c"))
    assert began == ["a", "b", "a", "c"]


@pytest.mark.parametrize("side_by_side", ["gather", "map", "first", "calls"])
async def test_a_run_rests_where_all_that_it_does_side_by_side_rests(
    autojump_clock: MockClock, open_host: OpenHost, side_by_side: str
) -> None:
    world = World()
    failed = set[str]()

    async def tool(name: str) -> str:
        if name not in failed:
            failed.add(name)
            raise ConnectionError("of a test")
        return await world.work(name)

    async def act(run: tenure.Run) -> None:
        if run.runtime_id == "b":
            await run.step("work", world.work, "b", repeat="freely", timeout_s=None)
            return
        step = partial(run.step, "tool", tool, repeat="freely", attempts=2, backoff_s=10.0)
        match side_by_side:
            case "gather":
                await run.gather(lambda: step("1"), lambda: step("2"))
            case "first":
                await run.first(lambda: step("1"), lambda: step("2"))
            case "map":
                await run.map("tool", tool, ["1", "2"], repeat="freely", attempts=2, backoff_s=10.0)
            case _:
                async with trio.open_nursery() as nursery:
                    for name in ("1", "2"):
                        nursery.start_soon(
                            partial(
                                run.step, "tool", tool, name, repeat="freely", call=name, attempts=2, backoff_s=10.0
                            )
                        )

    async with opened(open_host, act) as supervisor:
        await end(await accept(supervisor, "a", "b"))
    assert world.began[0] == "b"


async def test_a_run_of_which_one_branch_executes_keeps_its_slot(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        if run.runtime_id == "a":
            work = partial(run.step, "work", world.work, "a", 5.0, repeat="freely")
            await run.gather(lambda: run.sleep(1), work)
            await run.step("work", world.work, "a again", repeat="freely")
        else:
            await run.step("work", world.work, "b", repeat="freely")

    async with opened(open_host, act) as supervisor:
        await end(await accept(supervisor, "a", "b"))
    assert (world.most, world.began) == (1, ["a", "a again", "b"])


async def test_what_is_cut_off_in_its_rest_gets_a_slot_before_it_executes(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        if run.runtime_id == "a":
            with trio.move_on_after(0.5):
                await run.sleep(60)
        await run.step("work", world.work, run.runtime_id, repeat="freely")

    async with opened(open_host, act) as supervisor:
        await end(await accept(supervisor, "a", "b", "c"))
    assert (world.most, world.began) == (1, ["b", "a", "c"])


async def test_one_that_waits_for_a_slot_can_be_stopped_and_leaves_the_turn_to_the_next(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        await run.step("work", world.work, f"{run.runtime_id} 1", repeat="freely")
        if run.runtime_id == "a":
            await run.sleep(0.5)
        await run.step("work", world.work, f"{run.runtime_id} 2", repeat="freely")

    async with opened(open_host, act) as supervisor:
        tickets = await accept(supervisor, "a", "b", "c", "d")
        await trio.sleep(1.8)  # b executes, a waits to go on, c and d wait to begin
        await supervisor.runtime("a").stop()
        await supervisor.runtime("c").stop()
        await end([tickets[1], tickets[3]])
        assert world.began == ["a 1", "b 1", "b 2", "d 1", "d 2"]
        revived = await supervisor.spawn("c", "k")
        await end([await revived.accept("again")])
    assert world.most == 1


async def test_runs_that_enter_again_with_a_new_host_take_their_turns_before_new_ones(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    entered: list[str] = []

    async def act(run: tenure.Run) -> None:
        entered.append(run.runtime_id)
        if run.runtime_id.startswith("old"):
            await run.sleep(100)
        await run.step("work", world.work, run.runtime_id, repeat="freely")

    old = [f"old-{number}" for number in range(3)]
    new = [f"new-{number}" for number in range(6)]
    async with opened(open_host, act) as supervisor:
        await accept(supervisor, *old, "busy", *new)
        await trio.sleep(0.5)  # the old ones sleep, one executes, and the new ones wait; the exit waits for one alone
    assert sorted(entered) == ["busy", *old]
    entered.clear()
    async with opened(open_host, act):
        await trio.sleep(200)
    # Whichever asks first finds a free slot; from then on those that have begun come first.
    assert set(old) <= set(entered[:4])
    assert (world.most, sorted(world.began)) == (1, ["busy", *new, *old])


async def test_why_says_that_a_run_waits_for_a_slot_and_statistics_count_those(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        await run.step("work", world.work, f"{run.runtime_id} 1", repeat="freely")
        await run.sleep(0.5)
        await run.step("work", world.work, f"{run.runtime_id} 2", repeat="freely")

    async with opened(open_host, act) as supervisor:
        tickets = await accept(supervisor, "a", "b", "c")
        await trio.sleep(1.8)
        waits = "waits for a slot: 1 of 1 are taken"
        because = [(await supervisor.why(name))["because"] for name in ("a", "b", "c")]
        assert because[0] == waits
        assert because[1] != waits
        assert because[2] == waits
        assert supervisor.statistics().waiting_for_slot == 2
        await end(tickets)
        assert supervisor.statistics().waiting_for_slot == 0


async def test_a_number_of_slots_is_a_whole_number_from_1() -> None:
    async def act(run: tenure.Run) -> None: ...

    for wrong in (0, -1, True, 1.5):
        with pytest.raises(InvalidInput, match="max_running"):
            tenure.Behaviour(act, max_running=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
