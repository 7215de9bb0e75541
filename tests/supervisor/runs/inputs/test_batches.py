"""Batches: members that end by themselves, typed payloads, and inputs that join to steer."""

from __future__ import annotations

from dataclasses import dataclass

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import InvalidInput
from tenure.persistence.engines.statements import load_statements
from tests.kit.alone import OpenHost


@attrs.frozen
class Order:
    item: str
    count: int = 1


@dataclass
class Address:
    city: str


async def test_a_rejected_member_ends_alone_and_spares_the_rest(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def behaviour(run: tenure.Run) -> None:
        for each in run.inputs:
            if each.payload == 2:
                run.reject(each, "not two")

    gate = trio.Event()

    async def gated(run: tenure.Run) -> None:
        await gate.wait()
        await behaviour(run)

    async with open_host({"k": tenure.Behaviour(gated, batch=5)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        tickets = [await runtime.accept(n) for n in range(5)]
        gate.set()
        outcomes = [await ticket.wait_outcome() for ticket in tickets]

        assert [outcome.phase for outcome in outcomes] == [
            "consumed", "consumed", "abandoned", "consumed", "consumed",
        ]  # fmt: skip
        assert (outcomes[2].reason, outcomes[2].error) == ("rejected", "not two")
        assert [letter.error for letter in await supervisor.dead_letters("a")] == ["not two"]


async def test_only_a_member_of_the_run_can_be_rejected(autojump_clock: MockClock, open_host: OpenHost) -> None:
    kept: list[tenure.RunInput] = []

    async def behaviour(run: tenure.Run) -> None:
        if kept:
            with pytest.raises(InvalidInput):
                run.reject(kept[0], "it is not mine")
        kept.extend(run.inputs)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        for n in range(2):
            assert (await (await runtime.accept(n)).wait_outcome()).phase == "consumed"


async def test_a_checkpoint_consumes_the_members_that_it_names_and_no_other(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    gate = trio.Event()

    async def behaviour(run: tenure.Run) -> None:
        await gate.wait()
        receipt = await run.checkpoint(consume=run.inputs[:1])
        first = await supervisor.ticket("a", input_id=run.inputs[0].input_id)
        assert first.outcome is not None
        assert first.outcome.receipt == receipt
        others = [await supervisor.ticket("a", input_id=each.input_id) for each in run.inputs[1:]]
        assert [other.outcome for other in others] == [None, None]

    async with open_host({"k": tenure.Behaviour(behaviour, batch=3)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        blocker = await runtime.accept(0)
        await runtime.wait_state("running")
        tickets = [await runtime.accept(n) for n in range(3)]
        await runtime.cancel()
        assert (await blocker.wait_outcome()).reason == "cancelled"
        gate.set()

        assert [(await ticket.wait_outcome()).phase for ticket in tickets] == ["consumed"] * 3


async def test_a_batch_is_the_same_after_a_failure_with_the_state_of_each_member(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    gate = trio.Event()
    seen: list[list[tuple[int, str]]] = []

    async def behaviour(run: tenure.Run) -> None:
        await gate.wait()
        seen.append([(each.payload, each.phase) for each in run.inputs])
        run.reject(run.inputs[1], "never liked it")
        await run.checkpoint(consume=run.inputs[:1])
        if run.attempts == 0:
            raise ValueError("after the checkpoint")

    async with open_host({"k": tenure.Behaviour(behaviour, batch=3)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(9)
        await runtime.wait_state("running")
        tickets = [await runtime.accept(n) for n in range(3)]
        await runtime.cancel()
        gate.set()
        outcomes = [await ticket.wait_outcome() for ticket in tickets]

        assert [outcome.phase for outcome in outcomes] == ["consumed", "abandoned", "consumed"]
        assert seen == [
            [(0, "staged"), (1, "staged"), (2, "staged")],
            [(0, "consumed"), (1, "abandoned"), (2, "staged")],
        ]


async def test_a_class_goes_in_and_comes_out(autojump_clock: MockClock, open_host: OpenHost) -> None:
    seen: list[object] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.extend(each.payload for each in run.inputs)

    kinds = {
        "order": tenure.Behaviour(behaviour, payload=Order),
        "address": tenure.Behaviour(behaviour, payload=Address),
    }
    async with open_host(kinds) as supervisor:
        orders, addresses = await supervisor.spawn("o", "order"), await supervisor.spawn("d", "address")
        await (await orders.accept(Order("tea", 2))).wait_outcome()
        await (await orders.accept({"item": "milk"})).wait_outcome()
        await (await addresses.accept(Address("Kiel"))).wait_outcome()

        assert seen == [Order("tea", 2), Order("milk", 1), Address("Kiel")]


@pytest.mark.parametrize("payload", [{"count": 1}, {"item": "tea", "count": "many"}, "tea"])
async def test_a_payload_that_does_not_fit_is_refused_at_accept_and_nothing_is_written(
    autojump_clock: MockClock, open_host: OpenHost, payload: object
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        raise AssertionError("it must not run")

    async with open_host({"order": tenure.Behaviour(behaviour, payload=Order)}) as supervisor:
        runtime = await supervisor.spawn("o", "order")
        before = supervisor.statistics().commits
        with pytest.raises(InvalidInput, match="payload"):
            await runtime.accept(payload)

        assert supervisor.statistics().commits == before


async def test_a_payload_that_a_peer_sent_and_does_not_fit_is_rejected_alone(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[Order] = []

    async def shop(run: tenure.Run) -> None:
        seen.extend(each.payload for each in run.inputs)

    async def sender(run: tenure.Run) -> None:
        run.send("shop", {"item": "tea"})
        run.send("shop", {"nonsense": True})
        run.send("shop", {"item": "milk"})

    async with open_host({"shop": tenure.Behaviour(shop, payload=Order, batch=10), "sender": sender}) as supervisor:
        shop_runtime = await supervisor.spawn("shop", "shop")
        ticket = await (await supervisor.spawn("s", "sender")).accept(1)
        await ticket.wait_outcome()
        await shop_runtime.wait_state("running")
        await shop_runtime.wait_state("attached")

        assert seen == [Order("tea"), Order("milk")]
        letters = await supervisor.dead_letters("shop")
        assert [letter.reason for letter in letters] == ["rejected"]


async def test_what_is_sent_to_steer_joins_at_the_next_checkpoint_and_joins_there_again_after_a_restart(
    autojump_clock: MockClock,
    open_host: OpenHost,
) -> None:
    seen: list[object] = []

    async def behaviour(run: tenure.Run) -> None:
        joined = await run.wait_steered()
        seen.append([each.payload for each in joined])
        joined = await run.wait_steered()
        seen.append([each.payload for each in joined])

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept("work", idempotency_key="work")
        await runtime.wait_state("running")
        await runtime.accept("yes", lane="steer", idempotency_key="answer")
        await wait_all_tasks_blocked()
        assert seen == [["yes"]]
        raise_out = trio.CancelScope()
        with raise_out:
            raise_out.cancel()
            await trio.sleep_forever()

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        work = await supervisor.ticket("a", idempotency_key="work")
        await runtime.accept("and this", lane="steer")

        assert (await work.wait_outcome()).phase == "consumed"
        assert seen == [["yes"], ["yes"], ["and this"]]
        assert (await (await supervisor.ticket("a", idempotency_key="answer")).wait_outcome()).phase == "consumed"


async def test_without_a_run_what_is_sent_to_steer_begins_one(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def behaviour(run: tenure.Run) -> None:
        assert [each.payload for each in run.inputs] == ["alone"]

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert (await (await runtime.accept("alone", lane="steer")).wait_outcome()).phase == "consumed"


@pytest.mark.parametrize(("error", "stored"), [("", ""), ("caf\udce9", "caf\\udce9"), ("a\0b", "a\\0b")])
async def test_a_rejection_counts_whatever_its_text_is(
    autojump_clock: MockClock, open_host: OpenHost, error: str, stored: str
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        run.reject(run.inputs[0], error)
        await run.checkpoint()
        run.reject(run.inputs[0], "once more")

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        outcome = await ticket.wait_outcome()

        assert (outcome.phase, outcome.reason, outcome.error) == ("abandoned", "rejected", stored)
        assert [letter.error for letter in await supervisor.dead_letters("a")] == [stored]


async def test_what_joined_to_steer_can_be_rejected(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def behaviour(run: tenure.Run) -> None:
        (steered,) = await run.wait_steered()
        run.reject(steered, "not now")

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        first = await runtime.accept(1)
        await wait_all_tasks_blocked()
        second = await runtime.accept(2, lane="steer")

        assert (await second.wait_outcome()).reason == "rejected"
        assert (await first.wait_outcome()).phase == "consumed"


async def test_a_checkpoint_names_what_has_come_since_the_last_boundary_and_the_end_names_all(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[tuple[str, ...]] = []

    async def behaviour(run: tenure.Run) -> None:
        for _ in range(2):
            await run.wait_steered()
            seen.append((await run.checkpoint()).contributing_input_ids)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        tickets = [await runtime.accept(0)]
        for n in (1, 2):
            await wait_all_tasks_blocked()
            tickets.append(await runtime.accept(n, lane="steer"))
        outcome = await tickets[0].wait_outcome()

    ids = [ticket.input_id for ticket in tickets]
    assert seen == [(ids[1],), (ids[2],)]
    assert outcome.receipt is not None
    assert list(outcome.receipt.contributing_input_ids) == ids


@pytest.mark.sqlite("plans of SQLite")
async def test_what_a_steered_run_stores_and_reads_at_a_checkpoint_does_not_grow_with_what_joined_before(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        while (await run.wait_steered())[-1].payload != "end":
            pass

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        first = await runtime.accept("begin")
        for n in range(40):
            await wait_all_tasks_blocked()
            await runtime.accept(n, lane="steer")
        await wait_all_tasks_blocked()
        async with supervisor.store.read_connection() as connection:
            (longest,) = (await connection.query("SELECT max(length(input_ids)) FROM receipts"))[0]
            statements = load_statements()
            for name, values, way in (
                ("inputs.any_steering", {"runtime": 1, "now": 0.0}, "inputs_steering"),
                ("inputs.joined", {"run": 1, "joined": 1}, "joined=?"),
            ):
                plan = await connection.query(f"EXPLAIN QUERY PLAN {statements[name]}", values)
                assert any(way in row[3] for row in plan), (name, plan)
        assert longest < 100
        await runtime.accept("end", lane="steer")
        assert (await first.wait_outcome()).phase == "consumed"
