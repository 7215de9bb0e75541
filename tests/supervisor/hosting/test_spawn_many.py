"""Many runtimes by one call: each with its own token, and refused by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidInput, KindMismatch, RuntimeDestroyed, UnknownKind
from tenure.supervisor.hosting.takeovers import MANY, TOGETHER
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import Gate, consumed, host, nothing


async def test_each_has_a_token_and_works_and_those_that_are_there_are_returned_as_they_are(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        first = await supervisor.spawn("2", "kind")
        await (await supervisor.spawn("3", "kind")).stop()
        before = supervisor.statistics().commits
        found = await supervisor.spawn_many([str(number) for number in range(600)], "kind")

        assert [each.runtime_id for each in found] == [str(number) for number in range(600)]
        assert len({each.fence_token for each in found}) == 600
        assert found[2].fence_token == first.fence_token
        assert {each.state for each in found} == {"attached"}
        assert supervisor.statistics().commits - before == 11, "ten for what is new, and the one that was stopped"
        again = await supervisor.spawn_many(["7", "7"], "kind")
        assert [each.fence_token for each in again] == [found[7].fence_token] * 2
        await consumed(found[599], "work")


async def test_what_is_refused_keeps_no_other_from_being_spawned(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing, "other": nothing}) as supervisor:
        await supervisor.spawn("b", "other")
        with pytest.raises(KindMismatch):
            await supervisor.spawn_many(["a", "b", "c"], "kind")
        with pytest.raises(UnknownKind):
            await supervisor.spawn_many(["d"], "nothing of the sort")
        with pytest.raises(InvalidInput):
            await supervisor.spawn_many(["d", "", "e"], "kind")

        assert {supervisor.runtime(each).kind for each in ("a", "c")} == {"kind"}
        assert supervisor.statistics().runtimes == 3


async def test_of_many_of_which_some_are_refused_each_other_one_is_spawned_once(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    ids = [str(number) for number in range(3 * TOGETHER)]
    async with host(target, {"kind": nothing, "other": nothing}) as supervisor:
        gone = await supervisor.spawn(ids[TOGETHER + 1], "kind")
        await gone.destroy()
        await supervisor.spawn(ids[-1], "other")
        with pytest.raises(RuntimeDestroyed):
            await supervisor.spawn_many(ids, "kind")

        found = {each: supervisor.runtime(each) for each in ids if each != gone.runtime_id}
        assert {each.kind for each in found.values()} == {"kind", "other"}
        assert len({each.fence_token for each in found.values()}) == len(ids) - 1
        before = supervisor.statistics().commits
        with pytest.raises(RuntimeDestroyed):
            await supervisor.spawn_many(ids, "kind")
        assert supervisor.statistics().commits == before


async def test_one_that_is_cancelled_has_spawned_what_the_writer_had_taken_and_no_more(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    async with host(target, {"kind": nothing}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("first", "kind")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.accept, "is with the disk")
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1):
                await supervisor.spawn_many([str(number) for number in range(MANY + 2)], "kind")
            gate.open()

        await trio.testing.wait_all_tasks_blocked()
        assert supervisor.statistics().runtimes == 1
        assert len(await supervisor.spawn_many(["a", "b"], "kind")) == 2
        assert supervisor.statistics().runtimes == 3


async def test_what_the_writer_had_taken_of_one_that_is_cancelled_gets_no_second_token(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    ids = [str(number) for number in range(3 * TOGETHER)]
    limits = tenure.Limits(group_commits=2, poll_s=1.0)
    async with host(target, {"kind": nothing}, gate=gate, limits=limits) as supervisor:
        before = supervisor.statistics().commits
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.spawn_many, ids, "kind")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as other:
                    other.start_soon(supervisor.spawn, "0", "kind")
                    await trio.testing.wait_all_tasks_blocked()
                    gate.open()

        assert supervisor.statistics().commits - before == 2, "what the writer had taken, once each"
        assert [each for each in ids if host_of(supervisor).owned.owns(each)] == ids[: 2 * TOGETHER]
