"""What a run had sent or asked when it is restarted: it is there, and nothing goes out a second time in other words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost

Plan = list[tuple[str, Any]]
"""What a run does: ``send`` and ``ask`` a payload, ``boundary``, ``pay`` once, ``fail``."""

ONCE = tenure.RestartPolicy(max_attempts=1)


class World:
    """A runtime that does what a plan says, and one that is sent and asked."""

    def __init__(self, *plan: tuple[str, Any]) -> None:
        self.plan: Plan = list(plan)
        self.got: list[Any] = []
        self.paid: list[Any] = []

    async def act(self, run: tenure.Run) -> None:
        for verb, what in list(self.plan):
            if verb == "send":
                run.send("bob", what)
            elif verb == "steer":
                run.send("bob", what, lane="steer")
            elif verb == "ask":
                await run.ask("bob", what)
            elif verb == "pay":
                await run.step("pay", self.paid.append, what, repeat="never")
            elif verb == "boundary":
                await run.checkpoint()
            else:
                raise ConnectionError(what)

    async def take(self, run: tenure.Run) -> None:
        self.got += [each.payload for each in run.inputs]

    @property
    def kinds(self) -> dict[str, tenure.Behaviour]:
        return {"lead": tenure.Behaviour(self.act, restart=ONCE, version="1"), "bob": tenure.Behaviour(self.take)}


async def begin(supervisor: tenure.Supervisor) -> tuple[tenure.Runtime, str]:
    """Let the first run fail for good; its runtime, and the id of its dead letter."""
    await supervisor.spawn("bob", "bob")
    runtime = await supervisor.spawn("a", "lead")
    outcome = await (await runtime.accept("go")).wait_outcome()
    assert outcome.reason == "max_attempts_exhausted"
    [letter] = await supervisor.dead_letters("a")
    return runtime, letter.input_id


async def came_of(runtime: tenure.Runtime, ticket: tenure.Ticket) -> str:
    """``held``, or the phase that the input came to."""
    found: list[str] = []

    async def note(wait: Callable[[], Awaitable[object]], what: Callable[[], str]) -> None:
        await wait()
        found.append(what())
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(note, runtime.wait_held, lambda: "held")
        nursery.start_soon(note, ticket.wait_outcome, lambda: str(ticket.outcome and ticket.outcome.phase))
    return found[0]


async def restart(supervisor: tenure.Supervisor, runtime: tenure.Runtime, input_id: str) -> str:
    await runtime.retry(input_id, fresh=True)
    return await came_of(runtime, await supervisor.ticket("a", input_id=input_id))


async def settled(runtime: tenure.Runtime) -> None:
    """Whoever was sent something has taken it."""
    await trio.testing.wait_all_tasks_blocked()
    await trio.sleep(1)


@pytest.mark.parametrize("verb", ["send", "steer", "ask"])
async def test_what_landed_before_a_restart_is_sent_and_asked_once(
    verb: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World((verb, "x"), ("boundary", None), (verb, "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[-1:] = [(verb, "x"), (verb, "y")]

        assert await restart(supervisor, runtime, letter) == "consumed"
        await settled(runtime)
        assert world.got == ["x", "x", "x", "y"]


@pytest.mark.parametrize(("first", "then"), [("send", "send"), ("ask", "ask"), ("send", "ask"), ("ask", "send")])
async def test_other_content_goes_out_only_when_what_landed_is_reached_or_forgotten(
    first: str, then: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World((first, "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[:] = [(then, "in other words"), ("boundary", None)]

        assert await restart(supervisor, runtime, letter) == "held"
        await settled(runtime)
        assert runtime.held == "step mismatch"
        assert f"{first} bob with arguments" in (runtime.held_detail or "")
        assert f"{then} bob with arguments" in (runtime.held_detail or "")
        assert world.got == ["x"]

        await runtime.resume(forget=["bob"])
        assert await came_of(runtime, await supervisor.ticket("a", input_id=letter)) == "consumed"
        await settled(runtime)
        assert world.got == ["x", "in other words"]


async def test_a_run_that_does_not_send_what_had_landed_is_held_at_its_end_with_both_lists(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[:] = [("send", "y")]

        assert await restart(supervisor, runtime, letter) == "held"
        assert "at '^send/1'" in (runtime.held_detail or "")
        assert "; the end" in (runtime.held_detail or "")

        world.plan[:] = [("send", "x"), ("send", "y")]
        await runtime.resume()
        assert await came_of(runtime, await supervisor.ticket("a", input_id=letter)) == "consumed"
        await settled(runtime)
        assert world.got == ["x", "y"]


async def test_a_step_that_never_repeats_may_be_what_was_sent_before(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[:] = [("pay", "x")]

        assert await restart(supervisor, runtime, letter) == "held"
        assert world.paid == []


async def test_a_restarted_run_that_fails_and_enters_again_sends_nothing_twice(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[:] = [
            ("send", "x"),
            ("send", "y"),
            ("boundary", None),
            ("send", "x"),
            ("boundary", None),
            ("fail", ""),
        ]
        assert await restart(supervisor, runtime, letter) == "abandoned"

        del world.plan[-1]
        await runtime.retry(letter)
        assert await came_of(runtime, await supervisor.ticket("a", input_id=letter)) == "consumed"
        await settled(runtime)
        assert world.got == ["x", "y", "x"]


async def test_what_a_restarted_run_took_over_is_taken_over_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[:] = [("send", "x"), ("send", "y"), ("boundary", None), ("fail", "of a test")]
        assert await restart(supervisor, runtime, letter) == "abandoned"
        del world.plan[-1]

        assert await restart(supervisor, runtime, letter) == "consumed"
        await settled(runtime)
        assert world.got == ["x", "y"]


async def test_what_nobody_took_is_not_sent_again_while_it_waits_as_a_dead_letter(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime = await supervisor.spawn("a", "lead")
        await (await runtime.accept("go")).wait_outcome()
        letters = {each.reason: each.input_id for each in await supervisor.dead_letters("a")}
        await supervisor.spawn("bob", "bob")
        del world.plan[-1]

        assert await restart(supervisor, runtime, letters["max_attempts_exhausted"]) == "consumed"
        await settled(runtime)
        assert world.got == []
        await runtime.retry(letters["refused"])
        await settled(runtime)
        assert world.got == ["x"]


async def test_a_send_that_is_forgotten_without_a_restart_leaves_its_number_to_itself(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("send", "y"), ("boundary", None), ("fail", "of a test"))
    async with open_host(world.kinds) as supervisor:
        runtime, letter = await begin(supervisor)
        world.plan[:] = [("send", "x"), ("boundary", None), ("send", "y")]
        await runtime.retry(letter)
        ticket = await supervisor.ticket("a", input_id=letter)
        assert await came_of(runtime, ticket) == "held"

        await runtime.resume(forget=["send/2"])
        assert await came_of(runtime, ticket) == "consumed"
        await settled(runtime)
        assert world.got == ["x", "y", "y"]


async def test_a_loser_of_a_first_that_sends_what_had_landed_has_sent_nothing_new(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World(("send", "x"), ("boundary", None), ("fail", "of a test"))
    sent = ["x"]

    async def act(run: tenure.Run) -> None:
        async def slow() -> None:
            run.send("bob", "x")
            await run.sleep(10)

        async def quick() -> None:
            await run.sleep(1)

        await run.first(slow, quick)
        for each in sent:
            run.send("bob", each)

    async with open_host(world.kinds) as supervisor:
        _, letter = await begin(supervisor)

    async with open_host(world.kinds | {"lead": tenure.Behaviour(act, version="1")}) as supervisor:
        runtime = await supervisor.spawn("a", "lead")
        assert await restart(supervisor, runtime, letter) == "consumed"
        await settled(runtime)
        assert world.got == ["x"]
