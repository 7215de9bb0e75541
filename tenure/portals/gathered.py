"""What one thread hands to another, many things with one wake-up.

Theory of operation. There is no lock. Who hands over adds the thing first and looks then whether a bell was rung; who takes
lets the next bell ring first and looks then what is there. So what was not rung for is taken by the bell that was seen. To
ring lets other threads run: under a lock, the one that wakes would wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, final

T = TypeVar("T")


@final
class Gathered(Generic[T]):
    """Things on their way to another thread, which takes all of them when it looks, in their order."""

    def __init__(self, take: Callable[[T], object]) -> None:
        """Nothing is on its way.

        Args:
            take: Called there with each; it may not raise.
        """
        self._take = take
        self._things: deque[T] = deque()
        self._is_rung = False

    @property
    def is_empty(self) -> bool:
        """Whether the other thread has taken all there is. Any thread may ask."""
        return not self._things

    def add(self, thing: T, ring: Callable[[Callable[[], object]], object]) -> None:
        """Hand a thing over. May be called from any thread, also by the handler of a signal.

        Args:
            thing: What `take` is called with.
            ring: Has a function called in the other thread; only called where none is about to be. What it raises is raised
                here, and the thing is not handed over; what others have handed over meanwhile is taken here then, for no
                other thread looks any more.
        """
        try:
            self._things.append(thing)
            if not self._is_rung:
                self._is_rung = True
                ring(self._take_all)
        except BaseException as exc:
            with suppress(ValueError):  # it may have been taken
                self._things.remove(thing)
            if isinstance(exc, Exception):
                self._take_all()
            else:  # of the handler of a signal: others may wait for a bell that it has kept from being rung
                ring(self._take_all)
            raise

    def _take_all(self) -> None:
        self._is_rung = False
        for _ in range(len(self._things)):
            # It is here until it was taken: what another thread does past those on their way keeps its place so.
            try:
                thing = self._things[0]
            except IndexError:
                return  # it was not handed over after all
            self._take(thing)
            with suppress(ValueError):  # as above
                self._things.remove(thing)
