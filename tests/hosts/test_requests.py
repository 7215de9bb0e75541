"""Verbs asked of an owner elsewhere, or of nobody: stored, carried out once, and answered (design §4)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidTransition, RuntimeDestroyed
from tenure.persistence.facets import runtimes
from tenure.persistence.values import LogicalRuntimeId
from tests.hosts.worlds import LIMITS, Host, idle, supervisor

# --- Whoever carries it out


async def test_lifecycle_verbs_are_carried_out_by_the_owner(database: Path, autojump_clock: MockClock) -> None:
    async with supervisor(database, {"kind": idle}) as owner, supervisor(database, {}) as asker:
        runtime = await owner.spawn("a", "kind")
        foreign = await asker.find("a")
        token = runtime.fence_token

        await foreign.retire()
        assert runtime.state == "retired"
        await foreign.recycle()
        assert runtime.state == "idle"
        await foreign.reset()
        assert runtime.generation == 1
        assert runtime.fence_token > token
        await foreign.stop()
        assert runtime.state == "stopped"
        with pytest.raises(InvalidTransition) as refused:
            await foreign.reset()
        assert refused.value.state == "stopped"
        await foreign.destroy()
        with pytest.raises(RuntimeDestroyed):
            await foreign.stop()
        with pytest.raises(RuntimeDestroyed):
            await asker.accept("a", "x")
        with pytest.raises(RuntimeDestroyed):
            await owner.spawn("a", "kind")
        assert await foreign.wait_state("destroyed") == "destroyed"


async def test_a_held_runtime_is_resumed_from_another_host(database: Path, autojump_clock: MockClock) -> None:
    failing = True

    async def moody(run: tenure.Run) -> None:
        if failing:
            raise ValueError

    policy = tenure.RestartPolicy(budget=1)
    behaviours = {"kind": tenure.Behaviour(moody, restart=policy)}
    async with supervisor(database, behaviours) as owner, supervisor(database, {}) as asker:
        runtime = await owner.spawn("a", "kind")
        ticket = await runtime.accept("x")
        foreign = await asker.find("a")
        assert await foreign.wait_held() == await runtime.wait_held() == "budget used up"
        failing = False
        await foreign.resume()
        assert runtime.held is None
        await foreign.wait_resumed()
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_verb_for_a_runtime_that_nobody_owns_is_carried_out_by_whoever_asks(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": idle}) as gone:
        token = (await gone.spawn("a", "kind")).fence_token
    async with supervisor(database, {"other": idle}) as without_the_kind:
        await (await without_the_kind.find("a")).retire()
        assert without_the_kind.owned == []
    async with supervisor(database, {"kind": idle}) as with_the_kind:
        await (await with_the_kind.find("a")).recycle()
        runtime = with_the_kind.runtime("a")
        assert runtime.state == "idle"
        assert runtime.fence_token > token + 1  # the change without an owner minted one too


async def test_a_request_outlives_its_owner_and_is_carried_out_by_the_next_one_once(
    database: Path, autojump_clock: MockClock
) -> None:
    dying = Host()
    async with (
        supervisor(database, {"kind": idle}, dying) as dead,
        supervisor(database, {}) as asker,
        trio.open_nursery() as nursery,
    ):
        await dead.spawn("a", "kind")
        dying.gate.freeze()
        foreign = await asker.find("a")
        done = trio.Event()

        async def reset() -> None:
            await foreign.reset()
            done.set()

        nursery.start_soon(reset)
        await trio.sleep(1)
        assert not done.is_set()
        async with supervisor(database, {"kind": idle}) as heir:
            dying.locks.die()
            with trio.fail_after(LIMITS.renew_s):
                await done.wait()
            dying.gate.thaw()
            await trio.sleep(2 * LIMITS.renew_s)
            record = await heir.store.read(partial(runtimes.find, runtime_id=LogicalRuntimeId("a")))
            assert record is not None
            assert record.generation == 1  # reset by the heir or by the asker, whoever was first, and by nobody twice


async def test_a_request_to_an_owner_that_dies_is_carried_out_by_the_asker_where_nobody_else_can(
    database: Path, autojump_clock: MockClock
) -> None:
    dying = Host()
    async with (
        supervisor(database, {"kind": idle}, dying) as dead,
        supervisor(database, {}) as asker,
        trio.open_nursery() as nursery,
    ):
        await dead.spawn("a", "kind")
        dying.gate.freeze()
        foreign = await asker.find("a")
        nursery.start_soon(foreign.stop)
        await trio.sleep(1)
        dying.locks.die()
        assert await foreign.wait_state("stopped") == "stopped"
        dying.gate.thaw()
