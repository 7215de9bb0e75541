"""An acknowledged input is known under its key, also where a deploy has changed its class so that it does not fit."""

from __future__ import annotations

from typing import Any

import attrs
import pydantic
import pytest
from trio.testing import MockClock

import tenure
from tenure.errors import IdempotencyConflict, InvalidInput, NotFound
from tests.kit.alone import OpenHost


@attrs.frozen
class Order:
    item: str
    price: float = 1.5


@attrs.frozen
class OrderOfNow:
    item: str
    customer: str


class OrderModel(pydantic.BaseModel):
    item: int


async def shop(run: tenure.Run) -> str:
    return "sold"


@pytest.mark.parametrize("cls", [OrderOfNow, OrderModel])
@pytest.mark.parametrize("given", [{"item": "tea"}, Order("tea")])
@pytest.mark.parametrize("pruned", [False, True])
async def test_what_is_redelivered_after_a_deploy_is_known(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any, *, pruned: bool
) -> None:
    async with open_host({"shop": tenure.Behaviour(shop, payload=Order)}) as supervisor:
        first = await supervisor.accept("a", given, kind="shop", idempotency_key="k")
        await first.wait_outcome()
        if pruned:
            await supervisor.store.prune(older_than_s=0)

    async with open_host({"shop": tenure.Behaviour(shop, payload=cls)}) as supervisor:
        again = await supervisor.accept("a", given, kind="shop", idempotency_key="k")
        assert (again.input_id, again.deduplicated) == (first.input_id, True)
        again = await (await supervisor.spawn("a", "shop")).accept(given, idempotency_key="k")
        assert (again.input_id, again.deduplicated) == (first.input_id, True)
        with pytest.raises(IdempotencyConflict):
            await supervisor.accept("a", {"item": "milk"}, kind="shop", idempotency_key="k")


async def test_what_is_not_known_is_refused_and_makes_nothing(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async with open_host({"shop": tenure.Behaviour(shop, payload=OrderOfNow)}) as supervisor:
        with pytest.raises(InvalidInput, match=r"payload is not valid: required field missing @ payload.customer"):
            await supervisor.accept("a", {"item": "tea"}, kind="shop", idempotency_key="k")
        with pytest.raises(NotFound):
            await supervisor.find("a")
        runtime = await supervisor.spawn("a", "shop")
        with pytest.raises(InvalidInput, match="customer"):
            await runtime.accept({"item": "tea"}, idempotency_key="k", after_s=60)
        with pytest.raises(InvalidInput, match="no JSON form"):
            await runtime.accept({"item": object()}, idempotency_key="k")
        with pytest.raises(NotFound):
            await supervisor.ticket("a", idempotency_key="k")
