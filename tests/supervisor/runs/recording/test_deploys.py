"""Deploys between two entries of a run: what must not be done twice is not, whatever became of the behaviour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, StepFailed
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.alone import OpenHost

Step = tuple[str, str, str, str]
"""Name, repeat, argument and call id of a step; what it does is known by its name up to a colon."""

FIRST = (
    ("look", "freely", "a", ""),
    ("pay", "never", "5", ""),
    ("mail", "keyed", "b", ""),
    ("look", "freely", "c", ""),
)
"""What the first version does before it fails."""


class World:
    """Counts what is done, outside of every run."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = {}

    def act(self, work: str, argument: str, *, key: str = "") -> str:
        what = f"{work} {argument}"
        self.done[what] += 1
        if key:
            self.keys.setdefault(what, set()).add(key)
        return what

    def judge(self) -> None:
        """No payment was made twice, and no mail was sent under two keys."""
        assert not {what: times for what, times in self.done.items() if what.startswith("pay") and times > 1}
        assert not {what: keys for what, keys in self.keys.items() if len(keys) > 1}


def behaviour(world: World, steps: tuple[Step, ...], *, fails: bool = False, version: str = "") -> tenure.Behaviour:
    async def act(run: tenure.Run) -> None:
        for name, repeat, argument, call in steps:
            work = name.rpartition(":")[2]
            name_ = name.partition(":")[0]
            if name_ == "checkpoint":
                await run.checkpoint()
            else:
                await run.step(name_, partial(world.act, work), argument, repeat=repeat, call=call or None)
        if fails:
            raise ConnectionError("of a test")

    policy = tenure.RestartPolicy(max_attempts=3, backoff_s=3600.0)
    return tenure.Behaviour(act, version=version, restart=policy)


