"""Work side by side in one run: call ids, `map`, `gather` and `first`."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, StepFailed
from tests.kit.alone import OpenHost

WAITS = {"a": 3.0, "b": 1.0, "c": 2.0}


class World:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.most = 0
        self._now = 0

    async def work(self, name: str) -> str:
        self.calls.append(name)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await trio.sleep(WAITS.get(name, 1.0))
        finally:
            self._now -= 1
        return name.upper()


def fail_once(run: tenure.Run) -> None:
    if run.attempts == 0:
        raise ConnectionError("of a test")


async def consumed(open_host: OpenHost, behaviour: tenure.Behaviour) -> list[object]:
    """Give it one input, wait until that is consumed, and return the conversation."""
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        return await supervisor.read_session("a") or []


async def test_calls_of_one_tool_are_found_by_their_ids_in_whatever_order(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        names = ["a", "b", "c"] if run.attempts == 0 else ["c", "a", "b"]
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(partial(run.step, "tool", world.work, name, repeat="never", call=f"call_{name}"))
        fail_once(run)

    await consumed(open_host, tenure.Behaviour(act, version="1"))
    assert sorted(world.calls) == ["a", "b", "c"]


async def test_two_things_at_once_in_one_branch_are_refused_and_the_ways_are_named(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run.step, "tool", world.work, "a", repeat="freely"))
            await trio.sleep(0.5)
            with pytest.raises(InvalidInput, match=r"run.map, run.gather, run.first"):
                await run.step("tool", world.work, "b", repeat="freely")
        await run.step("tool", world.work, "c", repeat="freely", call="1")
        with pytest.raises(InvalidInput, match="used before"):
            await run.step("tool", world.work, "c", repeat="freely", call="1")

    await consumed(open_host, tenure.Behaviour(act))
    assert world.calls == ["a", "c"]


async def test_nothing_is_appended_beside_a_call_in_flight(autojump_clock: MockClock, open_host: OpenHost) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run.step, "tool", world.work, "a", repeat="freely", call="1"))
            await trio.sleep(0.5)
            with pytest.raises(InvalidInput):
                run.session.append("no order")
            with pytest.raises(InvalidInput):
                run.send("b", "no order")
            with pytest.raises(InvalidInput):
                run.answer(run.inputs[0], "no order")
            with pytest.raises(InvalidInput):
                run.reject(run.inputs[0], "no order")

    assert await consumed(open_host, tenure.Behaviour(act)) == []


async def asks_for_a_step(run: tenure.Run) -> None:
    await run.step("inner", str, 1, repeat="freely")


async def asks_for_what_steered(run: tenure.Run) -> None:
    run.steered()


async def asks_for_children(run: tenure.Run) -> None:
    await run.children()


@pytest.mark.parametrize("asks", [asks_for_a_step, asks_for_what_steered, asks_for_children])
async def test_a_step_asks_nothing_of_its_run(autojump_clock: MockClock, open_host: OpenHost, asks: Any) -> None:
    async def act(run: tenure.Run) -> None:
        async def inside() -> None:
            await asks(run)

        with pytest.raises(StepFailed, match="inside a step"):
            await run.step("outer", inside, repeat="freely")

    await consumed(open_host, tenure.Behaviour(act))


async def test_a_map_gives_results_in_order_and_does_no_item_twice(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        run.session.append(await run.map("tool", world.work, ["a", "b", "c", "a"], repeat="never", limit=2))
        fail_once(run)

    assert await consumed(open_host, tenure.Behaviour(act, version="1")) == [["A", "B", "C", "A"]]
    assert sorted(world.calls) == ["a", "a", "b", "c"]
    assert world.most == 2


@pytest.mark.parametrize(("repeat", "held"), [("freely", False), ("never", True)])
async def test_a_map_of_another_version_does_what_is_new_and_never_what_may_be_the_same(
    repeat: str, autojump_clock: MockClock, open_host: OpenHost, *, held: bool
) -> None:
    world = World()
    items = ["a", "b"]

    async def act(run: tenure.Run) -> None:
        run.session.append(await run.map("tool", world.work, items, repeat=repeat))
        if items == ["a", "b"]:
            raise ConnectionError("of a test")

    policy = tenure.RestartPolicy(backoff_s=3600.0)
    async with open_host({"k": tenure.Behaviour(act, version="1", restart=policy)}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await trio.sleep(30)
    items[:] = ["b", "c"]
    async with open_host({"k": tenure.Behaviour(act, version="2", restart=policy)}) as supervisor:
        await trio.sleep(300)
        assert (supervisor.runtime("a").held == "step mismatch") is held
        assert world.calls.count("c") == (0 if held else 1)
        assert world.calls.count("b") == 1


async def test_branches_of_a_gather_have_an_order_of_their_own(autojump_clock: MockClock, open_host: OpenHost) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        async def side(name: str) -> str:
            run.session.append(f"{name} begins")
            if run.attempts:
                await trio.sleep(3 - WAITS[name])
            found = await run.step("tool", world.work, name, repeat="never")
            run.session.append(await run.step("tool", world.work, f"{name}2", repeat="never"))
            with pytest.raises(InvalidInput):
                await run.checkpoint()
            return found

        run.session.append(await run.gather(*(partial(side, name) for name in WAITS)))
        fail_once(run)

    conversation = await consumed(open_host, tenure.Behaviour(act, version="1"))
    assert conversation == ["a begins", "A2", "b begins", "B2", "c begins", "C2", ["A", "B", "C"]]
    assert sorted(world.calls) == ["a", "a2", "b", "b2", "c", "c2"]


async def test_a_gather_waits_for_all_and_raises_the_first_failure_with_the_others(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        async def fails(name: str) -> None:
            await trio.sleep(WAITS[name])
            raise KeyError(name)

        with pytest.raises(KeyError, match="a") as caught:
            await run.gather(partial(fails, "a"), partial(world.work, "c"), partial(fails, "b"))
        assert [str(each) for each in caught.value.others] == ["'b'"]  # type: ignore[attr-defined]

    await consumed(open_host, tenure.Behaviour(act))
    assert world.calls == ["c"]


async def test_a_branch_more_or_less_is_held(autojump_clock: MockClock, open_host: OpenHost) -> None:
    world = World()

    async def act(run: tenure.Run) -> None:
        names = list(WAITS)[: 3 - run.attempts]
        await run.gather(*(partial(run.step, "tool", world.work, name, repeat="never") for name in names))
        raise ConnectionError("of a test")

    async with open_host({"k": act}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        assert await runtime.wait_held() == "step mismatch"
        assert sorted(world.calls) == ["a", "b", "c"]


async def test_what_must_not_be_done_twice_waits_for_what_another_branch_has_recorded(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    order: list[str] = []

    async def act(run: tenure.Run) -> None:
        async def late() -> None:
            await trio.sleep(20 * run.attempts)
            await run.step("tool", world.work, "a", repeat="never")
            order.append("a")

        async def new() -> None:
            if run.attempts:
                await run.step("tool", world.work, "b", repeat="never")
                order.append("b")
            else:
                await trio.sleep(9)
                raise ConnectionError("of a test")

        await run.gather(late, new)

    await consumed(open_host, tenure.Behaviour(act))
    assert order == ["a", "a", "b"]
    assert world.calls == ["a", "b"]


async def test_the_first_wins_for_good_and_nothing_of_the_others_lands(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    world = World()
    entered: list[str] = []

    async def act(run: tenure.Run) -> None:
        async def side(name: str) -> str:
            entered.append(name)
            run.session.append(f"{name} begins")
            return await run.step("tool", world.work, name, repeat="freely")

        run.session.append(await run.first(*(partial(side, name) for name in WAITS)))
        fail_once(run)

    assert await consumed(open_host, tenure.Behaviour(act, version="1")) == ["b begins", "B"]
    assert sorted(entered) == ["a", "b", "b", "c"]
    assert sorted(world.calls) == ["a", "b", "c"]


@pytest.mark.parametrize("way", ["renamed", "restart"])
async def test_a_keyed_step_that_failed_keeps_its_key_over_a_new_name_and_a_restart(
    way: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    keys: list[str] = []
    name = ["mail"]

    def mail(*, key: str) -> str:
        keys.append(key)
        if len(keys) == 1:
            raise ConnectionError("of a test")
        return "sent"

    async def act(run: tenure.Run) -> None:
        await run.step("look" if way == "renamed" else name[0], str, 1, repeat="freely")
        await run.step(name[0] if way == "renamed" else "mail", mail, repeat="keyed")

    policy = tenure.RestartPolicy(backoff_s=3600.0, max_attempts=9)
    kind = tenure.Behaviour(act, version="1", restart=policy)
    async with open_host({"k": kind}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await trio.sleep(1)
    name[0] = "mail better"
    async with open_host({"k": kind}) as supervisor:
        runtime = supervisor.runtime("a")
        assert await runtime.wait_held() == "step mismatch"
        await (
            runtime.resume(renamed={"mail": "mail better"}) if way == "renamed" else runtime.resume(restart_run=True)
        )
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert len(keys) == 2
        assert len(set(keys)) == 1


async def test_a_step_in_doubt_is_in_doubt_after_a_restart_too(autojump_clock: MockClock, open_host: OpenHost) -> None:
    paid: list[str] = []

    async def pay() -> None:
        paid.append("paid")
        await trio.sleep_forever()

    async def act(run: tenure.Run) -> None:
        await run.step("pay", pay, repeat="never")

    async with open_host({"k": act}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await trio.sleep(1)
    async with open_host({"k": act}) as supervisor:
        runtime = supervisor.runtime("a")
        assert await runtime.wait_held() == "needs attention"
        await runtime.resume(restart_run=True)
        await trio.sleep(1)
        assert await runtime.wait_held() == "needs attention"
        assert "^main/1" in (runtime.held_detail or "")
        await runtime.settle_step("^main/1", tenure.Ran("paid"))
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert paid == ["paid"]
