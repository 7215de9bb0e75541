"""A bell by which another thread has a loop of asyncio call something.

Theory of operation. `loop.call_soon_threadsafe` has the loop call what it is given, and only then read what has woken it:
twice, and each read lets go of the interpreter lock. What is called here wakes a task, whose next verb wakes the thread that
writes. So the two took the lock from each other, and each slept for it, once a commit. A descriptor of our own is read before
anything is called, and once; what is called is then the last that the loop does before it waits again.

A loop has one bell, whatever it asks of however many stores. Where it cannot have one, `call_soon_threadsafe` is what there is.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, final
from weakref import WeakKeyDictionary, finalize

_HAS_EVENTS: Final = hasattr(os, "eventfd")
"""Whether the system has descriptors that are nothing but a number to be waited for: Linux has."""


@final
class LoopBell:
    """The bell of one loop, which it does not keep alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Made in the thread of the loop. Raises `OSError` where the system gives no descriptor."""
        self._calls: deque[tuple[Callable[[Any], object], Any, Context | None]] = deque()
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Not at the end of the program, which gives it back: a daemon may ring later, and the number be another file's by then.
        finalize(self, os.close, self._event).atexit = False
        loop.add_reader(self._event, self._hear)

    def ring(self, function: Callable[[Any], object], argument: Any, *, context: Context | None) -> None:
        """From any thread: have a function called in the loop; one that was closed calls nothing."""
        self._calls.append((function, argument, context))
        os.eventfd_write(self._event, 1)

    def _hear(self) -> None:
        try:
            os.eventfd_read(self._event)
            function, argument, context = self._calls.popleft()
            while self._calls:  # before the first is called, which may end the loop
                later, of_later, its_context = self._calls.popleft()
                asyncio.get_running_loop().call_soon(later, of_later, context=its_context)
        except (BlockingIOError, IndexError):
            return  # what it was rung for was called with what came before
        except BaseException:  # of the handler of a signal, which may strike anywhere here
            os.eventfd_write(self._event, 1)
            raise
        if context is None:
            function(argument)
        else:
            context.run(function, argument)


_BELLS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, LoopBell | None]] = WeakKeyDictionary()


def bell_of(loop: asyncio.AbstractEventLoop) -> LoopBell | None:
    """The bell of the running loop; None on other systems, for loops of other kinds, and where there is no descriptor."""
    try:
        return _BELLS[loop]
    except KeyError:
        bell = _BELLS[loop] = _made(loop)
        return bell


def _made(loop: asyncio.AbstractEventLoop) -> LoopBell | None:
    if not _HAS_EVENTS or not isinstance(loop, asyncio.SelectorEventLoop):
        return None
    try:
        return LoopBell(loop)
    except OSError:
        return None  # it is woken as without one
