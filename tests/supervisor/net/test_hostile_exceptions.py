"""Exceptions that fight back: whatever a behaviour raises, its own run fails and nothing else ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio.testing

import tenure
from tests.kit.hosting import (
    consumed,
    host,
    nothing,
)

ONCE = tenure.RestartPolicy(max_attempts=1)


class EvilText(str):
    """A text whose methods raise."""

    __slots__ = ()

    def __len__(self) -> NoReturn:
        raise AttributeError("len")

    def encode(self, *_: object, **__: object) -> NoReturn:
        raise AttributeError("encode")

    def __bool__(self) -> NoReturn:
        raise AttributeError("bool")


class NoText(Exception):
    def __str__(self) -> str:
        raise AttributeError("no text here")

    __repr__ = __str__


class WrongText(Exception):
    def __str__(self) -> Any:
        return 5  # noqa: PLE0307 - that is the point


class EvilTextual(Exception):
    def __str__(self) -> str:
        return EvilText("a text that fights back")


class Deep(Exception):
    def __str__(self) -> str:
        return self.__str__()


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Disguised(Exception):
    @property
    def __class__(self) -> Any:
        raise ValueError("no class")

    @__class__.setter
    def __class__(self, _: Any) -> None:
        """Nothing may be set either."""


class NoTraceback(Exception):
    @property
    def __traceback__(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - that is the point
        raise ValueError("no traceback")

    @__traceback__.setter
    def __traceback__(self, _: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Nothing may be set either."""


class EvilGroup(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> Any:
        raise ValueError("no members")


def nested(depth: int) -> Exception:
    error: Exception = ValueError("the innermost")
    for _ in range(depth):
        outer: ExceptionGroup[Exception] = ExceptionGroup("again", [error])
        error = outer
    return error


HOSTILE: dict[str, Callable[[], BaseException]] = {
    "its text raises": NoText,
    "its text is a number": WrongText,
    "its text fights back": EvilTextual,
    "its text recurses": Deep,
    "its text exits": Exits,
    "its class raises": Disguised,
    "its traceback raises": NoTraceback,
    "a group whose members raise": lambda: EvilGroup("evil", [ValueError("inside")]),
    "a group in a group, five thousand deep": lambda: nested(5_000),
    "a group with one whose text raises": lambda: ExceptionGroup("some", [NoText(), ValueError("plain")]),
    "lone surrogates and NUL": lambda: ValueError("\ud83d\0"),
    "a text of ten million characters": lambda: ValueError("x" * 10_000_000),
}


class NoTextBase(BaseException):
    def __str__(self) -> str:
        raise AttributeError("no text here")

    __repr__ = __str__


@pytest.mark.parametrize("raised", [NoTextBase, NoText])
@pytest.mark.parametrize("way", ["gather", "first", "map"])
async def test_whatever_a_branch_raises_is_a_failed_attempt_of_its_own_run(
    way: str, raised: type[BaseException], target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    """Out of a task of trio's it would be asked for its text, and the loop would end with what that raises."""

    async def branch(*_: object) -> None:
        raise raised

    async def hostile(run: tenure.Run) -> None:
        match way:
            case "gather":
                await run.gather(branch, branch)
            case "first":
                await run.first(branch, partial(trio.sleep, 5))
            case _:
                await run.map("each", branch, [1, 2], repeat="freely")

    behaviours = {"hostile": tenure.Behaviour(hostile, restart=ONCE), "kind": nothing}
    async with host(target, behaviours) as supervisor:
        runtime = await supervisor.spawn("evil", "hostile")
        outcome = await (await runtime.accept(1)).wait_outcome()
        assert outcome.reason == "max_attempts_exhausted"
        assert await consumed(await supervisor.spawn("sibling", "kind"), 1)


@pytest.mark.parametrize("name", HOSTILE)
async def test_whatever_a_behaviour_raises_is_a_failed_attempt_of_its_own_run(
    name: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def hostile(_: tenure.Run) -> None:
        error = HOSTILE[name]()
        raise error

    behaviours = {"hostile": tenure.Behaviour(hostile, restart=ONCE), "kind": nothing}
    async with host(target, behaviours) as supervisor:
        ticket = await (await supervisor.spawn("mallory", "hostile")).accept("go")
        outcome = await ticket.wait_outcome()

        assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")
        await consumed(await supervisor.spawn("alice", "kind"), "go")


@pytest.mark.parametrize("name", HOSTILE)
async def test_whatever_a_step_raises_is_recorded_and_fails_its_own_run(
    name: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    def hostile() -> None:
        error = HOSTILE[name]()
        raise error

    async def stepping(run: tenure.Run) -> None:
        await run.step("hostile", hostile, repeat="never")

    behaviours = {"hostile": tenure.Behaviour(stepping, restart=ONCE), "kind": nothing}
    async with host(target, behaviours) as supervisor:
        ticket = await (await supervisor.spawn("mallory", "hostile")).accept("go")
        outcome = await ticket.wait_outcome()

        assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")
        assert "in step hostile" in (outcome.error or "")
        await consumed(await supervisor.spawn("alice", "kind"), "go")


async def test_an_exception_without_a_text_is_recorded_with_the_name_of_what_its_text_raised(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def hostile(_: tenure.Run) -> None:
        raise NoText

    async with host(target, {"hostile": tenure.Behaviour(hostile, restart=ONCE)}) as supervisor:
        outcome = await (await (await supervisor.spawn("mallory", "hostile")).accept("go")).wait_outcome()

        assert (outcome.error or "").startswith("NoText: (no text: AttributeError)")
