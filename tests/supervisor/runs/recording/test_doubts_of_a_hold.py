"""A hold lists every step of its run that may have run, whatever it is for; a person settles them with what lets it go on."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure import errors
from tests.supervisor.runs.conftest import OpenHost


class Shop:
    """Pays by card and by transfer side by side, and is left in the middle of both; then its first step is renamed."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.results: dict[str, Any] = {}

    async def work(self, what: str) -> str:
        self.calls.append(what)
        return what

    async def pay(self, what: str) -> str:
        self.calls.append(what)
        await trio.sleep_forever()
        raise AssertionError

    def behaviour(self, first: str, version: str = "1") -> tenure.Behaviour:
        async def act(run: tenure.Run) -> None:
            await run.step(first, self.work, first, repeat="freely")

            async def one(what: str) -> None:
                self.results[what] = await run.step("pay", self.pay, what, repeat="never", call=what)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(one, "card")
                nursery.start_soon(one, "transfer")

        return tenure.Behaviour(act, version=version)


async def leave_in_the_middle(open_host: OpenHost, shop: Shop) -> None:
    with trio.CancelScope() as scope:
        async with open_host({"k": shop.behaviour("look up")}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert shop.calls in (["look up", "card", "transfer"], ["look up", "transfer", "card"])


async def test_a_mismatch_names_all_that_is_in_doubt_beside_it(autojump_clock: MockClock, open_host: OpenHost) -> None:
    shop = Shop()
    await leave_in_the_middle(open_host, shop)

    async with open_host({"k": shop.behaviour("find", "2")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        assert runtime.held == "step mismatch"
        why = await supervisor.why("a")
        assert "pay at #card" in (runtime.held_detail or "")
        assert "pay at #transfer" in (runtime.held_detail or "")
        assert why["held"]["detail"] == runtime.held_detail
        assert {each["place"] for each in why["held"]["in_doubt"]} == {"#card", "#transfer"}
        assert "2 steps may have run" in why["because"]
        doubtful = {each.place for each in await supervisor.entries("a") if each.status == "in_doubt"}
        assert doubtful == {"#card", "#transfer"}


async def test_a_step_in_doubt_names_the_others_too(autojump_clock: MockClock, open_host: OpenHost) -> None:
    shop = Shop()
    await leave_in_the_middle(open_host, shop)

    async with open_host({"k": shop.behaviour("look up")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        assert runtime.held == "needs attention"
        assert "pay at #card" in (runtime.held_detail or "")
        assert "pay at #transfer" in (runtime.held_detail or "")


async def test_a_resume_settles_doubts_and_renames_at_once(autojump_clock: MockClock, open_host: OpenHost) -> None:
    shop = Shop()
    await leave_in_the_middle(open_host, shop)

    async with open_host({"k": shop.behaviour("find", "2")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        await runtime.resume(
            renamed={"look up": "find"},
            settle={"#card": tenure.Ran("paid"), "#transfer": tenure.Ran("sent")},
        )
        ticket = await supervisor.ticket("a", idempotency_key="once")
        outcome = await ticket.wait_outcome()

        assert outcome.phase == "consumed"
        assert runtime.held is None
    assert shop.results == {"card": "paid", "transfer": "sent"}
    assert sorted(shop.calls) == ["card", "look up", "transfer"]


@pytest.mark.parametrize("way", ["mismatch", "restart"])
async def test_what_a_person_says_of_a_doubt_stands_however_the_run_goes_on(
    way: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    shop = Shop()
    await leave_in_the_middle(open_host, shop)

    async with open_host({"k": shop.behaviour("find", "2")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        if way == "mismatch":
            await runtime.settle_step("#card", tenure.Ran("paid"), ("#transfer", tenure.Ran("sent")))
            await trio.sleep(1)
            assert runtime.held == "step mismatch"
            assert (await supervisor.why("a"))["held"]["in_doubt"] == []
            await runtime.resume(restart_run=True)
        else:
            verdicts: dict[str, tenure.Verdict] = {"#card": tenure.Ran("paid"), "#transfer": tenure.Ran("sent")}
            await runtime.resume(restart_run=True, settle=verdicts)
        await (await supervisor.ticket("a", idempotency_key="once")).wait_outcome()

    assert shop.results == {"card": "paid", "transfer": "sent"}
    assert [each for each in shop.calls if each in ("card", "transfer")] in (["card", "transfer"], ["transfer", "card"])


async def test_a_verdict_on_what_is_not_in_doubt_resumes_nothing(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    shop = Shop()
    await leave_in_the_middle(open_host, shop)

    async with open_host({"k": shop.behaviour("find", "2")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        with pytest.raises(errors.NotFound):
            await runtime.resume(renamed={"look up": "find"}, settle={"main/1": tenure.Ran("paid")})
        with pytest.raises(errors.InvalidInput):
            await runtime.resume(settle={"#card": "paid"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
        with pytest.raises(errors.InvalidInput):
            await runtime.resume(hold=True, settle={"#card": tenure.Ran()})
        assert runtime.held == "step mismatch"
        assert len((await supervisor.why("a"))["held"]["in_doubt"]) == 2


async def test_what_a_person_says_of_one_step_is_not_given_to_another_of_its_name(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    calls: list[str] = []
    results: list[Any] = []

    def behaviour(version: str, *what: str) -> tenure.Behaviour:
        async def pay(whom: str) -> str:
            calls.append(whom)
            if len(calls) == 1:
                await trio.sleep_forever()
            return f"paid {whom}"

        async def act(run: tenure.Run) -> None:
            results[:] = [await run.step("pay", pay, each, repeat="never") for each in what]

        return tenure.Behaviour(act, version=version)

    with trio.CancelScope() as scope:
        async with open_host({"k": behaviour("1", "ann", "bob")}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    async with open_host({"k": behaviour("2", "bob")}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.wait_held()
        await runtime.settle_step("main/1", tenure.Ran("paid ann"))
        await trio.sleep(1)
        assert runtime.held == "step mismatch"
        assert calls == ["ann"]
        await runtime.resume(forget=["main/1"], repeat_never=True)
        await (await supervisor.ticket("a", idempotency_key="once")).wait_outcome()

    assert calls == ["ann", "bob"]
    assert results == ["paid bob"]
