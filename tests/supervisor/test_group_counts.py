"""What each verb costs: groups, and with them flushes to the disk."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import StepMismatch
from tenure.persistence.model.inputs.policies import ConsumePoint
from tests.kit.hosting import consumed, cut_off, host, nothing

Verb = Callable[[tenure.Runtime], Awaitable[object]]


async def groups_of(supervisor: tenure.Supervisor, verb: Callable[[], Awaitable[object]]) -> int:
    """How many groups land from the call of a verb until the host is quiet again."""
    await trio.testing.wait_all_tasks_blocked()
    before = supervisor.statistics().groups
    await verb()
    await trio.testing.wait_all_tasks_blocked()
    return supervisor.statistics().groups - before


async def fails(run: tenure.Run) -> None:
    raise ValueError


async def reset_and_clear(runtime: tenure.Runtime) -> None:
    await runtime.reset(clear_session=True)


async def cancel_an_input(runtime: tenure.Runtime) -> None:
    await runtime.cancel("no such input")


async def relabel(runtime: tenure.Runtime) -> None:
    await runtime.relabel({"tier": "gold"})


@pytest.mark.parametrize(
    "verb",
    [
        tenure.Runtime.retire,
        tenure.Runtime.recycle,
        tenure.Runtime.stop,
        tenure.Runtime.destroy,
        tenure.Runtime.cancel,
        tenure.Runtime.resume,
        tenure.Runtime.reset,
        reset_and_clear,
        cancel_an_input,
        relabel,
    ],
    ids=lambda verb: verb.__name__,
)
async def test_a_verb_of_an_idle_runtime_costs_one_group(
    verb: Verb, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "it has worked before")
        if verb is tenure.Runtime.recycle:
            await runtime.retire()

        assert await groups_of(supervisor, lambda: verb(runtime)) == 1


async def test_a_verb_of_a_supervisor_costs_one_group(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        alice, schedules = await supervisor.spawn("alice", "kind"), supervisor.schedules
        await consumed(alice, "it has worked before")
        verbs: dict[str, Callable[[], Awaitable[object]]] = {
            "hold": partial(alice.hold, "for a look"),
            "resume": partial(supervisor.resume, "alice"),
            "hold a kind": partial(supervisor.hold, kind="kind"),
            "resume a kind": partial(supervisor.resume, kind="kind"),
            "create a schedule": partial(schedules.create, "daily", "alice", tenure.Every(86_400), "good morning"),
            "update it": partial(schedules.update, "daily", payload="good evening"),
            "replace it": partial(
                schedules.create, "daily", "alice", tenure.Every(86_400), "good night", replace_existing=True
            ),
            "pause it": partial(schedules.pause, "daily"),
            "resume it": partial(schedules.resume, "daily"),
            "delete it": partial(schedules.delete, "daily"),
            "set a value": partial(supervisor.set_execution_state, "alice", {"name": 1}),
            "spawn": partial(supervisor.spawn, "bob", "kind"),
            "spawn several": partial(supervisor.spawn_many, ["carol", "dave", "erin"], "kind"),
        }

        assert {name: await groups_of(supervisor, verb) for name, verb in verbs.items()} == dict.fromkeys(verbs, 1)
        assert await groups_of(supervisor, verbs["spawn"]) == 0, "it is there"


async def test_what_begins_a_run_costs_its_groups_and_what_only_ends_an_input_one(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    once = tenure.RestartPolicy(max_attempts=1)
    async with host(target, {"kind": nothing, "fails": tenure.Behaviour(fails, restart=once)}) as supervisor:
        alice, bob = await supervisor.spawn("alice", "kind"), await supervisor.spawn("bob", "fails")
        await supervisor.schedules.create("daily", "alice", tenure.Every(86_400), "good morning")
        ticket = await bob.accept("work")
        await ticket.wait_outcome()

        assert await groups_of(supervisor, partial(supervisor.schedules.trigger, "daily")) == 3
        assert await groups_of(supervisor, partial(alice.accept, "work")) == 2
        assert await groups_of(supervisor, partial(bob.retry, ticket.input_id)) == 3
        assert await groups_of(supervisor, partial(bob.drop, ticket.input_id)) == 1


async def test_a_verdict_costs_one_group_and_the_run_that_goes_on_its_own(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def pay(run: tenure.Run) -> None:
        await run.step("pay", trio.sleep_forever, repeat="never")

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go")
        await trio.testing.wait_all_tasks_blocked()

    await cut_off(database, {"kind": pay}, begin)
    async with host(database, {"kind": pay}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.wait_held()

        settle = partial(alice.settle_step, "main/1", tenure.Ran())
        assert await groups_of(supervisor, settle) == 3, "one, and two for the run that goes on"


def test_the_groups_of_every_verb_are_counted() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    waits = {"wait_held", "wait_resumed", "wait_state"}  # they write nothing
    verbs = {name for name, _ in inspect.getmembers(tenure.Runtime, inspect.iscoroutinefunction) if name[0] != "_"}

    assert {name for name in verbs - waits if f".{name}" not in source} == set()


async def test_an_erasure_costs_no_more_groups_the_more_there_is(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    counted: set[int] = set()
    async with host(target, {"kind": nothing}) as supervisor:
        for name, inputs in (("alice", 1), ("bob", 30)):
            runtime = await supervisor.spawn(name, "kind")
            for number in range(inputs):
                await consumed(runtime, number)
            await runtime.destroy()
            counted.add(await groups_of(supervisor, runtime.erase))

    assert len(counted) == 1
    assert max(counted) <= 7


async def test_spawning_costs_one_group_and_finding_what_is_there_none(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        for expected in (1, 0):
            assert await groups_of(supervisor, lambda: supervisor.spawn("alice", "kind")) == expected
        await supervisor.runtime("alice").stop()

        assert await groups_of(supervisor, lambda: supervisor.spawn("alice", "kind")) == 1
        assert await groups_of(supervisor, lambda: supervisor.find("alice")) == 0


async def test_an_input_costs_two_groups_with_its_run_and_one_where_no_run_sees_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    policy = tenure.PolicyDecision(consume_point=ConsumePoint.ON_ACCEPT)
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")

        assert await groups_of(supervisor, lambda: runtime.accept("work")) == 2, "accept and begin, finish"
        assert await groups_of(supervisor, lambda: runtime.accept("a note", policy=policy)) == 1
        await runtime.accept("once", idempotency_key="k")
        assert await groups_of(supervisor, lambda: runtime.accept("once", idempotency_key="k")) == 0


async def test_a_verb_of_a_runtime_that_waits_for_a_retry_costs_one_group_and_leaves_the_retry(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    entered: list[float] = []

    async def fails_once(run: tenure.Run) -> None:
        entered.append(trio.current_time())
        if len(entered) == 1:
            raise ValueError

    async with host(target, {"kind": fails_once}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("work")
        await trio.testing.wait_all_tasks_blocked()

        assert await groups_of(supervisor, runtime.retire) == 1
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_held_runtime_goes_on_when_it_is_resumed(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    entered: list[object] = []

    async def held_once(run: tenure.Run) -> None:
        entered.append(run.inputs[0].payload)
        if len(entered) == 1:
            raise StepMismatch(runtime_id="alice", run_id=run.run_id, name="main/0", recorded="a", given="b")

    async with host(target, {"kind": held_once}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("work")
        await runtime.wait_held()

        assert await groups_of(supervisor, runtime.resume) == 3, "resume, begin, finish"
        assert (await ticket.wait_outcome()).phase == "consumed"
