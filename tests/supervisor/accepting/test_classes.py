"""Users' own classes as payloads, arguments and results of steps: attrs, dataclasses, pydantic models, and hooks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum
from types import NoneType
from typing import Any

import attrs
import pydantic
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, StepFailed
from tests.kit.alone import OpenHost


@attrs.frozen
class Page:
    title: str
    day: date = date(2030, 1, 2)


@dataclass(frozen=True)
class Address:
    city: str


class Line(pydantic.BaseModel):
    item: str
    count: int = 1


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    customer: str = pydantic.Field(alias="for")
    lines: list[Line] = []
    due: datetime | None = None


@attrs.frozen
class Parcel:
    """An attrs class with a model in it."""

    order: Order
    number: int


class Money:
    """What neither JSON nor cattrs knows."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


class Login(pydantic.BaseModel):
    """pydantic writes its secret as asterisks."""

    password: pydantic.SecretStr


class Half(pydantic.BaseModel):
    """It writes less than it holds."""

    count: int

    @pydantic.field_serializer("count")
    def half(self, count: int) -> int:
        return count // 2


class Renamed(pydantic.BaseModel):
    """It is written under a name under which it is not read."""

    count: int = pydantic.Field(default=3, serialization_alias="number")


class Hidden(pydantic.BaseModel):
    """What it says itself that it does not write, it may lose."""

    count: int
    seen: int = pydantic.Field(default=0, exclude=True)


@attrs.frozen
class Anything:
    value: Any


class Level(IntEnum):
    LOW = 1


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise KeyError(name)


DUE = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
ORDER = Order.model_validate({"for": "eve", "lines": [Line(item="tea")], "due": DUE})


async def nothing(run: tenure.Run) -> None:
    """Takes whatever comes."""


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (Order, ORDER),
        (Order, {"for": "eve", "lines": [{"item": "tea"}], "due": "2030-01-02T03:04:00Z"}),
        (Parcel, Parcel(ORDER, 7)),
        (list[Order], [ORDER]),
        (dict[str, Line], {"a": Line(item="tea", count=2)}),
    ],
)
async def test_a_model_goes_in_and_comes_out(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any
) -> None:
    seen: list[object] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(run.inputs[0].payload)

    async with open_host({"k": tenure.Behaviour(behaviour, payload=cls)}) as supervisor:
        await (await (await supervisor.spawn("a", "k")).accept(given)).wait_outcome()

    assert seen == [ORDER if isinstance(given, dict) and "for" in given else given]


