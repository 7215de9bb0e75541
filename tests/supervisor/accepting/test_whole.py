"""A class is refused when its behaviour is made, or its instances come back for ever, whole."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, make_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Optional

import attrs
import pydantic
import pytest
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, StepFailed
from tests.kit.alone import OpenHost

NODE: Any = make_dataclass(
    "NODE",  # made so, no annotation of it is a text as a whole, but one is within another class
    [
        ("name", str),
        ("left", Optional["NODE"], None),
        ("children", list["NODE"], field(default_factory=list[Any])),
        ("named", dict[str, "NODE"] | None, None),
    ],
)
NODE.__module__ = __name__


LEAF: Any = attrs.make_class(
    "LEAF", {"name": attrs.field(type=str), "left": attrs.field(type=Optional["LEAF"], default=None)}
)
LEAF.__module__ = __name__


@dataclass
class Fruit:
    name: str


@dataclass
class Apple(Fruit):
    weight: int = 0


@dataclass
class Pear(Fruit):
    """A subclass that holds no more."""


@dataclass
class Basket:
    fruit: list[Fruit]


@dataclass
class Note:
    x: int


@dataclass(kw_only=True)
class LongNote:
    """What it has more than a `Note` has a default: JSON does not tell which of the two it is."""

    x: int
    y: str = ""


@dataclass
class Times:
    x: int
    factor: InitVar[int]


class Size(Enum):
    SMALL = (1, 2)


@dataclass
class HasSize:
    size: Size


class Login(pydantic.BaseModel):
    password: pydantic.SecretStr


class Line(pydantic.BaseModel):
    item: str


class PricedLine(Line):
    price: int


class Bill(pydantic.BaseModel):
    line: Line


async def gives(run: tenure.Run) -> str:
    return repr(run.inputs[0].payload)


@pytest.mark.parametrize(
    "cls",
    [
        Note | LongNote | None,
        Note | LongNote | int,
        Note | int | list[int] | None,
        list[datetime | date | None],
        Times,
        list[Times],
        Size,
        HasSize,
    ],
)
def test_what_no_instance_would_come_back_of_is_refused_when_the_behaviour_is_made(cls: Any) -> None:
    with pytest.raises(InvalidInput, match="payload"):
        tenure.Behaviour(gives, payload=cls)


TREES = [
    (NODE, NODE("a", NODE("b"), [NODE("c", None, [NODE("d")])], {"e": NODE("f")})),
    (LEAF, LEAF("a", LEAF("b"))),
]


@pytest.mark.parametrize(("cls", "tree"), TREES)
async def test_a_class_that_names_itself_within_another_one_comes_back(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, tree: Any
) -> None:
    async with open_host({"k": tenure.Behaviour(gives, payload=cls)}) as supervisor:
        outcome = await (await supervisor.accept("a", tree, kind="k")).wait_outcome()
        assert outcome.result == repr(tree)


@pytest.mark.parametrize(("cls", "tree"), TREES)
async def test_a_step_gives_instances_of_a_class_that_names_itself(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, tree: Any
) -> None:
    def grow() -> Any:
        return tree

    grow.__annotations__["return"] = cls

    async def grows(run: tenure.Run) -> str:
        return repr(await run.step("grow", grow, repeat="freely"))

    async with open_host({"k": grows}) as supervisor:
        outcome = await (await supervisor.accept("a", 1, kind="k")).wait_outcome()
        assert outcome.result == repr(tree)


LOST = [
    (Fruit, Apple("a", 3)),
    (Basket, Basket([Pear("p"), Apple("a", 3)])),
    (dict[str, Fruit], {"a": Apple("a")}),
    (Bill, Bill(line=PricedLine(item="a", price=3))),
    (Line, PricedLine(item="a", price=3)),
    (Login, Login(password=pydantic.SecretStr("word"))),
]


@pytest.mark.parametrize(("cls", "given"), LOST)
async def test_what_a_subclass_holds_beside_is_not_lost_in_silence(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any
) -> None:
    async with open_host({"k": tenure.Behaviour(gives, payload=cls)}) as supervisor:
        with pytest.raises(InvalidInput, match="does not hold all of it"):
            await supervisor.accept("a", given, kind="k")


@pytest.mark.parametrize(("cls", "given"), LOST)
async def test_nor_what_the_result_of_a_step_holds(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any
) -> None:
    def make() -> Any:
        return given

    make.__annotations__["return"] = cls

    async def takes(run: tenure.Run) -> None:
        with pytest.raises(StepFailed, match="does not hold all of it"):
            await run.step("make", make, repeat="freely", attempts=3)

    async with open_host({"k": takes}) as supervisor:
        outcome = await (await supervisor.accept("a", 1, kind="k")).wait_outcome()
        assert outcome.error is None


class Visit(pydantic.BaseModel):
    seen: Any = None


@dataclass
class Trip:
    stops: list[Any]
    by: dict[str, Any] = field(default_factory=dict[str, Any])


AT = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cls", "given", "lost"),
    [
        (Trip, Trip([1, AT]), "stops[1] was of class datetime, and comes back as a text"),
        (Trip, Trip([1], {"train": {"at": AT}}), "by['train']['at'] was of class datetime, and comes back as a text"),
        (Visit, Visit(seen=AT), "seen was of class datetime, and comes back as a text"),
        (Basket, Basket([Fruit("f"), Apple("a", 3)]), "fruit[1].weight is not there again"),
        (Login, Login(password=pydantic.SecretStr("hunter2")), "password, of class SecretStr, has another value"),
    ],
)
async def test_what_is_lost_is_named_without_its_value(
    autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any, lost: str
) -> None:
    def make() -> Any:
        return given

    make.__annotations__["return"] = cls

    async def takes(run: tenure.Run) -> None:
        with pytest.raises(StepFailed) as failed:
            await run.step("make", make, repeat="freely")
        assert f": result.{lost}; give" in str(failed.value)

    async with open_host(
        {"k": tenure.Behaviour(takes), "of class": tenure.Behaviour(gives, payload=cls)}
    ) as supervisor:
        outcome = await (await supervisor.accept("a", 1, kind="k")).wait_outcome()
        assert outcome.error is None
        with pytest.raises(InvalidInput) as refused:
            await supervisor.accept("b", given, kind="of class")
        assert f": payload.{lost}; give" in str(refused.value)


@pytest.mark.parametrize(("cls", "given"), [(Fruit, Pear("p")), (Basket, Basket([Fruit("a")])), (Note | None, Note(1))])
async def test_what_is_whole_is_taken(autojump_clock: MockClock, open_host: OpenHost, cls: Any, given: Any) -> None:
    async with open_host({"k": tenure.Behaviour(gives, payload=cls)}) as supervisor:
        outcome = await (await supervisor.accept("a", given, kind="k")).wait_outcome()
        assert outcome.result == repr(given).replace("Pear", "Fruit")
