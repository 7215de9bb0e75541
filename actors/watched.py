"""A value that can be waited on, and that weighs next to nothing while no one does.

An idle actor has several such values and may be one of many thousand; a `trio_util.AsyncValue` takes 1.6 KB before anyone
has waited on it. So it is made for the first who waits.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar, final

from trio_util import AsyncValue

T = TypeVar("T")


@final
class Watched(Generic[T]):
    """A value, and those who wait for it.

    Attributes:
        value: The value now; setting it wakes up those whose predicate holds for it.
    """

    __slots__ = ("_value", "_waited_on")

    def __init__(self, value: T) -> None:
        """No one waits yet."""
        self._value = value
        self._waited_on: AsyncValue[T] | None = None

    def _set(self, value: T) -> None:
        self._value = value
        if self._waited_on is not None:
            self._waited_on.value = value

    if TYPE_CHECKING:

        @property
        def value(self) -> T:
            """See above."""
            ...

        @value.setter
        def value(self, value: T) -> None: ...

    else:
        value = property(attrgetter("_value"), _set)  # asked five times for each input: no frame of Python each time

    async def wait_value(self, predicate: Callable[[T], bool]) -> T:
        """Wait until a value satisfies the predicate, and return that value; also one that was there for a moment only.

        Cancellation: ends the wait and changes nothing.
        """
        if self._waited_on is None:
            self._waited_on = AsyncValue(self._value)
        return await self._waited_on.wait_value(predicate)
