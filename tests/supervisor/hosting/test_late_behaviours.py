"""Behaviours whose run was dropped: they do nothing more, and no other begins before they have ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.actors.worker import LINGERS
from tenure.errors import Closed, InvalidTransition, RunEnded
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.runs.interrupted import DropRun
from tenure.supervisor.supervisor import host_of
from tests.kit.alone import OpenHost
from tests.kit.hosting import (
    Gate,
    host,
)


class Tidy:
    """A behaviour that hangs over its first input, and cleans up under a shield when it is cancelled."""

    def __init__(self, clean_up_s: float) -> None:
        self.clean_up_s = clean_up_s
        self.alive = 0
        self.most = 0
        self.tools: list[object] = []
        self.refused: list[type[BaseException]] = []

    async def __call__(self, run: tenure.Run) -> None:
        payload = run.inputs[0].payload
        self.alive += 1
        self.most = max(self.most, self.alive)
        try:
            if payload == "hang":
                await trio.sleep_forever()
            await run.step("tool", self.tools.append, payload, repeat="freely")
        finally:
            with trio.CancelScope(shield=True):
                if payload == "hang":
                    await trio.sleep(self.clean_up_s)
                    await self.be_late(run)
            self.alive -= 1

    async def be_late(self, run: tenure.Run) -> None:
        try:
            await run.step("late", self.tools.append, "late", repeat="freely")
        except RunEnded as exc:
            self.refused.append(type(exc))
        try:
            await run.checkpoint()
        except RunEnded as exc:
            self.refused.append(type(exc))


@pytest.mark.parametrize("verb", ["cancel", "stop"])
async def test_the_next_run_begins_behind_the_clean_up_of_the_last_one_which_does_nothing_more(
    autojump_clock: MockClock, open_host: OpenHost, verb: str
) -> None:
    tidy = Tidy(clean_up_s=5)

    async with open_host({"k": tidy}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept("hang")
        await wait_all_tasks_blocked()
        await (runtime.cancel() if verb == "cancel" else runtime.stop())
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept("next")

        assert (await ticket.wait_outcome()).phase == "consumed"
        assert tidy.most == 1
        assert tidy.tools == ["next"]
        assert tidy.refused == [RunEnded, RunEnded]


async def test_a_clean_up_without_end_is_told_and_stops_nobody_else(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    tidy = Tidy(clean_up_s=3600)

    async with open_host({"k": tidy}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept("hang")
        await wait_all_tasks_blocked()
        began = trio.current_time()
        await runtime.cancel()
        ticket = await runtime.accept("next")

        assert await runtime.wait_held() == LINGERS
        other = await supervisor.spawn("b", "k")
        assert (await (await other.accept("other")).wait_outcome()).phase == "consumed"
        assert ticket.outcome is None

        await runtime.wait_resumed()
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert trio.current_time() >= began + 3600
        assert tidy.tools == ["other", "next"]


async def test_a_runtime_that_was_lost_and_came_back_waits_for_the_behaviour_that_was_left(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    tidy = Tidy(clean_up_s=5)

    async with open_host({"k": tidy}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept("hang")
        await wait_all_tasks_blocked()
        owned = host_of(supervisor).owned
        owned.lose(owned.facts(runtime.runtime_id), Closed(what="ownership"))
        await wait_all_tasks_blocked()
        runtime = await supervisor.spawn("a", "k")
        await runtime.cancel()
        ticket = await runtime.accept("next")

        assert (await ticket.wait_outcome()).phase == "consumed"
        assert tidy.most == 1
        assert tidy.tools == ["next"]
        assert tidy.refused == [RunEnded, RunEnded]


async def test_a_host_closes_behind_a_clean_up_whose_last_checkpoint_lands(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def careful(run: tenure.Run) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
                run.session.append("saved")
                await run.checkpoint()

    async with open_host({"k": careful}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await wait_all_tasks_blocked()

    async with open_host({}) as supervisor:
        assert await supervisor.read_session("a") == ["saved"]


async def test_a_run_that_executes_is_not_restarted_by_whoever_resumes_too_late(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    go = trio.Event()
    entered: list[str] = []

    async def waiting(run: tenure.Run) -> None:
        entered.append(run.run_id)
        await go.wait()

    async with open_host({"k": waiting}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await wait_all_tasks_blocked()

        with pytest.raises(InvalidTransition):
            await runtime.resume(restart_run=True)

        go.set()
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert len(entered) == 1


async def test_a_run_that_was_dropped_behind_its_actor_does_not_wedge_the_runtime(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    go = trio.Event()
    entered: list[str] = []

    async def waiting(run: tenure.Run) -> None:
        entered.append(run.run_id)
        await go.wait()

    async with open_host({"k": waiting}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await wait_all_tasks_blocked()
        drop = DropRun(runtime_id=runtime.runtime_id, reason=None)
        await supervisor.store.commit(
            Commit(runtime_id=runtime.runtime_id, fence_token=runtime.fence_token, changes=(drop,))
        )

        go.set()
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert len(set(entered)) == 2
        assert runtime.state == "attached"


async def test_what_waits_for_its_turn_while_its_run_is_dropped_does_not_land(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    gate = Gate()
    told: list[type[BaseException]] = []

    async def behaviour(run: tenure.Run) -> None:
        async def shielded(use: Callable[[], Awaitable[object]]) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                try:
                    await use()
                except RunEnded as exc:
                    told.append(type(exc))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shielded, run.checkpoint)
            for call in ("1", "2"):
                nursery.start_soon(shielded, partial(run.step, "pay", pytest.fail, "called", repeat="never", call=call))

    async with host(tmp_path / "agents.db", {"k": behaviour}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await runtime.wait_state("running")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.cancel)
            await trio.sleep(2)
            gate.open()
        await wait_all_tasks_blocked()

        assert told == [RunEnded] * 3
