"""Passivation: what nobody uses costs next to nothing, and comes back when somebody does."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

import tenure
from tenure.actors.facts import facts_at_rest
from tenure.errors import Closed, NotAccepting
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


async def test_of_what_is_passivated_a_row_is_kept_and_its_handles_notice_nothing(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": well}) as supervisor:
        held = [await supervisor.spawn(str(number), "k") for number in range(2)]
        await supervisor.spawn_many(["never/1", "never/2"], "k")
        retired, stopped = await supervisor.spawn("retired", "k"), await supervisor.spawn("held", "k")
        await (await held[0].accept(1)).wait_outcome()
        await retired.retire()
        await host_of(supervisor).actors.of(host_of(supervisor).owned.facts(stopped.runtime_id)).hold("look at it")
        token = held[0].fence_token
        await trio.sleep(200)

        owned = host_of(supervisor).owned
        assert [facts.runtime_id for facts in owned.in_use] == ["held"]
        assert (len(owned), supervisor.statistics().runtimes, supervisor.statistics().held) == (6, 6, 1)
        assert dict(owned.by_kind) == {"k": 6}
        assert sorted(facts.runtime_id for facts in owned.all) == ["0", "1", "held", "never/1", "never/2", "retired"]
        assert (held[0].state, held[0].fence_token, retired.state) == ("attached", token, "retired")

        again = await supervisor.spawn("0", "k")
        assert (again.fence_token, again.generation, again.held) == (token, 0, None)
        assert (await (await held[0].accept(2)).wait_outcome()).phase == "consumed"
        await held[1].stop()
        assert held[1].state == "stopped"
        with pytest.raises(NotAccepting):
            await retired.accept(3)


async def test_a_handle_of_what_was_lost_at_rest_has_lost_it_for_good(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": well}) as supervisor:
        handle = await supervisor.spawn("a", "k")
        await trio.sleep(200)
        owned = host_of(supervisor).owned
        (facts,) = owned.all
        owned.rest(facts)
        assert owned.in_use == []
        owned.lose(facts, Closed(what="ownership"))

        assert (len(owned), owned.find(handle.runtime_id), owned.owns("a")) == (0, None, False)
        anew = owned.adopt(facts_at_rest(handle.runtime_id, ("k", 0, facts.fence_token + 1, "attached")))
        assert (owned.find(handle.runtime_id), handle.fence_token) == (anew, facts.fence_token)
        with pytest.raises(Closed):
            await handle.retire()
