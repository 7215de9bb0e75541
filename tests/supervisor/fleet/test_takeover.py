"""Supervisors that share one file: taking over, losing, and waking each other (design §4)."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import Closed, Contended, NotFound, RuntimeOwned
from tenure.supervisor.supervisor import host_of
from tests.kit.ground import lease_lapsed
from tests.kit.worlds import (
    LIMITS,
    LONGEST_S,
    Host,
    Reader,
    idle,
    supervisor,
)

# --- Who owns


@pytest.mark.slow
async def test_spawn_of_what_another_host_owns_names_it_and_with_wait_waits_for_it(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": idle}) as second, trio.open_nursery() as nursery:
        tokens: list[int] = []
        async with supervisor(database, {"kind": idle}) as first:
            tokens.append((await first.spawn("a", "kind")).fence_token)
            with pytest.raises(RuntimeOwned) as refused:
                await second.spawn("a", "kind")
            assert refused.value.holder == first.store.incarnation

            async def wait() -> None:
                tokens.append((await second.spawn("a", "kind", wait=True)).fence_token)

            nursery.start_soon(wait)
            await trio.sleep(60)
            assert len(tokens) == 1
        await trio.sleep(1)
        assert tokens == sorted(set(tokens))
        assert len(tokens) == 2


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_the_runtimes_of_a_dead_host_are_taken_over_at_once_and_go_on(
    database: Path, autojump_clock: MockClock
) -> None:
    first, second, dying = Reader(), Reader(), Host()
    first.wait_in_step()
    async with (
        supervisor(database, {"kind": first}, dying) as dead,
        supervisor(database, {"kind": second}) as living,
    ):
        ticket = await (await dead.spawn("a", "kind")).accept("x")
        await first.entered.wait()
        dying.gate.freeze()
        dying.locks.die()

        found = await living.ticket("a", input_id=ticket.input_id)
        with trio.fail_after(LIMITS.renew_s):  # long before its lease has lapsed
            outcome = await found.wait_outcome()

        assert outcome.phase == "consumed"
        assert second.ran == ["x"]
        assert second.steps == ["x"]
        dying.gate.thaw()


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_a_spawn_does_not_wait_for_the_lease_of_a_host_that_is_dead(
    database: Path, autojump_clock: MockClock
) -> None:
    dying = Host()
    async with supervisor(database, {"kind": idle}, dying) as dead, supervisor(database, {"kind": idle}) as living:
        token = (await dead.spawn("a", "kind")).fence_token
        dying.gate.freeze()
        dying.locks.die()

        assert (await living.spawn("a", "kind")).fence_token > token
        dying.gate.thaw()


async def test_a_frozen_host_is_judged_lapsed_and_lands_nothing_when_it_wakes(
    database: Path, autojump_clock: MockClock
) -> None:
    first, second, freezing = Reader(), Reader(), Host()
    first.wait_in_step()
    async with (
        supervisor(database, {"kind": first}, freezing) as zombie,
        supervisor(database, {"kind": second}) as living,
    ):
        lost, kept = await zombie.spawn("lost", "kind"), await zombie.spawn("kept", "kind")
        ticket = await lost.accept("x")
        await first.entered.wait()
        freezing.gate.freeze()
        with pytest.raises(RuntimeOwned):
            await living.spawn("lost", "kind")

        taken = await living.spawn("lost", "kind", wait=True)

        assert taken.fence_token > lost.fence_token
        assert await living.ticket("lost", input_id=ticket.input_id)
        first.go_on.set()  # its step ends while it is frozen; the result is on its way to the disk
        with trio.fail_after(LIMITS.renew_s):
            assert (await (await living.ticket("lost", input_id=ticket.input_id)).wait_outcome()).phase == "consumed"
        freezing.gate.thaw()

        # Its ticket hears of what the new owner did; its run got no further; what nobody took goes on.
        outcome = await ticket.wait_outcome()
        assert outcome.receipt is not None
        assert outcome.receipt.fence_token == taken.fence_token
        assert second.ran == ["x"]
        assert first.ran == []
        with pytest.raises(Closed):
            await lost.retire()
        assert (await (await kept.accept("y")).wait_outcome()).phase == "consumed"
        assert first.ran == ["y"]
        assert await zombie.read_session("lost") == ["x"]
        with pytest.raises(RuntimeOwned):
            await living.spawn("kept", "kind")
        with pytest.raises(RuntimeOwned):
            await zombie.spawn("lost", "kind")


@pytest.mark.sqlite("a death is proven by a lock file")
@pytest.mark.parametrize(("dies", "crashes"), [(True, 1), (False, 0)], ids=["dead", "frozen"])
async def test_the_run_in_flight_is_charged_for_a_host_that_died_and_not_for_one_that_froze(
    database: Path, autojump_clock: MockClock, *, dies: bool, crashes: int
) -> None:
    first, away = Reader(), Host()
    first.wait_in_step()
    async with supervisor(database, {"kind": first}, away) as gone, supervisor(database, {"kind": first}) as heir:
        await (await gone.spawn("a", "kind")).accept("x")
        await first.entered.wait()
        away.gate.freeze()
        if dies:
            away.locks.die()

        await heir.spawn("a", "kind", wait=True)

        async with heir.store.read_connection() as connection:
            assert await connection.query("SELECT crashes FROM runtimes") == [(crashes,)]
        away.gate.thaw()
        first.go_on.set()


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_a_verb_before_the_takeover_does_not_wipe_the_crash(database: Path, autojump_clock: MockClock) -> None:
    first, away = Reader(), Host()
    first.wait_in_step()
    async with supervisor(database, {"kind": first}, away) as gone, supervisor(database, {}) as other:
        await (await gone.spawn("a", "kind")).accept("x")
        await first.entered.wait()
        away.gate.freeze()
        away.locks.die()

        assert not await (await other.find("a")).cancel("nothing-like-it")

        async with other.store.read_connection() as connection:
            assert await connection.query("SELECT crashes FROM runtimes") == [(1,)]
        async with supervisor(database, {"kind": first}) as heir:
            await heir.spawn("a", "kind", wait=True)
            async with heir.store.read_connection() as connection:
                assert await connection.query("SELECT crashes FROM runtimes") == [(1,)]
            away.gate.thaw()
            first.go_on.set()


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_a_host_without_file_descriptors_finds_nobody_dead_and_goes_on_when_it_has_some(
    database: Path, autojump_clock: MockClock
) -> None:
    reader, dying, poor = Reader(), Host(), Host()
    reader.wait_in_step()
    async with (
        supervisor(database, {"kind": reader}, dying) as dead,
        supervisor(database, {"kind": idle}, poor) as heir,
    ):
        ticket = await (await dead.spawn("a", "kind")).accept("x")
        await reader.entered.wait()
        poor.locks.exhausted = True
        dying.gate.freeze()
        dying.locks.die()
        with pytest.raises(RuntimeOwned):
            await heir.spawn("a", "kind")
        await trio.sleep(1)
        assert host_of(heir).tasks.failure is None
        assert not host_of(heir).owned.owns(tenure.LogicalRuntimeId("a"))

        poor.locks.exhausted = False

        with trio.fail_after(LIMITS.renew_s):
            found = await heir.ticket("a", input_id=ticket.input_id)
            assert (await found.wait_outcome()).phase == "consumed"
        dying.gate.thaw()


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_a_host_that_was_judged_dead_and_cannot_take_a_new_lock_tries_again(
    database: Path, autojump_clock: MockClock
) -> None:
    freezing = Host()
    async with supervisor(database, {"kind": idle}, freezing) as zombie, supervisor(database, {}):
        runtime = await zombie.spawn("a", "kind")
        freezing.gate.freeze()
        await trio.sleep(2 * LIMITS.lease_s)
        freezing.locks.exhausted = True
        freezing.gate.thaw()
        with pytest.raises(Contended):
            await runtime.accept("x")

        freezing.locks.exhausted = False

        assert (await (await runtime.accept("x")).wait_outcome()).phase == "consumed"


async def test_an_observer_whose_machine_slept_judges_nobody_for_it(database: Path, autojump_clock: MockClock) -> None:
    asleep = Host()
    async with supervisor(database, {"kind": idle}, asleep) as observer, supervisor(database, {"kind": idle}) as other:
        runtime = await other.spawn("a", "kind")
        await trio.sleep(1)
        asleep.boot_clock.slept_s += 3600

        await trio.sleep(1)

        with pytest.raises(RuntimeOwned):
            await observer.spawn("a", "kind")
        await runtime.retire()


async def test_no_step_starts_on_a_lapsed_lease_before_the_token_was_found_good(
    database: Path, autojump_clock: MockClock
) -> None:
    host = Host()
    lapsed: list[bool] = []

    async def sleeper(run: tenure.Run) -> None:
        host.boot_clock.slept_s += LIMITS.lease_s
        assert lease_lapsed(opened.store)
        for function in (look_async, look):
            await run.step("look", function, repeat="freely")
            host.boot_clock.slept_s += LIMITS.lease_s

    def look() -> None:
        lapsed.append(lease_lapsed(opened.store))

    async def look_async() -> None:
        look()

    async with supervisor(database, {"kind": sleeper}, host) as opened:
        ticket = await (await opened.spawn("a", "kind")).accept(None)
        assert (await ticket.wait_outcome()).phase == "consumed"
    assert lapsed == [False, False]


async def test_a_step_that_waited_for_a_thread_while_its_host_slept_does_not_start_before_either(
    database: Path, autojump_clock: MockClock
) -> None:
    host = Host()
    lapsed: list[bool] = []

    async def sleeper(run: tenure.Run) -> None:
        host.gate.freeze()
        await run.step("look", look, repeat="freely")

    def look() -> None:
        lapsed.append(lease_lapsed(opened.store))

    async with supervisor(database, {"kind": sleeper}, host) as opened:
        ticket = await (await opened.spawn("a", "kind")).accept(None)
        await trio.sleep(1)
        host.boot_clock.slept_s += LIMITS.lease_s
        host.gate.thaw()
        assert (await ticket.wait_outcome()).phase == "consumed"
    assert lapsed == [False]


async def test_work_that_a_host_leaves_behind_is_taken_over_by_another_one_with_the_kind(
    database: Path, autojump_clock: MockClock
) -> None:
    reader, other = Reader(), Reader()
    async with supervisor(database, {"other": other}) as stranger, supervisor(database, {"kind": reader}) as heir:
        blocked = Reader()
        blocked.wait_in_step()
        async with supervisor(database, {"kind": blocked}) as leaving:
            ticket = await (await leaving.spawn("a", "kind")).accept("x")
            await blocked.entered.wait()
            await trio.sleep(1)  # the others have seen the input come, and that it is not theirs
        with trio.fail_after(LIMITS.renew_s / 2):  # at once, and not at the next renewal
            outcome = await (await stranger.ticket("a", input_id=ticket.input_id)).wait_outcome()
        assert outcome.phase == "consumed"
        assert reader.ran == ["x"]
        assert [facts.runtime_id for facts in host_of(heir).owned.all] == ["a"]


# --- Waking each other


async def test_an_input_from_another_host_wakes_the_owner_and_its_ticket_hears_of_the_outcome(
    database: Path, autojump_clock: MockClock
) -> None:
    reader = Reader()
    async with supervisor(database, {"kind": reader}) as owner, supervisor(database, {}) as front:
        await owner.spawn("a", "kind")
        with trio.fail_after(1):
            ticket = await front.accept("a", "x", idempotency_key="k")
            assert (await ticket.wait_outcome()).phase == "consumed"

        again = await front.accept("a", "x", idempotency_key="k")
        assert again.deduplicated
        assert (await again.wait_outcome()).phase == "consumed"
        with pytest.raises(NotFound):
            await front.accept("nobody", "x")
        assert reader.ran == ["x"]


async def test_a_ticket_of_what_is_replaced_through_another_host_is_answered(
    database: Path, autojump_clock: MockClock
) -> None:
    first = Reader()
    first.wait_in_step()
    async with supervisor(database, {"kind": first}) as owner, supervisor(database, {}) as front:
        runtime = await owner.spawn("a", "kind")
        await runtime.accept("x")
        await first.entered.wait()
        old = await runtime.accept("old", supersession_key="weather")

        new = await front.accept("a", "new", supersession_key="weather")

        with trio.fail_after(1):
            assert (await old.wait_outcome()).phase == "coalesced"
        first.go_on.set()
        assert (await new.wait_outcome()).phase == "consumed"


async def test_an_input_for_a_runtime_that_nobody_owns_is_taken_up_by_a_host_with_its_kind(
    database: Path, autojump_clock: MockClock
) -> None:
    reader = Reader()
    async with supervisor(database, {"kind": idle}) as gone:
        await gone.spawn("a", "kind")
    async with supervisor(database, {}) as front, supervisor(database, {"kind": reader}):
        with trio.fail_after(1):
            assert (await (await front.accept("a", "x")).wait_outcome()).phase == "consumed"
    async with supervisor(database, {"kind": reader}) as alone:
        with trio.fail_after(1):
            assert (await (await alone.accept("a", "y")).wait_outcome()).phase == "consumed"
    assert reader.ran == ["x", "y"]


async def test_a_run_that_waits_to_be_steered_hears_another_host(database: Path, autojump_clock: MockClock) -> None:
    heard: list[object] = []

    async def steered(run: tenure.Run) -> None:
        heard.extend(entry.payload for entry in await run.wait_steered())

    async with supervisor(database, {"kind": steered}) as owner, supervisor(database, {}) as front:
        ticket = await (await owner.spawn("a", "kind")).accept("x")
        await trio.sleep(1)
        await front.accept("a", "left", lane="steer")
        assert (await ticket.wait_outcome()).phase == "consumed"
    assert heard == ["left"]


async def test_a_send_to_a_runtime_of_another_host_is_run_there(database: Path, autojump_clock: MockClock) -> None:
    reader = Reader()

    async def sender(run: tenure.Run) -> None:
        run.send("b", "hello")

    async with supervisor(database, {"reader": reader}) as one, supervisor(database, {"sender": sender}) as other:
        await one.spawn("b", "reader")
        await (await (await other.spawn("a", "sender")).accept(None)).wait_outcome()
        await trio.sleep(1)
        assert reader.ran == ["hello"]


async def test_a_ticket_of_what_ended_elsewhere_is_answered_although_the_runtime_came_here_since(
    database: Path, autojump_clock: MockClock
) -> None:
    # Between two looks: consumed there, let go there, owned here. Nobody here has published that end.
    limits = tenure.Limits(lease_s=1e6, renew_s=1e5, poll_s=1e5)
    reader, away, here = Reader(), Host(), Host()
    reader.wait_in_step()
    with trio.fail_after(LONGEST_S):
        async with tenure.open_supervisor(
            database, behaviours={"kind": idle}, limits=limits, seams=here.seams
        ) as second:
            async with tenure.open_supervisor(
                database, behaviours={"kind": reader}, limits=limits, seams=away.seams
            ) as first:
                given = await (await first.spawn("a", "kind")).accept("x")
                ticket = await second.ticket("a", input_id=given.input_id)
                reader.go_on.set()
                await given.wait_outcome()
            await second.spawn("a", "kind")

            assert (await ticket.wait_outcome()).phase == "consumed"
