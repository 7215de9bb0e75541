"""What follows an abandoned batch: a run that sees what the abandoned one had done, for refunds and messages (design §20)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, final

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput
from tests.kit.hosting import forever, host
from tests.kit.past import write_past

RETRY = tenure.RestartPolicy(max_attempts=2)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


@final
class Shop:
    """An agent that charges and cannot deliver; what is refunded, and said of it."""

    def __init__(self) -> None:
        self.charged: list[str] = []
        self.followed: list[tuple[Any, ...]] = []
        self.refunds: list[Any] = []
        self.fails = 0
        self.stalls = False

    async def buy(self, run: tenure.Run) -> None:
        item = run.inputs[0].payload
        await run.step("charge", self._charge, item, repeat="never")
        await run.step("hold stock", str, item, repeat="freely")
        if self.stalls:
            await trio.sleep_forever()
        raise OSError(item)

    async def give_back(self, run: tenure.Run) -> None:
        paid = await run.recorded("charge")
        self.followed.append(([each.payload for each in run.inputs], run.abandoned, [step.result for step in paid]))
        for step in paid:
            await run.step("refund", self.refunds.append, step.result, repeat="never")
        if self.fails:
            self.fails -= 1
            raise OSError("mail")
        run.session.append({"refunded": [step.result for step in paid]})

    def behaviour(self, **more: Any) -> tenure.Behaviour:
        return tenure.Behaviour(self.buy, restart=RETRY, on_abandoned=self.give_back, **more)

    def _charge(self, item: str) -> str:
        self.charged.append(item)
        return f"paid {item}"


async def settled(supervisor: tenure.Supervisor, runtime_id: str) -> None:
    """Until nothing of the runtime is unfinished."""
    with trio.fail_after(1000):
        while (await supervisor.why(runtime_id))["unfinished_inputs"]:  # noqa: ASYNC110
            await trio.sleep(1)


async def test_the_last_failed_attempt_is_followed_by_a_run_that_sees_what_was_recorded(
    database: Path, autojump_clock: MockClock
) -> None:
    shop = Shop()
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        ticket = await runtime.accept("crane")
        outcome = await ticket.wait_outcome()
        assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")
        await settled(one, "a")
        assert shop.followed == [(["crane"], "max_attempts_exhausted", ["paid crane"])]
        assert (shop.charged, shop.refunds) == (["crane"], ["paid crane"])
        assert await one.read_session("a") == [{"refunded": ["paid crane"]}]
        assert [each.input_id for each in await one.dead_letters("a")] == [ticket.input_id]
    async with host(database, {"shop": shop.behaviour()}) as again:
        await again.spawn("a", "shop")
        await settled(again, "a")
    assert len(shop.followed) == 1


async def test_it_has_attempts_and_a_record_of_its_own(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.fails = 1
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        await (await runtime.accept("crane")).wait_outcome()
        await settled(one, "a")
        assert len(shop.followed) == 2
        assert shop.refunds == ["paid crane"], "its own record gave the refund back"


async def test_one_whose_own_attempts_are_used_up_is_a_dead_letter_that_nothing_follows(
    database: Path, autojump_clock: MockClock
) -> None:
    shop = Shop()
    shop.fails = 2
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        ticket = await runtime.accept("crane")
        await ticket.wait_outcome()
        await settled(one, "a")
        letters = {each.input_id: each for each in await one.dead_letters("a")}
        [follow_up] = [each for input_id, each in letters.items() if input_id != ticket.input_id]
        assert (follow_up.kind, follow_up.reason) == ("continuation", "max_attempts_exhausted")
        assert len(shop.followed) == 2
        await runtime.retry(follow_up.input_id)
        await settled(one, "a")
        assert len(shop.followed) == 3
        assert shop.refunds == ["paid crane"]


@pytest.mark.parametrize("how", ["cancel", "deadline", "reject", "stop", "retired"])
async def test_it_follows_for_every_reason(database: Path, autojump_clock: MockClock, how: str) -> None:
    shop = Shop()
    shop.stalls = True

    async def buy(run: tenure.Run) -> None:
        if how == "reject":
            await run.step("charge", str, "paid crane", repeat="never")
            run.reject(run.inputs[0], "no")
        else:
            await shop.buy(run)

    behaviour = tenure.Behaviour(buy, on_abandoned=shop.give_back)
    async with host(database, {"shop": behaviour}) as one:
        runtime = await one.spawn("a", "shop")
        ticket = await runtime.accept("crane", deadline_s=50 if how == "deadline" else None)
        await trio.sleep(1)
        if how == "cancel":
            await runtime.cancel()
        elif how == "stop":
            await runtime.stop()
            await trio.sleep(100)
            assert shop.followed == [], "a stopped runtime has it when it lives again"
            runtime = await one.spawn("a", "shop")
        elif how == "retired":
            await runtime.retire()
            await runtime.cancel()
        outcome = await ticket.wait_outcome()
        await settled(one, "a")
        reason = {"deadline": "deadline_exceeded", "reject": "rejected", "stop": "stopped"}.get(how, "cancelled")
        assert (outcome.phase, outcome.reason) == ("abandoned", reason)
        assert shop.followed == [(["crane"], reason, ["paid crane"])]


async def test_a_reset_is_followed_too(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        await one.hold("a")
        await runtime.accept("crane")
        await runtime.accept("ferry")
        await runtime.reset()
        await one.resume("a")
        await settled(one, "a")
        assert sorted(shop.followed) == [(["crane"], "reset", []), (["ferry"], "reset", [])]
        assert shop.charged == []


async def test_what_is_destroyed_is_followed_by_nothing(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stalls = True
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        ticket = await runtime.accept("crane")
        await trio.sleep(1)
        await runtime.destroy()
        assert (await ticket.wait_outcome()).reason == "destroyed"
        await trio.sleep(100)
        assert shop.followed == []


async def test_a_stop_in_the_middle_of_it_keeps_its_record(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    stall = [True]

    async def give_back(run: tenure.Run) -> None:
        await shop.give_back(run)
        if stall[0]:
            await trio.sleep_forever()

    behaviour = tenure.Behaviour(shop.buy, restart=RETRY, on_abandoned=give_back)
    async with host(database, {"shop": behaviour}) as one:
        runtime = await one.spawn("a", "shop")
        await (await runtime.accept("crane")).wait_outcome()
        await trio.sleep(5)
        await runtime.stop()
    stall[0] = False
    async with host(database, {"shop": behaviour}) as again:
        await again.spawn("a", "shop")
        await settled(again, "a")
    assert len(shop.followed) == 2
    assert shop.refunds == ["paid crane"]


async def test_a_stopped_one_goes_on_when_its_host_spawns_the_runtime_again(
    database: Path, autojump_clock: MockClock
) -> None:
    shop = Shop()
    stall = [True]

    async def give_back(run: tenure.Run) -> None:
        await shop.give_back(run)
        if stall[0]:
            await trio.sleep_forever()

    behaviour = tenure.Behaviour(shop.buy, restart=RETRY, on_abandoned=give_back)
    async with host(database, {"shop": behaviour}) as one:
        runtime = await one.spawn("a", "shop")
        await (await runtime.accept("crane")).wait_outcome()
        await trio.sleep(5)
        await runtime.stop()
        stall[0] = False
        await one.spawn("a", "shop")
        await settled(one, "a")
        assert shop.refunds == ["paid crane"]


async def test_a_retry_before_it_has_begun_takes_its_place(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stalls = True
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        ticket = await runtime.accept("crane")
        await trio.sleep(1)
        await runtime.stop()
        await one.spawn("b", "shop")
        await one.hold("a")
        runtime = await one.spawn("a", "shop")
        await runtime.retry(ticket.input_id)
        await one.resume("a")
        await trio.sleep(10)
        assert shop.followed == []
        assert (await one.why("a"))["run"] is not None


async def test_a_host_without_it_leaves_it_to_one_that_has_it(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stalls = True
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        await runtime.accept("crane")
        await trio.sleep(1)
        await runtime.stop()
    seen: list[Any] = []

    async def plain(run: tenure.Run) -> None:
        seen.append(run.inputs[0].payload)

    async with host(database, {"shop": plain}) as other:
        runtime = await other.spawn("a", "shop")
        await (await runtime.accept("ferry")).wait_outcome()
        await runtime.stop()
    assert (seen, shop.followed) == (["ferry"], [])
    async with host(database, {"shop": shop.behaviour()}) as again:
        await again.spawn("a", "shop")
        await settled(again, "a")
    assert shop.followed == [(["crane"], "stopped", ["paid crane"])]


async def test_a_run_that_does_not_say_what_it_follows_is_held(database: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    async with host(database, {"shop": shop.behaviour()}) as one:
        runtime = await one.spawn("a", "shop")
        await one.hold("a")
        ticket = await runtime.accept("ferry")
        await runtime.cancel(ticket.input_id)
    follow_up = "SELECT input FROM inputs WHERE kind = 'continuation'"
    write_past(database, f"UPDATE payloads SET payload = ? WHERE input IN ({follow_up})", b"null")
    write_past(database, "UPDATE inputs SET payload_digest = ? WHERE kind = 'continuation'", sha256(b"null").digest())
    async with host(database, {"shop": shop.behaviour()}) as again:
        runtime = await again.spawn("a", "shop")
        await again.resume("a")
        assert await runtime.wait_held() == "needs attention"
        assert "which batch it follows" in str(runtime.held_detail)
    assert shop.followed == []


async def test_a_kind_without_it_is_not_followed(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"shop": tenure.Behaviour(forever)}) as one:
        runtime = await one.spawn("a", "shop")
        await runtime.accept("crane")
        await trio.sleep(1)
        await runtime.cancel()
        assert (await one.why("a"))["unfinished_inputs"] == 0


def sync(run: tenure.Run) -> None:
    del run


async def test_it_is_an_async_function() -> None:
    with pytest.raises(InvalidInput, match="on_abandoned"):
        tenure.Behaviour(forever, on_abandoned=sync)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
