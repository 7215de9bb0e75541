"""Hosts that drain: what they own goes on elsewhere without a gap, and they take nothing (design §25)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import Closed, DiskFull, InvalidInput, LimitReached, StoreBroken
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.facets.ownership.draining import AskDrain, Drain
from tenure.persistence.facets.ownership.ownership import ReleaseOwnership
from tenure.persistence.store import Store
from tenure.persistence.upkeep.listing import HostLine, list_hosts
from tenure.supervisor.hosting.handover import Handover
from tests.kit.worlds import LIMITS, Host, Reader, idle, supervisor

AT_ONCE_S = 10 * LIMITS.poll_wait_s
"""Long before the next renewal."""


class Steps:
    """A behaviour of three steps that notes which of them it did; a step can be kept waiting."""

    def __init__(self, repeat: Any = "never") -> None:
        self.repeat = repeat
        self.done: list[str] = []
        self.entered = trio.Event()
        self.go_on = trio.Event()

    async def __call__(self, run: tenure.Run) -> None:
        for name in ("one", "two", "three"):
            await run.step(name, self.step, name, repeat=self.repeat)
        run.session.append("done")

    async def step(self, name: str) -> None:
        self.entered.set()
        await self.go_on.wait()
        self.done.append(name)

    def open(self) -> Steps:
        self.go_on.set()
        return self


async def hosts_of(opened: tenure.Supervisor) -> list[HostLine]:
    return await opened.store.read(list_hosts)


async def line_of(opened: tenure.Supervisor) -> HostLine:
    (mine,) = [each for each in await hosts_of(opened) if each.incarnation == opened.store.incarnation]
    return mine


async def test_a_run_goes_on_elsewhere_with_the_step_that_it_has_not_begun(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Steps(), Steps().open()
    async with (
        supervisor(database, {"kind": here}) as first,
        supervisor(database, {"kind": there}) as second,
        trio.open_nursery() as nursery,
    ):
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        nursery.start_soon(partial(first.drain, drain_s=100))
        await trio.sleep(1)
        assert there.done == []
        with trio.fail_after(AT_ONCE_S):
            here.go_on.set()
            outcome = await ticket.wait_outcome()

        assert outcome.phase == "consumed"
        assert (here.done, there.done) == (["one"], ["two", "three"])
        assert (await second.find("a")).kind == "kind"
        assert first.statistics().runtimes == 0


async def test_all_that_is_idle_is_given_back_at_once_and_what_comes_for_it_runs_elsewhere(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Reader(), Reader()
    async with supervisor(database, {"kind": here}) as first, supervisor(database, {"kind": there}):
        runtimes = [await first.spawn(f"a{number}", "kind") for number in range(40)]
        for runtime in runtimes[:3]:
            await (await runtime.accept("before")).wait_outcome()
        with trio.fail_after(AT_ONCE_S):
            await first.drain()
        assert first.statistics().runtimes == 0
        assert (await line_of(first)).drain == "drained"
        assert (await line_of(first)).runtimes == 0

        with trio.fail_after(40 * AT_ONCE_S):
            for runtime in runtimes:
                assert (await (await runtime.accept("after")).wait_outcome()).phase == "consumed"
        assert here.ran == ["before"] * 3
        assert there.ran == ["after"] * 40


async def test_a_handle_of_the_host_that_drained_reaches_the_one_that_has_its_runtime(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": idle}) as first, supervisor(database, {"kind": idle}) as second:
        runtime = await first.spawn("a", "kind")
        await first.drain()
        taken = await second.spawn("a", "kind")
        await runtime.retire()
        assert taken.state is tenure.RuntimeState.RETIRED
        await runtime.destroy()
        assert await taken.wait_state("destroyed") is tenure.RuntimeState.DESTROYED


async def test_a_host_that_drains_refuses_to_spawn_and_takes_again_when_that_has_ended(
    database: Path, autojump_clock: MockClock
) -> None:
    reader = Reader()
    async with supervisor(database, {"kind": reader}) as only:
        await only.drain()
        for call in (only.spawn("a", "kind"), only.spawn_many(["a", "b"], "kind")):
            with pytest.raises(LimitReached) as refused:
                await call
            assert refused.value.limit == 0
        ticket = await only.accept("a", "waits", kind="kind")
        await trio.sleep(60)
        assert reader.ran == []

        await only.undrain()
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert (await line_of(only)).drain is None


async def test_a_run_that_comes_to_nothing_in_time_is_cut_off_and_counts_no_attempt(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Steps(repeat="freely"), Steps(repeat="freely").open()
    async with supervisor(database, {"kind": here}) as first, supervisor(database, {"kind": there}) as second:
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        began = trio.current_time()
        await first.drain(drain_s=5)
        assert 5 <= trio.current_time() - began < 6
        with trio.fail_after(AT_ONCE_S):
            outcome = await ticket.wait_outcome()
        assert outcome.phase == "consumed"
        assert there.done == ["one", "two", "three"]
        assert second.statistics().failed_attempts == first.statistics().failed_attempts == 0


async def test_what_waits_durably_is_put_aside_and_holds_nothing_up(database: Path, autojump_clock: MockClock) -> None:
    async def sleepy(run: tenure.Run) -> None:
        await run.sleep(120)

    async with supervisor(database, {"kind": sleepy}) as first:
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await trio.sleep(1)
        with trio.fail_after(AT_ONCE_S):
            await first.drain(drain_s=100)
        (listed,) = await first.list()
        assert listed.aside
        async with supervisor(database, {"kind": sleepy}):
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_branch_in_a_step_is_waited_for_and_leaves_no_doubt(database: Path, autojump_clock: MockClock) -> None:
    go_on, ran = trio.Event(), list[str]()

    async def slow(name: str) -> str:
        await go_on.wait()
        ran.append(name)
        return name

    async def quick(name: str) -> str:
        ran.append(name)
        return name

    async def branches(run: tenure.Run) -> None:
        async def left() -> None:
            await run.step("slow", slow, "slow", repeat="never")
            await run.step("after", quick, "after slow", repeat="never")

        async def right() -> None:
            for number in range(3):
                await run.step("quick", quick, f"quick {number}", repeat="never")
                await run.sleep(1)

        await run.gather(left, right)

    async with (
        supervisor(database, {"kind": branches}) as first,
        supervisor(database, {"kind": branches}),
        trio.open_nursery() as nursery,
    ):
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await wait_all_tasks_blocked()
        await trio.sleep(0.5)
        nursery.start_soon(partial(first.drain, drain_s=100))
        await trio.sleep(8)
        assert ran == ["quick 0"]
        go_on.set()
        outcome = await ticket.wait_outcome()
    assert outcome.phase == "consumed"
    assert sorted(ran) == ["after slow", "quick 0", "quick 1", "quick 2", "slow"]


async def test_another_process_asks_a_host_to_drain_and_to_end_that(database: Path, autojump_clock: MockClock) -> None:
    async with supervisor(database, {"kind": idle}) as first, supervisor(database, {}) as asking:
        await first.spawn("a", "kind")
        for asked, said in (
            (Drain.ASKED, "drained"),
            (Drain.ASKED, "drained"),
            (Drain.ENDED, None),
            (Drain.ENDED, None),
        ):
            change = AskDrain(incarnation=first.store.incarnation, drain=asked)
            assert (await asking.store.commit(Commit(changes=(change,)))).values == (True,)
            with trio.fail_after(AT_ONCE_S):
                while (await line_of(first)).drain != said:
                    await trio.sleep(LIMITS.poll_wait_s)
                    await asking.store.commit(Commit(changes=()))
        change = AskDrain(incarnation="nobody", drain=Drain.ASKED)
        assert (await asking.store.commit(Commit(changes=(change,)))).values == (False,)
        assert (await first.spawn("a", "kind")).kind == "kind"


async def test_a_drain_that_another_process_asked_for_is_ended_by_it_while_a_step_runs(
    database: Path, autojump_clock: MockClock
) -> None:
    here = Steps()
    limits, seams = LIMITS, Host().seams
    async with (
        tenure.open_supervisor(database, behaviours={"kind": here}, limits=limits, seams=seams, drain_s=600) as first,
        supervisor(database, {}) as asking,
    ):
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        for asked, said in ((Drain.ASKED, "drains"), (Drain.ENDED, None)):
            change = AskDrain(incarnation=first.store.incarnation, drain=asked)
            await asking.store.commit(Commit(changes=(change,)))
            with trio.fail_after(AT_ONCE_S):
                while (await line_of(first)).drain != said:  # noqa: ASYNC110 - it says so to nobody
                    await trio.sleep(LIMITS.poll_wait_s)
        here.go_on.set()
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert here.done == ["one", "two", "three"]


@pytest.mark.parametrize(("stored", "says", "at_last"), [("ended", "drains", None), ("asked", None, "drained")])
async def test_what_is_asked_between_a_look_and_what_the_host_says_is_not_lost(
    database: Path, autojump_clock: MockClock, stored: str, says: Drain | None, at_last: str | None
) -> None:
    async with supervisor(database, {"kind": idle}) as first, supervisor(database, {}):
        await first.spawn("a", "kind")
        if says is None:
            await first.drain()
        ask = AskDrain(incarnation=first.store.incarnation, drain=Drain(stored))
        async with trio.open_nursery() as nursery:  # both in one group: no look comes between
            nursery.start_soon(first.store.commit, Commit(changes=(ask,)))
            nursery.start_soon(first.undrain if says is None else first.drain)
        with trio.fail_after(AT_ONCE_S):
            while (await line_of(first)).drain != at_last:  # noqa: ASYNC110 - it says so to nobody
                await trio.sleep(LIMITS.poll_wait_s)
        await trio.sleep(1)
        assert (await line_of(first)).drain == at_last


@pytest.mark.parametrize("ended_by", ["undrain", "cancellation"])
async def test_a_run_whose_clean_up_is_waited_for_when_a_drain_ends_is_given_back_all_the_same(
    database: Path, autojump_clock: MockClock, ended_by: str
) -> None:
    entered = trio.Event()

    async def cleans_up(run: tenure.Run) -> None:
        if entered.is_set():
            return
        entered.set()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with supervisor(database, {"kind": cleans_up}) as first, supervisor(database, {"kind": cleans_up}):
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await entered.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(first.drain, drain_s=1))
            await trio.sleep(2)
            if ended_by == "undrain":
                await first.undrain()
            else:
                nursery.cancel_scope.cancel()
        with trio.fail_after(10):
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_what_a_drain_cut_off_and_could_not_give_back_runs_again_where_it_ends(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Steps(repeat="freely"), Steps(repeat="freely").open()
    commit = Store.commit

    async def full(store: Store, asked: Commit) -> CommitResult:
        if any(isinstance(each, ReleaseOwnership) for each in asked.changes):
            raise DiskFull
        return await commit(store, asked)

    async with supervisor(database, {"kind": here}) as first:
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        with monkeypatch.context() as patch:
            patch.setattr(Store, "commit", full)
            with pytest.raises(DiskFull):
                await first.drain(drain_s=1)
            assert (await line_of(first)).drain == "drains", "it owns a runtime by its row"
            assert (await line_of(first)).runtimes == 1
            here.open()
            await first.undrain()
            await trio.sleep(30)
            assert here.done == []
        with trio.fail_after(LIMITS.renew_s):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert here.done == ["one", "two", "three"]

        ticket = await (await first.spawn("b", "kind")).accept("x")
        here.go_on = trio.Event()
        await trio.sleep(1)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "commit", full)
            with pytest.raises(DiskFull):
                await first.drain(drain_s=1)
        async with supervisor(database, {"kind": there}):
            await first.drain(drain_s=1)
            assert (await line_of(first)).runtimes == 0
            with trio.fail_after(AT_ONCE_S):
                assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_host_that_was_judged_while_it_drained_says_so_in_its_new_row(
    database: Path, autojump_clock: MockClock
) -> None:
    freezing = Host()
    bounded = tenure.Behaviour(idle, max_owned=7)
    async with supervisor(database, {"kind": bounded}, freezing) as first, supervisor(database, {}) as judge:
        await first.drain()
        before = first.store.incarnation
        freezing.gate.freeze()
        await trio.sleep(LIMITS.lease_s + 5)
        freezing.gate.thaw()
        await trio.sleep(LIMITS.renew_s + 1)
        assert first.store.incarnation != before
        line = await line_of(first)
        assert (line.drain, line.max_owned) == ("drained", {"kind": 7})
        assert judge.statistics().lost_hosts == 1


async def test_a_normal_exit_lets_runs_end_and_gives_each_runtime_back_when_its_own_has(
    database: Path, autojump_clock: MockClock
) -> None:
    here, slow, there = Steps(), Steps(), Steps().open()
    behaviours = {"kind": here, "slow": slow, "idle": idle}

    async def exiting(is_open: trio.Event) -> None:
        seams = Host().seams
        async with tenure.open_supervisor(
            database, behaviours=behaviours, limits=LIMITS, seams=seams, drain_s=100
        ) as first:
            await first.spawn("quiet", "idle")
            for kind, steps in (("kind", here), ("slow", slow)):
                await (await first.spawn(kind, kind)).accept("x")
                await steps.entered.wait()
            is_open.set()

    async with supervisor(database, {"kind": there, "slow": there, "idle": idle}) as second:
        is_open = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exiting, is_open)
            await is_open.wait()
            tickets = [await second.accept(each, "y") for each in ("quiet", "kind", "slow")]
            with trio.fail_after(AT_ONCE_S):
                assert (await tickets[0].wait_outcome()).phase == "consumed"
            here.open()
            with trio.fail_after(AT_ONCE_S):
                assert (await tickets[1].wait_outcome()).phase == "consumed"
            await trio.sleep(20)
            slow.open()
        assert (await tickets[2].wait_outcome()).phase == "consumed"
    assert here.done == slow.done == ["one", "two", "three"]
    assert there.done == ["one", "two", "three"] * 2


async def test_a_spawn_at_a_host_that_closes_hears_that_and_no_limit(database: Path, autojump_clock: MockClock) -> None:
    here = Steps()
    heard: list[str] = []

    async def spawns(opened: tenure.Supervisor) -> None:
        await trio.sleep(20)  # the body has ended, and a run has not
        for call in (opened.spawn("b", "kind"), opened.spawn_many(["b", "c"], "kind")):
            with pytest.raises(Closed) as refused:
                await call
            heard.append(str(refused.value))
        here.open()

    async with (
        trio.open_nursery() as nursery,
        tenure.open_supervisor(
            database, behaviours={"kind": here}, limits=LIMITS, seams=Host().seams, drain_s=100
        ) as only,
    ):
        await (await only.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        nursery.start_soon(spawns, only)
    assert heard == [str(Closed(what="supervisor"))] * 2
    assert here.done == ["one", "two", "three"]


async def test_an_exit_that_cannot_say_so_for_want_of_room_lets_runs_end_all_the_same(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Steps()

    async def full(_handover: Handover, _drain: Drain | None) -> None:
        here.go_on.set()
        raise DiskFull

    async with tenure.open_supervisor(
        database, behaviours={"kind": here}, limits=LIMITS, seams=Host().seams, drain_s=100
    ) as only:
        ticket = await (await only.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        monkeypatch.setattr(Handover, "_say", full)
    assert here.done == ["one", "two", "three"]
    assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_store_that_breaks_while_a_host_hands_over_is_the_error_of_the_exit(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Steps()

    async def breaks(_handover: Handover, _drain: Drain | None) -> None:
        raise StoreBroken(incarnation="i", group=None, in_doubt=False, detail="for a test")

    async def work_and_leave() -> None:
        async with tenure.open_supervisor(
            database, behaviours={"kind": here}, limits=LIMITS, seams=Host().seams, drain_s=100
        ) as only:
            await (await only.spawn("a", "kind")).accept("x")
            await here.entered.wait()
            monkeypatch.setattr(Handover, "_say", breaks)

    with pytest.raises(StoreBroken, match="for a test"):
        await work_and_leave()


async def test_a_drain_that_was_cancelled_goes_on_with_the_next(database: Path, autojump_clock: MockClock) -> None:
    here, there = Steps(), Steps().open()
    async with supervisor(database, {"kind": here}) as first, supervisor(database, {"kind": there}):
        ticket = await (await first.spawn("a", "kind")).accept("x")
        await here.entered.wait()
        with trio.move_on_after(3):
            await first.drain(drain_s=100)
        assert first.statistics().runtimes == 1
        assert (await line_of(first)).drain == "drains"
        here.go_on.set()
        await first.drain(drain_s=100)
        assert (await ticket.wait_outcome()).phase == "consumed"
    assert (here.done, there.done) == (["one"], ["two", "three"])


@pytest.mark.parametrize("drain_s", [-1, "soon"])
async def test_a_time_that_cannot_be_is_refused(database: Path, autojump_clock: MockClock, drain_s: Any) -> None:
    async with supervisor(database, {}) as only:
        with pytest.raises(InvalidInput):
            await only.drain(drain_s=drain_s)


# --- Bounds

NO_HOST = "no living host has it"
FULL = "1 owns as many as max_owned says"


async def test_why_says_what_keeps_each_host_that_lives_from_taking_it(
    database: Path, autojump_clock: MockClock
) -> None:
    reader = Reader()
    reader.wait_in_step()

    async def why(client: tenure.Supervisor, runtime_id: str) -> str:
        because: str = (await client.why(runtime_id))["because"]
        return because

    async with supervisor(database, {}) as client:
        await client.accept("other", "x", kind="other")
        await client.accept("a", "x", kind="kind")
        assert await why(client, "other") == f"{NO_HOST}: none that has behaviours has the store open"
        bounded = tenure.Behaviour(reader, max_owned=1)
        async with supervisor(database, {"kind": bounded}) as full, supervisor(database, {"kind": reader}) as drained:
            assert (await line_of(full)).kinds == ("kind",)
            await drained.drain(drain_s=0)
            await client.accept("b", "x", kind="kind")
            await trio.sleep(60)
            (left,) = [each.runtime_id for each in await client.unowned() if each.kind == "kind"]
            assert await why(client, "other") == (
                f"{NO_HOST}: none of 2 that have behaviours has one of its kind 'other'; they have 'kind'"
            )
            assert await why(client, left) == (
                f"{NO_HOST}: of 2 that have a behaviour of its kind 'kind', 1 drains, {FULL} (1)"
            )
            reader.go_on.set()


async def test_a_host_owns_no_more_than_its_bound_and_the_rest_is_for_others(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Reader(), Reader()
    here.wait_in_step()
    bounded = tenure.Behaviour(here, max_owned=2)
    async with supervisor(database, {}) as client, supervisor(database, {"kind": bounded}) as first:
        tickets = [await client.accept(f"a{number}", "x", kind="kind") for number in range(6)]
        await trio.sleep(60)
        assert first.statistics().runtimes == 2
        assert (await line_of(first)).max_owned == {"kind": 2}
        waiting = await client.unowned()
        whys = {(await client.why(each.runtime_id))["because"] for each in waiting}
        assert (len(waiting), whys) == (4, {f"{NO_HOST}: of 1 that have a behaviour of its kind 'kind', {FULL} (2)"})
        with pytest.raises(LimitReached) as refused:
            await first.spawn("b", "kind")
        assert refused.value.limit == 2
        async with supervisor(database, {"kind": there}) as second:
            with trio.fail_after(AT_ONCE_S):
                while second.statistics().runtimes < 4:  # noqa: ASYNC110 - it says so to nobody
                    await trio.sleep(LIMITS.poll_wait_s)
            here.go_on.set()
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "consumed"
    assert sorted((len(here.ran), len(there.ran))) == [2, 4]


async def test_a_host_alone_gives_back_what_is_idle_and_does_all_with_its_bound(
    database: Path, autojump_clock: MockClock
) -> None:
    reader, most = Reader(), 0
    async with supervisor(database, {"kind": tenure.Behaviour(reader, max_owned=3)}) as only:
        handles = await only.spawn_many([f"a{number}" for number in range(3)], "kind")
        tickets = [await only.accept(f"a{number}", "x", kind="kind") for number in range(20)]
        with trio.fail_after(LIMITS.renew_s):
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "consumed"
                most = max(most, only.statistics().runtimes)
        assert most <= 3
        for handle in handles:  # whether or not they are owned at this moment
            assert (await (await handle.accept("y")).wait_outcome()).phase == "consumed"
        assert (await only.spawn("b", "kind")).kind == "kind"
        assert only.statistics().runtimes <= 3
    assert len(reader.ran) == 23


async def test_what_waits_for_room_has_it_also_after_a_drain_that_was_ended(
    database: Path, autojump_clock: MockClock
) -> None:
    reader = Reader()
    reader.wait_in_step()
    bounded = tenure.Behaviour(reader, max_owned=1)
    async with supervisor(database, {"kind": bounded}) as only, trio.open_nursery() as nursery:
        tickets = [await only.accept("a", "x", kind="kind")]
        await reader.entered.wait()
        tickets.append(await only.accept("b", "y", kind="kind"))
        await trio.sleep(1)
        nursery.start_soon(partial(only.drain, drain_s=100))
        await trio.sleep(1)
        await only.undrain()
        await trio.sleep(1)
        reader.go_on.set()
        with trio.fail_after(10):
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "consumed"


@pytest.mark.parametrize("bound", [0, -1, True, "3"])
async def test_a_bound_that_cannot_be_is_refused(bound: Any) -> None:
    with pytest.raises(InvalidInput):
        tenure.Behaviour(idle, max_owned=bound)


async def test_schedules_fire_for_a_drained_host_and_what_they_bring_runs_elsewhere_or_waits(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Reader(), Reader()
    async with supervisor(database, {"kind": here}) as first:
        await first.schedules.create("s", "a", tenure.Every(10), "tick", "kind", overlap="queue")
        await trio.sleep(15)
        await first.drain()
        await trio.sleep(30)
        assert here.ran == ["tick"]
        async with supervisor(database, {"kind": there}):
            await trio.sleep(20)
            assert len(there.ran) == 5, "what had waited, and what came since"
        await trio.sleep(20)
        await first.undrain()
        await trio.sleep(1)
        found = await first.schedules.occurrences("s")
        assert [each.skipped for each in found] == [None] * 8
        assert (len(here.ran), len(there.ran)) == (3, 5)


async def test_what_is_on_hold_on_a_drained_host_begins_nowhere_until_that_has_ended(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Reader(), Reader()
    async with supervisor(database, {"kind": here}) as first, supervisor(database, {"kind": there}):
        before, after = await first.spawn_many(["before", "after"], "kind")
        await before.hold("look first")
        tickets = [await before.accept("x")]
        await trio.sleep(1)
        await first.drain()
        await after.hold("by the handle of the host that has drained")
        tickets.append(await after.accept("y"))
        await trio.sleep(30)
        assert here.ran == there.ran == []
        for runtime, ticket in zip((before, after), tickets, strict=True):
            await runtime.resume(hold=True)
            with trio.fail_after(AT_ONCE_S):
                assert (await ticket.wait_outcome()).phase == "consumed"
        assert (here.ran, there.ran) == ([], ["x", "y"])
