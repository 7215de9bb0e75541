"""A step that never repeats, cut off by a scope after it had begun: its run goes on, and its end says that it may have run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidTransition, NotFound, StepMismatch
from tests.kit.alone import OpenHost

Way = Callable[[tenure.Run, Callable[[], Awaitable[None]]], Awaitable[None]]
"""How a run cuts a step off."""


async def by_move_on_after(run: tenure.Run, step: Callable[[], Awaitable[None]]) -> None:
    async with run.move_on_after(5):
        await step()


async def by_a_scope(_: tenure.Run, step: Callable[[], Awaitable[None]]) -> None:
    with trio.move_on_after(5):
        await step()


async def by_first(run: tenure.Run, step: Callable[[], Awaitable[None]]) -> None:
    async def quick() -> None:
        await run.sleep(5)

    await run.first(step, quick)


WAYS = [by_move_on_after, by_a_scope, by_first]


class Payer:
    """Pays in a step that is cut off, and fails as often as it is asked to behind it."""

    def __init__(self, way: Way, *, fails: int = 0) -> None:
        self.way = way
        self.fails = fails
        self.paid = 0

    async def pay(self) -> None:
        self.paid += 1
        await trio.sleep_forever()

    async def __call__(self, run: tenure.Run) -> None:
        async def step() -> None:
            await run.step("pay", self.pay, repeat="never")

        await self.way(run, step)
        await run.step("look", int, repeat="freely")
        if self.fails:
            self.fails -= 1
            raise ConnectionError("of a test")


def kind(payer: Payer, attempts: int = 3) -> dict[str, tenure.Behaviour]:
    return {"k": tenure.Behaviour(payer, restart=tenure.RestartPolicy(max_attempts=attempts))}


@pytest.mark.parametrize("fails", [0, 1])
@pytest.mark.parametrize("way", WAYS)
async def test_a_run_that_ends_well_is_a_dead_letter_that_names_the_step(
    way: Way, fails: int, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    payer = Payer(way, fails=fails)
    async with open_host(kind(payer)) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        outcome = await (await runtime.accept(1)).wait_outcome()

        assert outcome.phase == "consumed"
        assert payer.paid == 1
        [letter] = await supervisor.dead_letters("a")
        assert letter.reason == "in_doubt"
        assert letter.kind is None
        [named] = letter.in_doubt
        assert named.startswith("pay at main/1")
        assert named in (letter.error or "")


async def test_it_is_dropped_by_its_id_and_there_is_nothing_to_retry(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host(kind(Payer(by_move_on_after))) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()
        [letter] = await supervisor.dead_letters("a")

        with pytest.raises(InvalidTransition):
            await runtime.retry(letter.input_id)
        assert (await supervisor.why("a"))["dead_letters"] == 1
        await runtime.drop(letter.input_id)
        assert await supervisor.dead_letters("a") == []
        assert (await supervisor.why("a"))["dead_letters"] == 0
        with pytest.raises(NotFound):
            await runtime.drop(letter.input_id)


async def test_where_its_run_is_abandoned_the_dead_letter_of_that_names_it(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host(kind(Payer(by_move_on_after, fails=1), attempts=1)) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()

        [letter] = await supervisor.dead_letters("a")
        assert letter.reason == "max_attempts_exhausted"
        assert letter.in_doubt == ("pay at main/1",)
        await runtime.retry(letter.input_id)
        await (await supervisor.ticket("a", input_id=letter.input_id)).wait_outcome()
        [letter] = await supervisor.dead_letters("a")
        assert letter.reason == "in_doubt"


async def test_a_run_whose_inputs_have_ended_before_it_fails_is_a_dead_letter_itself(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(5):
            await run.step("pay", trio.sleep_forever, repeat="never")
        await run.checkpoint(consume=run.inputs)
        raise ConnectionError("of a test")

    policy = tenure.RestartPolicy(max_attempts=1)
    async with open_host({"k": tenure.Behaviour(act, restart=policy)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()
        await trio.sleep(1)

        [letter] = await supervisor.dead_letters("a")
        assert letter.reason == "in_doubt"
        assert letter.in_doubt == ("pay at main/1",)


async def test_what_was_cut_off_before_it_began_leaves_nothing(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def act(run: tenure.Run) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run.step("pay", trio.sleep_forever, repeat="never")

    async with open_host({"k": tenure.Behaviour(act)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()

        assert await supervisor.dead_letters("a") == []


async def test_a_step_whose_result_stands_recorded_is_not_cut_off_while_that_is_read(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    """A long result is read apart from its entry, and a scope may end just then."""
    entered: list[str] = []

    async def act(run: tenure.Run) -> None:
        entered.append("")
        with trio.CancelScope() as scope:
            if len(entered) == 2:
                scope.cancel()
            entered[-1] = await run.step("pay", lambda: "x" * 10_000, repeat="never")
        if len(entered) > 1:
            await run.checkpoint()
        if len(entered) < 3:
            raise ConnectionError("of a test")

    async with open_host({"k": act}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        outcome = await (await runtime.accept(1)).wait_outcome()

        assert outcome.phase == "consumed"
        assert [len(each) for each in entered] == [10_000, 0, 10_000]
        assert await supervisor.dead_letters("a") == []


async def test_an_ask_that_is_cut_off_where_its_run_has_entered_again_has_landed_all_the_same(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    fails = [True]

    async def act(run: tenure.Run) -> None:
        run.session.append("before")
        async with run.move_on_after(50):
            await run.ask("bob", "question")
        run.session.append("after")
        await run.checkpoint()
        if fails:
            raise ConnectionError(fails.pop())

    async def bob(run: tenure.Run) -> None:
        await run.sleep(10_000)

    kinds = {"k": tenure.Behaviour(act, version="1"), "bob": tenure.Behaviour(bob)}
    async with open_host(kinds) as supervisor:
        await supervisor.spawn("bob", "bob")
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await trio.sleep(10)

    async with open_host(kinds) as supervisor:
        outcome = await (await supervisor.ticket("a", idempotency_key="once")).wait_outcome()

        assert outcome.phase == "consumed"
        assert await supervisor.read_session("a") == ["before", "after"]


@pytest.mark.parametrize("repeat", ["never", "keyed"])
async def test_a_new_step_whose_scope_ends_while_it_waits_for_the_record_is_not_left_out_in_silence(
    repeat: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    done: list[str] = []

    def do(name: str, *, key: str = "") -> None:
        done.append(name)

    def version(number: str, *names: str) -> tenure.Behaviour:
        async def act(run: tenure.Run) -> None:
            for name in names:
                async with run.move_on_after(5):
                    await run.step(name, do, name, repeat=repeat, call=name)
            if number == "1":
                raise ConnectionError("of a test")

        return tenure.Behaviour(act, version=number, restart=tenure.RestartPolicy(backoff_s=3600.0))

    async with open_host({"k": version("1", "pay")}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1)
        await trio.sleep(100)

    async with open_host({"k": version("2", "refund", "pay")}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert await runtime.wait_held() == "step mismatch"
        assert "refund" in (runtime.held_detail or "")
        assert "#pay" in (runtime.held_detail or "")
        assert [each.name for each in await supervisor.entries("a")] == ["pay"]
        await runtime.resume()
        assert await runtime.wait_held() == "step mismatch"
        assert done == ["pay"]


async def test_a_map_begins_no_item_after_a_mismatch_beside_it(autojump_clock: MockClock, open_host: OpenHost) -> None:
    tried: list[str] = []

    async def before(run: tenure.Run) -> None:
        await run.step("pay", int, repeat="never", call="c1")
        raise ConnectionError("of a test")

    def look(item: str) -> None:
        tried.append(item)
        raise ConnectionError("of a test")

    async def after(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            items = ["a", "b"]
            nursery.start_soon(
                lambda: run.map("look", look, items, repeat="freely", limit=1, attempts=2, backoff_s=100.0)
            )
            async with run.move_on_after(1):
                await run.step("refund", int, repeat="never", call="c2")

    policy = tenure.RestartPolicy(backoff_s=3600.0)
    async with open_host({"k": tenure.Behaviour(before, version="1", restart=policy)}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1)
        await trio.sleep(100)
    async with open_host({"k": tenure.Behaviour(after, version="2", restart=policy)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert await runtime.wait_held() == "step mismatch"
        assert tried == ["a"]
        assert "refund" not in [each.name for each in await supervisor.entries("a")]


async def test_a_first_is_not_won_beside_a_branch_that_swallows_a_mismatch(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def before(run: tenure.Run) -> None:
        await run.step("pay", int, repeat="never", call="c1")
        raise ConnectionError("of a test")

    async def after(run: tenure.Run) -> None:
        async def swallows() -> None:
            with suppress(StepMismatch):
                async with run.move_on_after(1):
                    await run.step("refund", int, repeat="never")
            await trio.sleep_forever()

        async def wins() -> None:
            await trio.sleep(5)

        await run.first(swallows, wins)
        await run.step("pay", int, repeat="never", call="c1")

    policy = tenure.RestartPolicy(backoff_s=3600.0)
    async with open_host({"k": tenure.Behaviour(before, version="1", restart=policy)}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1)
        await trio.sleep(100)
    async with open_host({"k": tenure.Behaviour(after, version="2", restart=policy)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert await runtime.wait_held() == "step mismatch"
        assert "refund" not in [each.name for each in await supervisor.entries("a")]
        await runtime.resume()
        with trio.fail_after(100):
            assert await runtime.wait_held() == "step mismatch"


async def test_what_was_cut_off_stays_recorded_as_it_was_where_its_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(5):
            await run.step("look", trio.sleep_forever, repeat="freely")
        await run.sleep(60)

    async with open_host({"k": act}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1)
        await trio.sleep(20)
        cut, *_ = await supervisor.entries("a")
    async with open_host({"k": act}) as supervisor:
        await trio.sleep(100)

        assert [each for each in await supervisor.entries("a") if each.name == "look"] == [cut]