async def record(open_host: OpenHost, world: World, steps: tuple[Step, ...], version: str) -> None:
    """Let a first version record these, and leave its host."""
    async with open_host({"k": behaviour(world, steps, fails=True, version=version)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1, idempotency_key="once")
        await trio.sleep(100)


async def goes_on(supervisor: tenure.Supervisor) -> str:
    """How the run of before goes on: ``held``, or the phase of its input."""
    runtime = supervisor.runtime("a")
    ticket = await supervisor.ticket("a", idempotency_key="once")
    found: list[str] = []

    async def note(wait: Callable[[], Awaitable[object]], what: Callable[[], str]) -> None:
        await wait()
        found.append(what())
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(note, runtime.wait_held, lambda: "held")
        nursery.start_soon(note, ticket.wait_outcome, lambda: str(ticket.outcome and ticket.outcome.phase))
    return found[0]


def rename(steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
    name, *rest = steps[at]
    return (*steps[:at], (f"{name}_card:{name}", *rest), *steps[at + 1 :])  # type: ignore[arg-type]


def insert(steps: tuple[Step, ...], at: int, new: Step = ("extra", "freely", "x", "")) -> tuple[Step, ...]:
    return (*steps[:at], new, *steps[at:])


def remove(steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
    return (*steps[:at], *steps[at + 1 :])


def swap(steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
    other = (at + 1) % len(steps)
    changed = list(steps)
    changed[at], changed[other] = changed[other], changed[at]
    return tuple(changed)


def repeat_otherwise(steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
    name, repeat, argument, call = steps[at]
    other = {"freely": "never", "never": "keyed", "keyed": "never"}[repeat]
    return (*steps[:at], (name, other, argument, call), *steps[at + 1 :])


def by_call(steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
    name, repeat, argument, _ = steps[at]
    return (*steps[:at], (name, repeat, argument, "call"), *steps[at + 1 :])


def checkpoint(steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
    return insert(steps, at, ("checkpoint", "freely", "", ""))


EDITS = {
    "rename": rename,
    "insert": insert,
    "insert what never repeats": partial(insert, new=("pay", "never", "7", "")),
    "remove": remove,
    "swap": swap,
    "other repeat": repeat_otherwise,
    "by call": by_call,
    "checkpoint": checkpoint,
}


@pytest.mark.turns(3)
@pytest.mark.parametrize("version", ["", "2", "1"])
@pytest.mark.parametrize("at", range(len(FIRST)))
@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_at_any_place_is_held_and_does_nothing_twice_by_any_way_out(
    edit: str, at: int, version: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")
    edited = EDITS[edit](FIRST, at)

    async with open_host({"k": behaviour(world, edited, version=version)}) as supervisor:
        found = await goes_on(supervisor)

        assert found == "held"
        world.judge()
        assert supervisor.runtime("a").held == "step mismatch"
        await supervisor.runtime("a").resume(restart_run=True)
        await goes_on(supervisor)
        world.judge()


@pytest.mark.parametrize("version", ["", "2"])
async def test_another_version_goes_on_with_other_arguments_of_what_has_ended(
    version: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")
    other = tuple((name, repeat, f"{argument} in other words", call) for name, repeat, argument, call in FIRST)

    async with open_host({"k": behaviour(world, other, version=version)}) as supervisor:
        assert await goes_on(supervisor) == "consumed"
        assert set(world.done.values()) == {1}


async def test_the_same_version_with_other_arguments_is_held_until_a_person_takes_what_is_recorded(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")
    other = tuple((name, repeat, f"{argument} in other words", call) for name, repeat, argument, call in FIRST)

    async with open_host({"k": behaviour(world, other, version="1")}) as supervisor:
        assert await goes_on(supervisor) == "held"
        await supervisor.runtime("a").resume(take_recorded=True)
        assert await goes_on(supervisor) == "consumed"
        assert set(world.done.values()) == {1}


async def test_an_order_that_was_shifted_is_held_under_every_version(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    looks: tuple[Step, ...] = tuple(("look", "freely", each, "") for each in "abc")
    await record(open_host, world, looks, "1")

    async with open_host({"k": behaviour(world, looks[1:], version="2")}) as supervisor:
        assert await goes_on(supervisor) == "held"
        assert "look" in (supervisor.runtime("a").held_detail or "")


async def test_a_renamed_step_goes_on_where_a_person_says_its_new_name(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")

    async with open_host({"k": behaviour(world, rename(FIRST, 1), version="2")}) as supervisor:
        assert await goes_on(supervisor) == "held"
        await supervisor.runtime("a").resume(renamed={"pay": "pay_card"})
        assert await goes_on(supervisor) == "consumed"
        assert set(world.done.values()) == {1}


async def test_a_forgotten_step_lets_those_after_it_move_up(autojump_clock: MockClock, open_host: OpenHost) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")

    async with open_host({"k": behaviour(world, FIRST[1:], version="2")}) as supervisor:
        assert await goes_on(supervisor) == "held"
        runtime = supervisor.runtime("a")
        with pytest.raises(InvalidInput, match="would be done again"):
            await runtime.resume(forget=["pay"])
        await runtime.resume(forget=["main/1"])
        assert await goes_on(supervisor) == "consumed"
        assert set(world.done.values()) == {1}


async def test_a_restart_repeats_what_may_be_repeated_and_carries_the_rest_over(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")
    other = (("look", "freely", "new prompt", ""), *FIRST[1:])

    async with open_host({"k": behaviour(world, other, version="1")}) as supervisor:
        assert await goes_on(supervisor) == "held"
        await supervisor.runtime("a").resume(restart_run=True)
        assert await goes_on(supervisor) == "consumed"
        assert world.done == {"look a": 1, "look new prompt": 1, "pay 5": 1, "mail b": 1, "look c": 2}


async def test_a_restart_that_may_repeat_what_never_repeats_does(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")

    async with open_host({"k": behaviour(world, rename(FIRST, 1), version="1")}) as supervisor:
        assert await goes_on(supervisor) == "held"
        await supervisor.runtime("a").resume(restart_run=True, repeat_never=True)
        assert await goes_on(supervisor) == "consumed"
        assert world.done["pay 5"] == 2


async def test_a_new_step_that_never_repeats_waits_for_a_call_that_is_not_reached(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    await record(open_host, world, (("pay", "never", "5", "call_1"),), "1")

    edited: tuple[Step, ...] = (("pay_card:pay", "never", "5", "call_2"),)
    async with open_host({"k": behaviour(world, edited, version="2")}) as supervisor:
        began = trio.current_time()
        assert await goes_on(supervisor) == "held"
        assert trio.current_time() - began >= 60
        assert "#call_1" in (supervisor.runtime("a").held_detail or "")
        assert world.done["pay 5"] == 1


async def test_a_conversation_stands_where_the_run_found_it_when_that_is_restarted(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    said: list[str] = ["one", "two"]

    async def act(run: tenure.Run) -> None:
        run.session.append(said[0])
        await run.checkpoint()
        if len(said) == 2:
            raise ConnectionError("of a test")

    kind = tenure.Behaviour(act, version="1", restart=tenure.RestartPolicy(backoff_s=3600.0))
    async with open_host({"k": kind}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1, idempotency_key="once")
        await trio.sleep(100)
        assert await supervisor.read_session("a") == ["one"]
        del said[0]

    async with open_host({"k": kind}) as supervisor:
        assert await goes_on(supervisor) == "held"
        await supervisor.runtime("a").resume(restart_run=True)
        assert await goes_on(supervisor) == "consumed"
        assert await supervisor.read_session("a") == ["two"]
        verified = await supervisor.store.read(lambda statements: verify_runtime(statements, LogicalRuntimeId("a")))
        assert not verified.not_recomputed


async def test_the_fix_for_a_failing_step_is_not_held(autojump_clock: MockClock, open_host: OpenHost) -> None:
    def broken() -> None:
        raise ValueError("of a test")

    async def before(run: tenure.Run) -> None:
        await run.step("ask", broken, repeat="freely")

    async def after(run: tenure.Run) -> None:
        run.session.append(await run.step("ask better", str, 1, repeat="freely"))

    policy = tenure.RestartPolicy(backoff_s=3600.0)
    async with open_host({"k": tenure.Behaviour(before, version="1", restart=policy)}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await trio.sleep(100)
    async with open_host({"k": tenure.Behaviour(after, version="2", restart=policy)}) as supervisor:
        assert await goes_on(supervisor) == "consumed"


async def test_a_patch_keeps_runs_on_the_way_that_they_began(autojump_clock: MockClock, open_host: OpenHost) -> None:
    world = World()
    await record(open_host, world, FIRST, "1")
    ways: list[bool] = []

    async def act(run: tenure.Run) -> None:
        ways.append(await run.patched("asks twice"))
        for name, repeat, argument, _ in FIRST:
            await run.step(name, partial(world.act, name), argument, repeat=repeat)
        ways.append(await run.patched("asks twice"))

    async with open_host({"k": tenure.Behaviour(act, version="2")}) as supervisor:
        assert await goes_on(supervisor) == "consumed"
        assert (await (await supervisor.runtime("a").accept(2)).wait_outcome()).phase == "consumed"
        assert ways == [False, False, True, True]


async def test_time_and_chance_are_the_same_where_a_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[tuple[object, ...]] = []

    async def act(run: tenure.Run) -> None:
        drawn: tuple[object, ...] = (run.now(), run.random.random(), run.uuid(), run.now())
        await run.step("look", str, 1, repeat="freely")
        drawn = (*drawn, run.random.random(), run.uuid())
        seen.append(drawn)
        await trio.sleep(7)
        if run.attempts == 0:
            raise ConnectionError("of a test")

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        await ticket.wait_outcome()

    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert len({str(each) for each in seen[0][1:3]} | {str(seen[0][4])}) == 3


async def test_what_a_scope_cut_off_is_not_executed_again(autojump_clock: MockClock, open_host: OpenHost) -> None:
    done: list[str] = []

    async def slow() -> str:
        done.append("slow")
        await trio.sleep(20 if len(done) == 1 else 0)
        return "slow"

    async def act(run: tenure.Run) -> None:
        with trio.move_on_after(10):
            run.session.append(await run.step("model", slow, repeat="freely"))
            return
        run.session.append(await run.step("fallback", str, "quick", repeat="freely"))
        if run.attempts == 0:
            raise ConnectionError("of a test")

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("a") == ["quick"]
        assert done == ["slow"]


async def test_a_wait_that_was_given_up_is_given_up_again(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(10) as scope:
            await run.wait_steered()
        run.session.append(scope.cancelled_caught)
        await run.checkpoint()
        if run.attempts == 0:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, version="1")}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("a") == [True]


async def test_a_failing_step_is_tried_again_and_costs_the_run_no_attempt(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    times: list[float] = []

    def flaky(*, key: str) -> str:
        times.append(trio.current_time())
        if len(times) < 3:
            raise ConnectionError("of a test")
        return key

    async def act(run: tenure.Run) -> None:
        run.session.append(await run.step("ask", flaky, repeat="keyed", attempts=3, backoff_s=2.0))
        with pytest.raises(InvalidInput):
            await run.step("ask", flaky, repeat="never", attempts=2)
        with pytest.raises(StepFailed, match="TimeoutError"):
            await run.step("slow", trio.sleep, 60, repeat="freely", timeout_s=5)
        assert run.attempts == 0

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert [round(later - earlier) for earlier, later in pairwise(times)] == [2, 4]


@pytest.mark.parametrize("repeat", ["never", "keyed"])
@pytest.mark.parametrize("take_recorded", [False, True], ids=["at once", "with what is recorded"])
async def test_a_step_of_the_same_name_before_the_last_recorded_one_does_not_push_that_one_to_a_second_time(
    autojump_clock: MockClock, open_host: OpenHost, repeat: str, *, take_recorded: bool
) -> None:
    # The new one is given what is recorded there, as one with changed arguments; the old one then finds nothing at its place.
    world = World()
    work = "pay" if repeat == "never" else "mail"
    await record(open_host, world, ((f"tool:{work}", repeat, "old", ""),), "1")

    second = ((f"tool:{work}", repeat, "new", ""), (f"tool:{work}", repeat, "old", ""))
    async with open_host({"k": behaviour(world, second, version="2")}) as supervisor:
        came = await goes_on(supervisor)
        if came == "held" and take_recorded:
            await supervisor.runtime("a").resume(take_recorded=True)
            came = await goes_on(supervisor)
        assert came == "held"
    assert world.done[f"{work} old"] == 1
    world.judge()


async def test_a_patch_that_a_scope_cut_off_before_it_was_stored_is_stored_with_the_next_question(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ways: list[bool] = []

    async def act(run: tenure.Run) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run.patched("new")
        ways.append(await run.patched("new"))
        await run.step("new" if ways[-1] else "old", str, 1, repeat="never")
        if run.attempts == 0:
            raise ConnectionError("of a test")

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(100):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert ways == [True, True]
