"""A payload, or a result, comes as it was given, or it does not fit: nothing is changed so that its class takes it."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence, Sequence, Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from threading import Thread
from typing import Annotated, Any, Generic, NewType, TypedDict, TypeVar

import attrs
import pytest
from cattrs.preconf.json import make_converter
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, StepFailed
from tenure.persistence.model.events.event_types import EventTypes
from tenure.persistence.model.events.lossless import take_without_loss
from tenure.supervisor.accepting.classes import Classes, Misfit
from tests.kit.alone import OpenHost

T = TypeVar("T")
UserId = NewType("UserId", str)


@dataclass
class Order:
    item: str = ""
    paid: bool = False
    count: int = 0
    price: float = 0.0
    tags: list[str] = field(default_factory=list[str])
    note: str | None = None


@dataclass
class OrderWithNote:
    """The next version of it, in which the note is always there, and a price is in whole cents."""

    note: str
    price: int


@attrs.frozen
class Node:
    name: str
    children: list[Node] = attrs.field(factory=list["Node"])


@attrs.frozen
class Box(Generic[T]):
    value: T
    values: list[T]


class Table(TypedDict):
    rows: list[str]


class Level(IntEnum):
    LOW = 1


class Colour(StrEnum):
    RED = "red"


CHANGED: list[tuple[Any, Any]] = [
    (str, None),
    (str, 5),
    (str, {"a": 1}),
    (UserId, None),
    (Colour, None),
    (bool, "false"),
    (bool, None),
    (bool, 2),
    (bool, []),
    (int, 1.5),
    (int, True),
    (int, " 12"),
    (int, "1_000"),
    (int, "007"),
    (int | None, 2.5),
    (Annotated[int, "cents"], 2.5),
    (Level, True),
    (float, True),
    (float, "nan"),
    (float, 2**53 + 1),
    (list[str], "abc"),
    (list[Any], {"a": 1}),
    (list, "abc"),
    (Sequence[str], "abc"),
    (MutableSequence[str], "abc"),
    (AbstractSet[str], "abc"),
    (set[str], "abc"),
    (frozenset[str], {"a": 1}),
    (tuple[str, ...], "abc"),
    (tuple[str, str], "ab"),
    (deque[str], "abc"),
    (list[str] | None, "abc"),
    (dict[str, bool], {"a": "no"}),
    (dict[int, str], {"01": "a"}),
    (Order, {"tags": "abc"}),
    (Node, {"name": "a", "children": [{"name": "b", "children": "abc"}]}),
    (list[Node], [{"name": "a", "children": [{"name": "b", "children": {"c": 1}}]}]),
    (Box[int], {"value": 1.5, "values": []}),
    (Box[int], {"value": 1, "values": "12"}),
    (Table, {"rows": "abc"}),
]


@pytest.mark.parametrize(("cls", "value"), CHANGED)
def test_what_would_have_to_be_changed_does_not_fit(cls: Any, value: Any) -> None:
    with pytest.raises(Misfit):
        Classes().structure(value, cls, "payload")


TAKEN: list[tuple[Any, Any, Any]] = [
    (int, 2.0, 2),
    (float, 2, 2.0),
    (int, "12", 12),
    (float, "1.50", 1.5),
    (dict[int, str], {"-1": "a"}, {-1: "a"}),
    (UserId, "a", "a"),
    (Level, 1, Level.LOW),
    (Colour, "red", Colour.RED),
    (tuple[str, int], ["a", 1], ("a", 1)),
    (set[str], ["a"], {"a"}),
    (list[str] | None, None, None),
    (Box[str], {"value": "a", "values": ["b"]}, Box("a", ["b"])),
    (list[Node], [{"name": "a", "children": [{"name": "b"}]}], [Node("a", [Node("b")])]),
]


@pytest.mark.parametrize(("cls", "value", "expected"), TAKEN)
def test_what_is_the_same_in_json_fits(cls: Any, value: Any, expected: Any) -> None:
    assert Classes().structure(value, cls, "payload") == expected


@pytest.mark.parametrize("given", [{"paid": "false"}, {"count": 1.5}, {"item": None}, Order(count=1.5)])  # type: ignore[arg-type]
async def test_an_accept_refuses_it(autojump_clock: MockClock, open_host: OpenHost, given: Any) -> None:
    async def shop(run: tenure.Run) -> None:
        raise AssertionError("it is refused")

    async with open_host({"shop": tenure.Behaviour(shop, payload=Order)}) as supervisor:
        with pytest.raises(InvalidInput, match="payload"):
            await supervisor.accept("a", given, kind="shop")


async def test_what_a_deploy_would_have_changed_is_held_and_served_unchanged_after_a_roll_back(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def shop(run: tenure.Run) -> str:
        return repr(run.inputs[0].payload)

    old = tenure.Behaviour(shop, payload=Order, version="1")
    new = tenure.Behaviour(shop, payload=OrderWithNote, version="2")
    async with open_host({"shop": old}) as supervisor:
        await supervisor.hold("a")
        await supervisor.accept("a", {"price": 1.5}, kind="shop", idempotency_key="k")
    async with open_host({"shop": new}) as supervisor:
        await supervisor.resume("a")
        runtime = await supervisor.spawn("a", "shop")
        assert await runtime.wait_held() == "payload does not fit"
    async with open_host({"shop": old}) as supervisor:
        runtime = await supervisor.spawn("a", "shop")
        await runtime.resume()
        outcome = await (await supervisor.ticket("a", idempotency_key="k")).wait_outcome()
        assert "price=1.5" in (outcome.result or "")


async def test_a_step_whose_result_would_be_changed_has_failed(autojump_clock: MockClock, open_host: OpenHost) -> None:
    def order() -> Order:
        return Order(paid="no")  # type: ignore[arg-type]

    async def shop(run: tenure.Run) -> None:
        with pytest.raises(StepFailed, match="does not fit Order"):
            await run.step("order", order, repeat="freely")

    async with open_host({"shop": shop}) as supervisor:
        outcome = await (await supervisor.accept("a", 1, kind="shop")).wait_outcome()
        assert outcome.phase == "consumed"


def test_an_event_that_would_come_back_changed_is_refused_and_so_is_one_that_its_class_takes_no_more() -> None:
    types = EventTypes()
    types.add(Order)
    with pytest.raises(InvalidInput):
        types.encode(Order(count=1.5))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        types.decode("Order", 1, {"paid": "false"})


def test_what_two_threads_make_hooks_for_at_once_is_taken_by_neither_where_it_does_not_fit() -> None:
    converter, taken = make_converter(), list[object]()
    take_without_loss(converter)
    wanted, asked = list[str], list[Any]()

    def structure() -> None:
        with suppress(Exception):  # what it is refused with is the converter's; here it is whether it is
            taken.append(converter.structure("ab", wanted))

    def meanwhile(cls: Any) -> bool:
        # Asked before the hooks of tenure are: the second time while the first thread makes its hook.
        asked.append(cls)
        if cls is wanted and asked.count(cls) == 2:
            other = Thread(target=structure)
            other.start()
            other.join()
        return False

    converter.register_structure_hook_func(meanwhile, lambda value, _: value)
    structure()

    assert asked.count(wanted) >= 4
    assert taken == []
