"""Passivation: what nobody uses costs next to nothing, and comes back when somebody does."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

import tenure
from tenure.errors import Closed
from tenure.supervisor.supervisor import host_of
from tests.kit.alone import OpenHost


async def well(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


async def test_an_idle_actor_is_dropped_with_nothing_written_and_its_runtime_stays_owned(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": well}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()
        token, commits = runtime.fence_token, supervisor.statistics().commits
        await trio.sleep(200)

        after = supervisor.statistics()
        assert (after.runtimes, after.active, after.commits) == (1, 0, commits)

        assert (await (await runtime.accept(2)).wait_outcome()).phase == "consumed"
        assert (runtime.fence_token, supervisor.statistics().active) == (token, 1)
        assert await supervisor.read_session("a") == [1, 2]


async def test_a_message_from_a_peer_wakes_a_passivated_runtime(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("a", "wake up")

    async with open_host({"k": well, "sender": sender}) as supervisor:
        await supervisor.spawn("a", "k")
        other = await supervisor.spawn("b", "sender")
        await trio.sleep(200)
        assert supervisor.statistics().active == 0

        await other.accept(1)
        await trio.sleep(1)

        assert await supervisor.read_session("a") == ["wake up"]


async def test_the_end_of_a_passivated_actor_cuts_off_no_run_of_the_next_one(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    go_on = trio.Event()

    async def wait(run: tenure.Run) -> None:
        await go_on.wait()

    async with open_host({"k": wait}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.wait_state("attached")
        owned = host_of(supervisor).owned
        (actor,) = owned.actors
        owned.passivate(actor)
        ticket = await runtime.accept(1)
        await runtime.wait_state("running")

        actor.close(Closed(what="actor"))  # as its own task does, some turns of the loop after it was closed
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()

        with trio.fail_after(10):
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_who_waits_for_a_state_keeps_the_actor(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async with open_host({"k": well}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        seen: list[str] = []

        async def wait() -> None:
            seen.append(await runtime.wait_state("retired"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(200)
            assert supervisor.statistics().active == 1
            await runtime.retire()
        assert seen == ["retired"]


async def test_a_failed_run_that_waits_for_its_next_attempt_keeps_its_actor(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    attempts: list[float] = []

    async def failing(run: tenure.Run) -> None:
        attempts.append(trio.current_time())
        if len(attempts) == 1:
            raise ValueError("no")

    patient = tenure.RestartPolicy(backoff_s=500, backoff_limit_s=500, jitter=0)
    async with open_host({"k": tenure.Behaviour(failing, restart=patient)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert attempts[1] - attempts[0] == pytest.approx(500, abs=1)
