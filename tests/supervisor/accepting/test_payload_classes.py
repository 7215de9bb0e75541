"""Payload classes that a deploy changes: what was accepted waits for a class that takes it, in its old order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from attrs import evolve
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import IdempotencyConflict, InvalidInput
from tests.kit.alone import OpenHost


@attrs.frozen
class Order:
    item: str


@attrs.frozen
class OrderWithPrice:
    """A required field more."""

    item: str
    price: int


@attrs.frozen
class OrderWithNote:
    """A field with a default more."""

    item: str
    note: str = ""


@attrs.frozen
class Nothing:
    """A field less."""


@asynccontextmanager
async def deployed(open_host: OpenHost, behaviour: tenure.Behaviour) -> AsyncGenerator[tenure.Supervisor]:
    with trio.CancelScope() as scope:
        async with open_host({"shop": behaviour, "sender": sender}) as supervisor:
            yield supervisor
            scope.cancel()  # nothing is drained: what waits, waits
            await trio.sleep_forever()


async def sender(run: tenure.Run) -> None:
    for item in run.inputs[0].payload:
        run.send("a", item)


async def plain(run: tenure.Run) -> None:
    """Takes whatever comes."""


async def never_called(run: tenure.Run) -> None:
    raise AssertionError("no payload fits")


async def waits(run: tenure.Run) -> None:
    await trio.sleep_forever()


async def test_a_queue_that_a_new_class_does_not_take_is_held_and_served_in_its_old_order_after_a_roll_back(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[str] = []

    async def shop(run: tenure.Run) -> None:
        seen.extend(each.payload.item for each in run.inputs)

    old = tenure.Behaviour(shop, payload=Order, version="1")
    async with deployed(open_host, evolve(old, function=waits)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        for item in ("tea", "milk", "salt"):
            await runtime.accept({"item": item}, idempotency_key=item)

    async with deployed(open_host, tenure.Behaviour(never_called, payload=OrderWithPrice, version="2")) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
        await runtime.resume()
        assert await runtime.wait_held() == "payload does not fit"
        tea = await supervisor.ticket("a", idempotency_key="tea")
        detail = runtime.held_detail or ""
        assert tea.input_id in detail
        assert "price" in detail
        assert "version 1" in detail
        assert "'tea'" not in detail
        assert await supervisor.dead_letters("a") == []

    async with deployed(open_host, old) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.resume()
        tickets = [await supervisor.ticket("a", idempotency_key=item) for item in ("tea", "milk", "salt")]
        assert [(await ticket.wait_outcome()).phase for ticket in tickets] == ["consumed"] * 3
        assert seen == ["tea", "milk", "salt"]


async def test_a_field_less_is_no_fault_unless_the_behaviour_forbids_unknown_ones(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[object] = []

    async def shop(run: tenure.Run) -> None:
        seen.extend(each.payload for each in run.inputs)

    async with deployed(open_host, tenure.Behaviour(waits, payload=Order)) as supervisor:
        await (await supervisor.spawn("a", "shop")).accept({"item": "tea"})
    forbids = tenure.Behaviour(shop, payload=Nothing, extra="forbid")
    async with deployed(open_host, forbids) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
        with pytest.raises(InvalidInput, match="item"):
            await runtime.accept({"item": "milk"})
    async with deployed(open_host, tenure.Behaviour(shop, payload=Nothing)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.resume()
        assert (await (await runtime.accept({"item": "milk"})).wait_outcome()).phase == "consumed"
        assert seen == [Nothing(), Nothing()]


async def test_what_was_accepted_where_there_was_no_class_waits_for_one_that_takes_it(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with deployed(open_host, tenure.Behaviour(waits)) as supervisor:
        await (await supervisor.spawn("a", "shop")).accept(17)
    async with deployed(open_host, tenure.Behaviour(never_called, payload=Order)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
        assert "does not fit Order" in (runtime.held_detail or "")


async def test_a_run_in_flight_is_held_and_goes_on_where_it_stood_after_a_roll_back(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    called: list[str] = []

    async def shop(run: tenure.Run) -> None:
        await run.step("pay", called.append, run.inputs[0].payload.item, repeat="never")
        if len(called) == 1 and not again:
            await trio.sleep_forever()

    again = False
    old = tenure.Behaviour(shop, payload=Order)
    async with deployed(open_host, old) as supervisor:
        await (await supervisor.spawn("a", "shop")).accept(Order("tea"), idempotency_key="tea")
        await wait_all_tasks_blocked()
    again = True
    async with deployed(open_host, tenure.Behaviour(shop, payload=OrderWithPrice)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
    async with deployed(open_host, old) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.resume()
        assert (await (await supervisor.ticket("a", idempotency_key="tea")).wait_outcome()).phase == "consumed"
        assert called == ["tea"]


async def test_what_joins_to_steer_and_does_not_fit_any_more_holds_also_where_the_behaviour_swallows_it(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def first(run: tenure.Run) -> None:
        await trio.sleep_forever()

    async def second(run: tenure.Run) -> None:
        try:
            await run.checkpoint()
        except Exception:  # noqa: BLE001 - as a behaviour might
            return

    async with deployed(open_host, tenure.Behaviour(first)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.accept({"item": "tea", "price": 1}, idempotency_key="work")
        await wait_all_tasks_blocked()
        await runtime.accept({"item": "milk"}, lane="steer", idempotency_key="steer")
    async with deployed(open_host, tenure.Behaviour(second, payload=OrderWithPrice)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
        assert (await supervisor.ticket("a", idempotency_key="work")).outcome is None
    async with deployed(open_host, tenure.Behaviour(second, payload=Order)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.resume()
        for key in ("work", "steer"):
            assert (await (await supervisor.ticket("a", idempotency_key=key)).wait_outcome()).phase == "consumed"


async def test_what_a_peer_sent_waits_where_it_fitted_when_it_was_sent_and_is_a_dead_letter_where_it_never_did(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with deployed(open_host, tenure.Behaviour(waits, payload=Order)) as supervisor:
        await (await supervisor.spawn("a", "shop")).accept(Order("first"))
        ticket = await (await supervisor.spawn("s", "sender")).accept([{"nonsense": 1}, {"item": "tea"}])
        await ticket.wait_outcome()
        await supervisor.runtime("a").cancel()
    async with deployed(open_host, tenure.Behaviour(never_called, payload=OrderWithPrice)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
        reasons = [letter.reason for letter in await supervisor.dead_letters("a")]
        assert sorted(reasons) == ["cancelled", "rejected"]


@pytest.mark.parametrize("given", [{"item": "tea"}, {"item": "tea", "note": ""}, OrderWithNote("tea")])
async def test_a_key_survives_a_new_default_of_a_field(
    autojump_clock: MockClock, open_host: OpenHost, given: Any
) -> None:
    async with deployed(open_host, tenure.Behaviour(plain, payload=Order)) as supervisor:
        first = await (await supervisor.spawn("a", "shop")).accept(Order("tea"), idempotency_key="k")
        await first.wait_outcome()
    async with deployed(open_host, tenure.Behaviour(plain, payload=OrderWithNote)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        again = await runtime.accept(given, idempotency_key="k")
        assert (again.input_id, again.deduplicated) == (first.input_id, True)
        with pytest.raises(IdempotencyConflict):
            await runtime.accept(OrderWithNote("tea", "now"), idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            await runtime.accept({"item": "milk"}, idempotency_key="k")


async def test_without_a_class_another_payload_of_a_key_is_a_conflict(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with deployed(open_host, tenure.Behaviour(plain)) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.accept({"item": "tea"}, idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            await runtime.accept({"item": "tea", "note": ""}, idempotency_key="k")


@pytest.mark.parametrize("extra", ["allow", "", None])
def test_an_answer_to_unknown_fields_that_there_is_not_is_refused(extra: Any) -> None:
    with pytest.raises(InvalidInput, match="extra"):
        tenure.Behaviour(plain, extra=extra)


async def test_a_message_that_fitted_when_it_was_sent_and_refused_waits_for_its_class_when_it_is_sent_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[str] = []

    async def shop(run: tenure.Run) -> None:
        seen.extend(each.payload.item for each in run.inputs)

    old = tenure.Behaviour(shop, payload=Order, version="1")
    async with deployed(open_host, old) as supervisor:
        await (await supervisor.spawn("s", "sender")).accept([{"item": "tea"}, {"item": "milk"}])
        await wait_all_tasks_blocked()
        refused = await supervisor.refused_sends("s")
        assert len(refused) == 2

    async with deployed(open_host, tenure.Behaviour(never_called, payload=OrderWithPrice, version="2")) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        peer = await supervisor.spawn("s", "sender")
        for each in sorted(refused, key=lambda send: send.index):
            await peer.retry(each.input_id)
        assert await runtime.wait_held() == "payload does not fit"
        assert await supervisor.dead_letters("a") == []

    async with deployed(open_host, old) as supervisor:
        await (await supervisor.spawn("a", "shop")).resume()
        await wait_all_tasks_blocked()
        assert seen == ["tea", "milk"]


@pytest.mark.parametrize("changed", [False, True])
async def test_what_a_schedule_makes_of_a_payload_that_fitted_when_it_was_given_waits_for_a_class_that_takes_it(
    autojump_clock: MockClock, open_host: OpenHost, *, changed: bool
) -> None:
    seen: list[str] = []

    async def shop(run: tenure.Run) -> None:
        seen.extend(each.payload.item for each in run.inputs)

    old, every = tenure.Behaviour(shop, payload=Order, version="1"), tenure.Every(100)
    async with deployed(open_host, old) as supervisor:
        await supervisor.schedules.create("s", "a", every, {"item": "tea"}, "shop")
        if changed:
            await supervisor.schedules.update("s", payload={"item": "milk"})
            await supervisor.schedules.update("s", catch_up_s=60.0)
        await trio.sleep(150)
        assert len(seen) == 1

    async with deployed(open_host, tenure.Behaviour(never_called, payload=OrderWithPrice, version="2")) as supervisor:
        if not changed:  # another host knows other kinds, and it is the same schedule
            await supervisor.schedules.create("s", "a", every, {"item": "tea"}, "shop")
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
        assert "version 1" in (runtime.held_detail or "")
        assert (await supervisor.schedules.trigger("s")).input_id is not None
        await trio.sleep(250)
        assert await supervisor.dead_letters("a") == []

    async with deployed(open_host, old) as supervisor:
        await (await supervisor.spawn("a", "shop")).resume()
        await trio.sleep(1)
        assert seen == ["milk" if changed else "tea"] * 3
        assert await supervisor.dead_letters("a") == []


async def test_what_a_schedule_makes_of_a_payload_that_never_fitted_is_a_dead_letter(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"another": plain}) as elsewhere:  # without the behaviour no one there can say whether it fits
        await elsewhere.schedules.create("s", "a", tenure.Every(100), {"item": "tea"}, "shop")
    async with deployed(open_host, tenure.Behaviour(never_called, payload=OrderWithPrice, version="2")) as supervisor:
        await trio.sleep(150)
        assert [each.payload for each in await supervisor.dead_letters("a")] == [b'{"item":"tea"}']


async def test_a_schedule_whose_payload_its_behaviour_does_not_take_is_refused_where_it_is_given(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    every, misfit, fit = tenure.Every(100), {"item": "tea"}, {"item": "tea", "price": 3}
    async with deployed(open_host, tenure.Behaviour(never_called, payload=OrderWithPrice, version="2")) as supervisor:
        schedules = supervisor.schedules
        with pytest.raises(InvalidInput, match="price"):
            await schedules.create("s", "a", every, misfit, "shop")
        await supervisor.spawn("b", "shop")
        with pytest.raises(InvalidInput, match="price"):
            await schedules.create("s", "b", every, misfit)  # its kind is stored
        assert await schedules.list() == ()

        await schedules.create("s", "a", every, fit, "shop")
        with pytest.raises(InvalidInput, match="price"):
            await schedules.create("s", "a", every, misfit, "shop", replace_existing=True)
        with pytest.raises(InvalidInput, match="price"):
            await schedules.update("s", payload=misfit)
        await schedules.create("t", "c", every, misfit)  # whose kind no one knows
        with pytest.raises(InvalidInput, match="price"):
            await schedules.update("t", kind="shop")
        with pytest.raises(InvalidInput, match="price"):
            await schedules.update("t", runtime_id="b")
        await schedules.update("t", overlap="queue")
        assert (await schedules.get("t")).kind is None


@pytest.mark.parametrize(
    "data", [b"\xff\x00", b'"\\ud83d"', b"[" * 201 + b"]" * 201, b"[" * 5_000 + b"]" * 5_000, b"1" * 5_000]
)
@pytest.mark.parametrize("payload", [None, Order])
async def test_bytes_of_a_store_verb_that_are_not_json_are_rejected_alone_and_called_no_damage(
    autojump_clock: MockClock, open_host: OpenHost, payload: Any, data: bytes
) -> None:
    seen: list[Any] = []
    followed: list[Any] = []

    async def takes(run: tenure.Run) -> None:
        seen.extend(each.payload for each in run.inputs)

    async def follows(run: tenure.Run) -> None:
        followed.extend(each.payload for each in run.inputs)

    behaviour = tenure.Behaviour(takes, payload=payload, on_abandoned=follows)
    async with deployed(open_host, behaviour) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        brought = tenure.InputState(input_id=tenure.InputId("raw"), payload=data, phase=tenure.InputPhase.QUEUED)
        await supervisor.store.runtimes.persist_input_state("a", brought, fence=runtime.fence_token)
        outcome = await (await supervisor.ticket("a", input_id="raw")).wait_outcome()
        assert (await (await runtime.accept({"item": "a"})).wait_outcome()).phase == "consumed"

    assert outcome.phase == "abandoned"
    assert outcome.error is not None
    assert "bytes that are not JSON" in outcome.error
    assert "damaged" not in outcome.error
    assert len(seen) == 1
    assert followed == [data]
