"""A turn for others before a run refuses something that is awaited.

A behaviour that swallows each refusal and asks again in a loop would keep the loop of its host for ever: what is refused before
anything was asked for has reached no checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Opens(Protocol):
    """An entering of a run, as far as it may be over.

    Attributes:
        asked: How many things it has asked for.
    """

    @property
    def asked(self) -> int:
        """See above."""
        ...

    def check_open(self) -> None:
        """Raises `RunEnded` where the run is over, and what has ended it where it is about to be."""
        ...

    async def turn(self) -> None:
        """Let others run."""
        ...


class OfRun(Protocol):
    """What has verbs of a run."""

    @property
    def _opens(self) -> Opens: ...


R = TypeVar("R", bound=OfRun)

Verb = Callable[Concatenate[R, P], Coroutine[Any, Any, T]]


def awaited(verb: Verb[R, P, T]) -> Verb[R, P, T]:
    """Decorate a verb of a run that is awaited: refused where the run is over; and what it refuses, after a turn of others."""

    @wraps(verb)
    async def ask(self: R, /, *arguments: P.args, **named: P.kwargs) -> T:
        run = self._opens  # pyright: ignore[reportPrivateUsage] - users see what they may call
        asked = run.asked
        try:
            run.check_open()
            return await verb(self, *arguments, **named)
        except Exception:
            if run.asked == asked:
                await run.turn()
            raise

    return ask


def overloaded(verb: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """`awaited`, of a verb whose overloads say what it takes and gives."""
    return awaited(verb)