async def test_a_model_that_a_payload_does_not_fit_says_what_is_wrong_and_not_what_was_given(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": tenure.Behaviour(nothing, payload=Order)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with pytest.raises(InvalidInput, match=r"valid string @ for; Field required @ lines.0.item") as raised:
            await runtime.accept({"for": 12345678, "lines": [{"secret": "word"}]})
        assert "12345678" not in str(raised.value)
        assert "word" not in str(raised.value)


def page(title: str) -> Page:
    return Page(title)


async def pages(titles: list[str]) -> list[Page]:
    return [Page(title) for title in titles]


def address(city: str) -> Address | None:
    return Address(city) if city else None


def order(line: Line) -> Order:
    return ORDER.model_copy(update={"lines": [line]})


def numbered(city: str) -> dict[int, Address]:
    return {1: Address(city)}


def numbered_wrongly(city: str) -> dict[int, Address]:
    return {"1": {"city": city}}  # type: ignore[dict-item]


def unsaid(title: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - it says nothing of what it returns
    return {"title": title}


RESULTS: list[tuple[Any, Any, Any]] = [
    (page, "a", Page("a")),
    (pages, ["a", "b"], [Page("a"), Page("b")]),
    (address, "Kiel", Address("Kiel")),
    (address, "", None),
    (order, Line(item="milk"), ORDER.model_copy(update={"lines": [Line(item="milk")]})),
    (Address, "Kiel", Address("Kiel")),
    (numbered, "Kiel", {1: Address("Kiel")}),
    (numbered_wrongly, "Kiel", {1: Address("Kiel")}),
    (unsaid, "a", {"title": "a"}),
]


@pytest.mark.parametrize(("function", "argument", "expected"), RESULTS)
async def test_a_step_gives_what_its_function_says_that_it_returns_also_out_of_the_record(
    autojump_clock: MockClock, open_host: OpenHost, function: Any, argument: Any, expected: Any
) -> None:
    seen: list[object] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(await run.step("make", function, argument, repeat="never"))
        seen.extend(await run.map("each", function, [argument], repeat="keyed") if function is page_keyed else [])
        await run.sleep(0)
        if run.attempts == 0:
            raise ValueError("once more")

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"

    assert seen == [expected, expected]


def page_keyed(title: str, key: str) -> Page:
    return Page(title)


async def test_a_map_gives_instances_too(autojump_clock: MockClock, open_host: OpenHost) -> None:
    seen: list[object] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(await run.map("each", page_keyed, ["a", "b"], repeat="keyed"))
        seen.append(await run.map("lines", order, [Line(item="x"), Line(item="y")], repeat="freely"))

    async with open_host({"k": behaviour}) as supervisor:
        await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()

    assert seen[0] == [Page("a"), Page("b")]
    assert [each.lines[0].item for each in seen[1]] == ["x", "y"]  # type: ignore[attr-defined]


async def test_a_recorded_result_that_a_new_class_does_not_take_holds_the_run(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    def old() -> Page:
        return Page("a")

    def new() -> Address:
        raise AssertionError("it is recorded")

    for function in (old, new):
        function.__annotations__["return"] = Page if function is old else Address

    async def behaviour(run: tenure.Run) -> None:
        await run.step("make", function, repeat="never")
        await trio.sleep_forever()

    function: Any = old
    with trio.CancelScope() as scope:
        async with open_host({"k": behaviour}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    function = new
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert await runtime.wait_held() == "step mismatch"
        assert "a result that does not fit Address" in (runtime.held_detail or "")


async def test_a_result_that_is_not_what_its_function_says_is_a_failed_step(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    def lies() -> Any:
        return {"headline": "a"}

    lies.__annotations__["return"] = Page
    errors: list[str] = []

    async def behaviour(run: tenure.Run) -> None:
        with pytest.raises(StepFailed, match="does not fit Page") as raised:
            await run.step("make", lies, repeat="freely", attempts=3)
        errors.append(raised.value.detail)

    async with open_host({"k": behaviour}) as supervisor:
        await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()

    assert "required field missing @ result.title" in errors[0]


def decode(cls: type[Any], value: Any) -> Any:
    return cls(value)


async def test_hooks_do_for_what_neither_json_nor_cattrs_knows(autojump_clock: MockClock, open_host: OpenHost) -> None:
    seen: list[object] = []

    def double(money: Money) -> dict[str, Address]:
        return {str(money.cents * 2): Address("Kiel")}

    async def behaviour(run: tenure.Run) -> None:
        price: Money = run.inputs[0].payload["price"]
        seen.append(price)
        seen.append(await run.step("double", double, price, repeat="freely"))

    kind = tenure.Behaviour(behaviour, payload=dict[str, Money], encode=lambda money: money.cents, decode=decode)
    async with open_host({"k": kind}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept({"price": Money(3)})).wait_outcome()
        await (await runtime.accept({"price": 3})).wait_outcome()

    assert seen == [Money(3), {"6": Address("Kiel")}] * 2


BAG = attrs.make_class("Bag", {"money": attrs.field(type=Money | None, default=None)})


@pytest.mark.parametrize(
    "cls",
    [
        Money,
        list[Money],
        attrs.make_class("Bag", {"money": attrs.field(type=Money)}),
        BAG,
        Money | None,
        Decimal | None,
        tuple[Money, ...],
        attrs.make_class("Sack", {"bags": attrs.field(type=list[BAG])}),  # type: ignore[valid-type]
        dict[tuple[int, int], str],
        dict[Level, str],
        dict[bool, str],
        NoneType,
    ],
)
def test_what_nothing_can_be_made_of_is_refused_when_the_behaviour_is_made(cls: Any) -> None:
    with pytest.raises(InvalidInput, match="payload"):
        tenure.Behaviour(nothing, payload=cls)


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (Login, Login(password=pydantic.SecretStr("hunter2"))),
        (list[Login], [Login(password=pydantic.SecretStr("hunter2"))]),
        (attrs.make_class("Held", {"login": attrs.field(type=Login)}), None),
        (Half, Half(count=9)),
        (Renamed, Renamed(count=4)),
        (Anything, Anything(DUE)),
        (Anything, Anything([{"at": DUE}])),
    ],
)
async def test_an_instance_that_would_come_back_as_another_is_refused_and_its_content_not_said(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any
) -> None:
    async with open_host({"k": tenure.Behaviour(nothing, payload=cls)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with pytest.raises(InvalidInput, match="does not hold all of it") as raised:
            await runtime.accept(cls(Login(password=pydantic.SecretStr("hunter2"))) if given is None else given)
        assert "hunter2" not in str(raised.value)
        assert not await supervisor.store.runtimes.load_input_states("a")


@pytest.mark.parametrize(
    ("cls", "given", "back"),
    [
        (Hidden, Hidden(count=1, seen=5), Hidden(count=1)),
        (Anything, Anything((1, 2)), Anything([1, 2])),
        (Line, {"item": "tea", "size": 3}, Line(item="tea")),
        (Renamed, {"count": 4}, Renamed(count=4)),
        (dict[int, str], {1: "a"}, {1: "a"}),
        (dict[int, Line], {"1": {"item": "tea"}}, {1: Line(item="tea")}),
        (list[dict[int, Line]], [{1: Line(item="tea")}], [{1: Line(item="tea")}]),
        (attrs.make_class("Shelf", {"lines": attrs.field(type=dict[int, Line])}), None, None),
    ],
)
async def test_what_a_class_takes_or_leaves_by_itself_is_taken(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any, back: Any
) -> None:
    seen: list[object] = []
    given = cls({1: Line(item="tea")}) if given is None else given

    async def behaviour(run: tenure.Run) -> None:
        seen.append(run.inputs[0].payload)

    async with open_host({"k": tenure.Behaviour(behaviour, payload=cls)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(given, idempotency_key="k")).wait_outcome()
        assert (await runtime.accept(given, idempotency_key="k")).deduplicated

    assert seen == [given if back is None else back]


async def test_a_payload_whose_class_raises_whatever_it_likes_is_refused(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": tenure.Behaviour(nothing, payload=Page)}) as supervisor:
        with pytest.raises(InvalidInput):
            await (await supervisor.spawn("a", "k")).accept(Hostile())


def test_a_model_says_itself_what_it_does_with_unknown_fields() -> None:
    with pytest.raises(InvalidInput, match="ConfigDict"):
        tenure.Behaviour(nothing, payload=Order, extra="forbid")


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_a_hook_that_is_no_function_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        tenure.Behaviour(nothing, **{name: 1})  # type: ignore[arg-type]


@pytest.mark.slow
def test_pydantic_is_not_imported_for_who_does_not_use_it() -> None:
    code = (
        "import sys, tenure, dataclasses\n"
        "async def behaviour(run): ...\n"
        "tenure.Behaviour(behaviour, payload=dataclasses.make_dataclass('A', [('x', int)])).payload_type.encode({'x': 1})\n"
        "sys.exit('pydantic' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
