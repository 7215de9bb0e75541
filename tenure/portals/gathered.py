"""What one thread hands to another, many things with one wake-up."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
        self._things: list[T] = []
        self._is_rung = False
        # What the handler of a signal adds may come while this thread holds it.
        self._lock = threading.RLock()

    def add(self, thing: T, ring: Callable[[Callable[[], object]], object]) -> None:
        """Hand a thing over. May be called from any thread.

        Args:
            thing: What `take` is called with.
            ring: Has a function called in the other thread; only called where none is about to be. What it raises is raised
                here, and the thing is not handed over: so a bell that was rung is heard, or nothing waits for it.
        """
        with self._lock:
            try:
                self._things.append(thing)
                if not self._is_rung:
                    self._is_rung = True
                    ring(self._take_all)
            except BaseException:
                self._is_rung = False
                if thing in self._things:
                    self._things.remove(thing)
                raise

    def _take_all(self) -> None:
        with self._lock:
            things, self._things, self._is_rung = self._things, [], False
        for thing in things:
            self._take(thing)
