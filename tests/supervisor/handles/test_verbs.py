"""The verbs of a runtime's life: spawn, retire, reset, stop, destroy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidTransition, KindMismatch, NotFound, RuntimeDestroyed, UnknownKind
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    Gate,
    consumed,
    echo,
    forever,
    host,
    nothing,
    peek,
)


async def test_spawning_ones_own_runtime_returns_the_same_and_mints_nothing(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        first = await supervisor.spawn("alice", "kind")
        token = first.fence_token
        commits = supervisor.statistics().commits
        again = await supervisor.spawn("alice", "kind")
        unchanged = supervisor.statistics().commits
        bob = await supervisor.spawn("bob", "kind")

        assert again.fence_token == first.fence_token == token
        assert unchanged == commits
        assert bob.fence_token == token + 1


async def test_two_spawns_at_once_own_it_once(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    found: list[tenure.Runtime] = []

    async def spawn(supervisor: tenure.Supervisor) -> None:
        found.append(await supervisor.spawn("alice", "kind"))

    async with host(target, {"kind": nothing}) as supervisor:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(spawn, supervisor)
        bob = await supervisor.spawn("bob", "kind")

        assert len({runtime.fence_token for runtime in found}) == 1
        assert bob.fence_token == found[0].fence_token + 1


async def test_every_host_mints_a_higher_token(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    tokens: list[int] = []
    for _ in range(3):
        async with host(database, {"kind": nothing}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            tokens.append(runtime.fence_token)
            assert runtime.generation == 0

    assert tokens == sorted(set(tokens))


async def test_a_kind_that_nobody_knows_and_a_kind_that_is_another_are_refused(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": nothing, "other": nothing}) as supervisor:
        await supervisor.spawn("alice", "kind")
        with pytest.raises(UnknownKind) as unknown:
            await supervisor.spawn("alice", "nobody")
        with pytest.raises(KindMismatch):
            await supervisor.spawn("alice", "other")
    async with host(database, {"other": nothing}) as supervisor:
        with pytest.raises(KindMismatch) as stored:
            await supervisor.spawn("alice", "other")

    assert unknown.value.kind == "nobody"
    assert (stored.value.runtime_id, stored.value.stored, stored.value.given) == ("alice", "kind", "other")


async def test_retire_drains_what_is_there_and_stays_retired_over_a_restart(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(run: tenure.Run) -> None:
        await trio.sleep(1)
        run.session.append(run.inputs[0].payload)

    async with host(database, {"kind": slow}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(n) for n in range(3)]
        await runtime.wait_state("running")
        await runtime.retire()
        stored = peek(database, "SELECT state FROM runtimes")
        running = runtime.state
        for ticket in tickets:
            assert (await ticket.wait_outcome()).phase == "consumed"
        await runtime.wait_state("retired")
        await runtime.retire()  # no change, and no error
    async with host(database, {"kind": slow}) as supervisor:
        again = await supervisor.spawn("alice", "kind")

        assert stored == [["retired"]]
        assert running == "running"
        assert again.state == "retired"
        assert await supervisor.read_session("alice") == [0, 1, 2]


async def test_a_retired_runtime_drains_on_in_the_next_host(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        for n in range(2):
            await runtime.accept(n, idempotency_key=str(n))
        await runtime.retire()
    async with host(database, {"kind": echo}) as supervisor:
        await (await supervisor.ticket("alice", idempotency_key="1")).wait_outcome()

        assert await supervisor.read_session("alice") == [0, 1]
        assert await supervisor.runtime("alice").wait_state("retired") == "retired"


async def test_reset_abandons_and_begins_the_next_life_with_a_new_token_and_the_same_conversation(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "before")
        token = runtime.fence_token
        await runtime.reset()
        first = (runtime.fence_token, runtime.generation, runtime.state)
        receipt = await consumed(runtime, "after")

        assert first == (token + 1, 1, "attached")
        assert (receipt.fence_token, receipt.generation) == (token + 1, 1)
        assert await supervisor.read_session("alice") == ["before", "after"]
    assert peek(database, "SELECT generation, fence_token FROM runtimes") == [[1, token + 1]]


async def test_reset_is_refused_while_a_run_executes_and_changes_nothing(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await runtime.wait_state("running")
        token = runtime.fence_token
        with pytest.raises(InvalidTransition) as caught:
            await runtime.reset()

        assert (caught.value.runtime_id, caught.value.state, caught.value.event) == ("alice", "running", "reset")
        assert (runtime.state, runtime.fence_token, ticket.outcome) == ("running", token, None)
        await runtime.stop()


async def test_stop_cancels_the_run_and_abandons_all_and_spawn_brings_it_back(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    cancelled: list[str] = []

    async def behaviour(run: tenure.Run) -> None:
        run.session.append(run.inputs[0].payload)
        if run.inputs[0].payload == "hangs":
            run.send("bob", "never sent")
            try:
                await trio.sleep_forever()
            finally:
                cancelled.append(run.run_id)

    async with host(target, {"kind": behaviour, "echo": echo}) as supervisor:
        await supervisor.spawn("bob", "echo")
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(payload) for payload in ("hangs", "waits")]
        await runtime.wait_state("running")
        await trio.testing.wait_all_tasks_blocked()
        token = runtime.fence_token
        await runtime.stop()
        await runtime.stop()  # no change, and no error
        outcomes = [await ticket.wait_outcome() for ticket in tickets]
        stopped = runtime.state
        again = await supervisor.spawn("alice", "kind")
        await consumed(again, "works")

        assert len(cancelled) == 1
        assert [(outcome.phase, outcome.reason) for outcome in outcomes] == [("abandoned", "stopped")] * 2
        assert stopped == "stopped"
        assert again.fence_token > token  # a respawn mints
        assert await supervisor.read_session("alice") == ["works"]
        assert await supervisor.read_session("bob") == []
        assert len(await supervisor.dead_letters("alice")) == 2


async def test_stopped_stays_stopped_over_a_restart_until_somebody_spawns_it(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.stop()
    stored = peek(database, "SELECT state FROM runtimes")
    async with host(database, {"kind": nothing}) as supervisor:
        with pytest.raises(NotFound):
            supervisor.runtime("alice")  # it has no work, so nobody took it over
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert stored == [["stopped"]]


async def test_destroy_leaves_a_tombstone_that_no_spawn_passes_here_or_after_a_restart(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(n) for n in range(2)]
        await runtime.wait_state("running")
        await runtime.destroy()
        outcomes = [await ticket.wait_outcome() for ticket in tickets]
        for verb in (runtime.destroy, runtime.stop, runtime.retire, runtime.reset):
            with pytest.raises(RuntimeDestroyed):
                await verb()
        with pytest.raises(RuntimeDestroyed):
            await supervisor.spawn("alice", "kind")
    async with host(database, {"kind": forever}) as supervisor:
        with pytest.raises(RuntimeDestroyed) as caught:
            await supervisor.spawn("alice", "kind")

    assert [(outcome.phase, outcome.reason) for outcome in outcomes] == [("abandoned", "destroyed")] * 2
    assert caught.value.runtime_id == "alice"
    assert peek(database, "SELECT state, owner FROM runtimes") == [["destroyed", None]]


async def test_a_verb_is_on_disk_when_it_returns(database: Path) -> None:
    # Real threads, a real fsync.
    states: list[str] = []
    async with tenure.open_supervisor(database, behaviours={"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        for verb in (runtime.stop, runtime.retire, runtime.reset, runtime.destroy):
            await verb()
            [[state]] = peek(database, "SELECT state FROM runtimes")
            states.append(state)

    assert states == ["stopped", "retired", "idle", "destroyed"]


async def test_stop_comes_behind_the_commit_of_the_run_that_is_in_flight(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    in_checkpoint = trio.Event()

    async def behaviour(run: tenure.Run) -> None:
        run.session.append("landed")
        gate.shut()
        in_checkpoint.set()
        await run.checkpoint()
        run.session.append("not landed")
        await trio.sleep_forever()

    async with host(database, {"kind": behaviour}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await in_checkpoint.wait()
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.stop)
            await trio.testing.wait_all_tasks_blocked()
            assert runtime.state == "running"
            gate.open()
        outcome = await ticket.wait_outcome()

        assert (outcome.phase, outcome.reason) == ("abandoned", "stopped")
        assert await supervisor.read_session("alice") == ["landed"]


@pytest.mark.parametrize("by_its_run", [False, True])
async def test_nothing_is_kept_of_what_was_destroyed_and_all_who_waited_for_it_are_told(
    autojump_clock: trio.testing.MockClock, *, by_its_run: bool
) -> None:
    told: list[RuntimeDestroyed] = []

    async def behaviour(run: tenure.Run) -> None:
        if run.inputs[0].payload == "end":
            run.destroy()

    async with host(":memory:", {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "go")

        async def wait(wait: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(RuntimeDestroyed) as destroyed:
                await wait()
            told.append(destroyed.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, partial(runtime.wait_state, "retired"))
            nursery.start_soon(wait, runtime.wait_held)
            nursery.start_soon(partial(runtime.wait_state, "destroyed"))
            await trio.testing.wait_all_tasks_blocked()
            await (runtime.accept("end") if by_its_run else runtime.destroy())
        await trio.testing.wait_all_tasks_blocked()

        assert len(told) == 2
        assert host_of(supervisor).owned.all == []
        assert supervisor.statistics().runtimes == supervisor.statistics().active == 0
        assert runtime.state == await runtime.wait_state("destroyed") == "destroyed"
        for ask in (
            partial(runtime.accept, 1),
            runtime.stop,
            runtime.wait_held,
            partial(supervisor.spawn, "alice", "kind"),
        ):
            await wait(ask)
