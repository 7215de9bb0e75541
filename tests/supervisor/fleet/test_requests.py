"""Verbs asked of an owner elsewhere, or of nobody: stored, carried out once, and answered (design §4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidTransition, NotAccepting, RuntimeDestroyed
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.supervisor.supervisor import host_of
from tests.kit.worlds import (
    LIMITS,
    Host,
    idle,
    supervisor,
)

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
        for verb in (foreign.stop, foreign.resume, foreign.cancel):
            with pytest.raises(RuntimeDestroyed):
                await verb()
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
        assert host_of(without_the_kind).owned.all == []
    async with supervisor(database, {"kind": idle}) as with_the_kind:
        await (await with_the_kind.find("a")).recycle()
        runtime = with_the_kind.runtime("a")
        assert runtime.state == "idle"
        assert runtime.fence_token > token + 1  # the change without an owner minted one too


@pytest.mark.sqlite("a death is proven by a lock file")
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


# --- A runtime that was stopped


async def test_a_stopped_runtime_that_nobody_owns_comes_to_life_by_a_spawn_and_by_nothing_else(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": idle}) as before:
        runtime = await before.spawn("a", "kind")
        await (await runtime.accept("x", idempotency_key="k")).wait_outcome()
        await runtime.stop()
    async with supervisor(database, {"kind": idle}) as after:
        again = await after.accept("a", "x", idempotency_key="k")
        assert again.deduplicated
        await trio.sleep(1)
        assert host_of(after).owned.all == []

        await (await after.find("a")).resume()
        assert after.runtime("a").state == "stopped"
        with pytest.raises(NotAccepting):
            await after.accept("a", "y")

        assert (await after.spawn("a", "kind")).state == "attached"
        assert (await (await after.accept("a", "y")).wait_outcome()).phase == "consumed"


@pytest.mark.sqlite("a death is proven by a lock file")
@pytest.mark.parametrize("kinds", [{"kind": idle}, {}], ids=["by-an-heir", "by-the-asker"])
async def test_a_request_for_a_stopped_runtime_is_answered_when_its_owner_dies_and_revives_nothing(
    database: Path, autojump_clock: MockClock, kinds: Mapping[str, Any]
) -> None:
    dying = Host()
    slow = tenure.Limits(poll_s=1000.0)  # an heir is faster than the asker
    async with (
        supervisor(database, {"kind": idle}, dying) as dead,
        supervisor(database, {}, limits=slow) as asker,
        trio.open_nursery() as nursery,
    ):
        await (await dead.spawn("a", "kind")).stop()
        dying.gate.freeze()
        refused = trio.Event()

        async def reset() -> None:
            with pytest.raises(InvalidTransition):
                await (await asker.find("a")).reset()
            refused.set()

        nursery.start_soon(reset)
        await trio.sleep(0.5)
        async with supervisor(database, kinds) as heir:
            dying.locks.die()
            with trio.fail_after(LIMITS.renew_s):
                await refused.wait()

            assert [facts.standing.state for facts in host_of(heir).owned.all] == ["stopped"] * len(kinds)
            async with heir.store.read_connection() as connection:  # no later life of the runtime meets it
                assert await connection.query("SELECT * FROM requests WHERE done_at IS NULL") == []
        dying.gate.thaw()


# --- What a host alone knows


async def test_what_stands_in_no_record_is_told_to_other_hosts_too(database: Path, autojump_clock: MockClock) -> None:
    async def looks(run: tenure.Run) -> None:
        await run.step("look", trio.sleep_forever, repeat="freely")

    async def pays(run: tenure.Run) -> None:
        if run.attempts == 0:
            await run.step("look", int, repeat="freely", call="c")
            raise ConnectionError("of a test")
        await run.step("pay", int, repeat="never")

    async def forever(run: tenure.Run) -> None:
        await trio.sleep_forever()

    policy = tenure.RestartPolicy(backoff_s=0.001)
    kinds = {
        "looks": looks,
        "pays": tenure.Behaviour(pays, restart=policy, version="7", replay_s=1e6),
        "one": tenure.Behaviour(forever, max_running=1),
    }
    async with supervisor(database, kinds) as owner, supervisor(database, {}) as asker:
        for name, kind in (("looks", "looks"), ("pays", "pays"), ("first", "one"), ("second", "one")):
            await (await owner.spawn(name, kind)).accept("go")
            await trio.sleep(2)

        told = {name: (await asker.why(name))["because"] for name in ("looks", "pays", "first", "second")}

        assert told["looks"].startswith("its run executes step look at main/1, attempt 1, for ")
        assert told["pays"].startswith("its run waits with step pay at main/1, attempt 1, version 7, for ")
        assert "at #c" in told["pays"]
        assert told["first"] == "its run executes, and has recorded nothing yet"
        assert told["second"] == "waits for a slot: 1 of 1 are taken"
        assert (await asker.why("second"))["open_requests"] == []
