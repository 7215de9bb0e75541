"""Verbs of an adapter with wrong values for each of their arguments: a typed error or an answer, and nothing is lost."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from tenure.errors import Error


def _deep(levels: int) -> Any:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


_ENDLESS: dict[str, Any] = {}
_ENDLESS["a"] = _ENDLESS

WRONG: tuple[Any, ...] = (
    *(b"x", bytearray(b"x"), "\ud800", "", "x" * 3000, 3, -1, 2**70, 1.5, math.nan, math.inf, True, None),
    *(object(), int, (), [], [None], [b"x"], (1, 2, 3), [("a",)], {}, {3: 4}, {"\ud800": 1}),
    *({"a": object()}, {"a": b"x"}, {"configurable": 3}, {"configurable": {"thread_id": "t", "checkpoint_id": b"x"}}),
    *(_deep(900), _deep(5_000), _ENDLESS),
)

Verb = tuple[Callable[..., Any], Mapping[str, Any]]
"""What is called, and arguments that it takes."""


def verbs_of(kind: type[Any]) -> set[str]:
    """The public methods that a class has itself."""
    return {name for name, method in vars(kind).items() if inspect.isfunction(method) and not name.startswith("_")}


async def ended(verb: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a call of any sort gives in the end; one that does not await is made in a thread."""
    made = await asyncio.to_thread(partial(verb, **arguments)) if is_plain(verb) else verb(**arguments)
    if inspect.isasyncgen(made):
        return [each async for each in made]
    if inspect.isgenerator(made):
        return await asyncio.to_thread(list, made)
    return await made if inspect.isawaitable(made) else made


def is_plain(verb: Callable[..., Any]) -> bool:
    return not (inspect.iscoroutinefunction(verb) or inspect.isasyncgenfunction(inspect.unwrap(verb)))


async def sweep(
    verbs: Mapping[str, Verb], intact: Callable[[], Awaitable[Any]], *, typed: tuple[type[BaseException], ...] = ()
) -> int:
    """Put each wrong value in the place of each argument. How many calls were refused.

    Args:
        verbs: By a name; they are called with the arguments beside them first, and with these that works.
        intact: Reads what has to stay, by the verbs that list too; what it gives is compared after each call.
        typed: Errors of the framework that may be raised, besides those of tenure.
    """
    faults: list[str] = []
    refused = 0
    for name, (verb, arguments) in verbs.items():
        for place in arguments:
            for wrong in WRONG:
                before = await intact()
                try:
                    await ended(verb, {**arguments, place: wrong})
                except (Error, *typed):
                    refused += 1
                except Exception as error:  # noqa: BLE001 - which ones is what is looked for
                    faults.append(f"{name}({place}={_shown(wrong)}): {error!r:.200}")
                try:
                    assert await intact() == before
                except Exception as error:  # noqa: BLE001 - as above
                    faults.append(f"{name}({place}={_shown(wrong)}) has spoilt what was there: {error!r:.200}")
                    return _failed(faults)
    return _failed(faults) if faults else refused


def _shown(wrong: Any) -> str:
    try:
        return repr(wrong)[:60]
    except RecursionError:
        return "what is nested too deep to be shown"


def _failed(faults: list[str]) -> int:
    raise AssertionError("\n" + "\n".join(faults))
