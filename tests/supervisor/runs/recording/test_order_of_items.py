"""What of a map is recorded is asked for before what is new, whatever the order of its items and how few may execute."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=2, backoff_s=3600.0)


def pays(items: list[str], paid: list[tuple[str, str]], version: str, repeat: str) -> tenure.Behaviour:
    async def pay(item: str, key: str = "") -> str:
        paid.append((item, key))
        if version == "1" and item == "b":
            raise ConnectionError("of a test")
        return item

    async def act(run: tenure.Run) -> Any:
        return await run.map("pay", pay, items, repeat=repeat, limit=1)

    return tenure.Behaviour(act, version=version, restart=QUICK, replay_s=5.0)


async def record(open_host: OpenHost, paid: list[tuple[str, str]], repeat: str) -> None:
    async with open_host({"k": pays(["a", "b"], paid, "1", repeat)}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await trio.sleep(10)


async def test_a_new_item_does_not_keep_a_recorded_one_from_being_reached(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    paid = list[tuple[str, str]]()
    await record(open_host, paid, "keyed")
    async with open_host({"k": pays(["c", "b", "a"], paid, "2", "keyed")}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        with trio.fail_after(7200):
            assert (await ticket.wait_outcome()).result == ["c", "b", "a"]
    assert [item for item, _ in paid] == ["a", "b", "b", "c"]
    assert len({key for item, key in paid if item == "b"}) == 1


@pytest.mark.parametrize("repeat", ["keyed", "never"])
async def test_nor_one_that_a_restart_has_taken_over(
    autojump_clock: MockClock, open_host: OpenHost, repeat: str
) -> None:
    paid = list[tuple[str, str]]()
    await record(open_host, paid, repeat)
    async with open_host({"k": pays(["c", "b", "a"], paid, "2", repeat)}) as supervisor:
        runtime = supervisor.runtime("a")
        await runtime.resume(restart_run=True)
        ticket = await supervisor.ticket("a", idempotency_key="once")
        with trio.fail_after(7200):
            outcome = await ticket.wait_outcome()
        assert runtime.held is None
    if repeat == "keyed":
        assert outcome.result == ["c", "b", "a"]
    assert [item for item, _ in paid].count("a") == 1
    assert [item for item, _ in paid].count("c") == 1
