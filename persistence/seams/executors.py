"""Where blocking work runs: its own thread, or inline.

A trio thread is borrowed for one call and given back; SQLite wants one connection used by one thread at a time, and the
writer wants one hop a batch. So an executor here is one thread that lives as long as its owner, fed by a queue. Under a
virtual clock `InlineExecutor` takes its place: trio's autojump does not wait for threads (design §3).
"""

from __future__ import annotations

import errno
import mmap
import os
import queue
import resource
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar, final, runtime_checkable

import outcome
import trio

from tenure.errors import NoDescriptor, NoThread

from .give_way import GiveWay, own_clock
from .interrupts import to_the_end

T = TypeVar("T")

Heard = Callable[[T], object]

_SYSTEM: Final[Any] = os  # not every system's has what is asked of it
_MAKE: Final[Callable[[int, int], int] | None] = getattr(os, "eventfd", None)


class Executor(Protocol):
    """Runs sync functions one after another, in the order they were given."""

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        """Run one function and return what it returns, or raise what it raises; `NoThread` where it could not begin.

        `heard` is called on the trio thread with what the function returned, as soon as that is there: a turn of the loop
        before this call comes back. It is not called where the function raised or no caller waits any longer; what it raises is
        raised here.

        Cancellation: the wait ends with `trio.Cancelled` and the function runs on to its end, unseen. Who may not lose
        its result shields the call.
        """
        ...

    def close(self) -> None:
        """Take no more work and let the thread end once the work it has is done. Does not wait."""
        ...


@runtime_checkable
class Posted(Protocol):
    """An executor that takes work from other threads than that of the loop too."""

    def post(self, work: Callable[[], object], /) -> None:
        """Have a function called in its turn, after what was given before, and wait for nothing. From any thread.

        It may raise nothing. One piece of such work is out at a time; an executor that has run nothing yet, or was closed,
        takes none.
        """
        ...


@runtime_checkable
class Belled(Protocol):
    """An executor whose thread can wake a waiting task by itself."""

    def prepare(self, function: Callable[[], T], /) -> Call[T] | None:
        """In the thread of the loop: a call of a function, which `Call.go` sends. None where it must be `run`.

        The function may raise nothing. One call is out at a time. Where the system has no such bell, or gives no descriptor for
        it, before the first `run` and once the executor is closed, there is None.
        """
        ...

    def interrupt(self) -> None:
        """End the wait for the call that is out, and each later one, with `trio.ClosedResourceError`."""
        ...


@final
class Bell:
    """Wakes a task of the loop from another thread: by a descriptor that this task itself waits for.

    What `TrioToken.run_sync_soon` is given goes by a queue, a socket and a task of trio's, and the task that it is for runs a
    turn of the loop later. Only Linux has such descriptors (eventfd).
    """

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor."""
        self._descriptor = descriptor
        self._is_over = False

    @classmethod
    def made(cls) -> Bell | None:
        """A new one, or None where the system has or gives none."""
        try:
            return None if _MAKE is None else cls(_MAKE(0, _SYSTEM.EFD_CLOEXEC | _SYSTEM.EFD_NONBLOCK))
        except OSError:
            return None

    def ring(self) -> None:
        """From any thread. It never waits."""
        _SYSTEM.eventfd_write(self._descriptor, 1)

    async def wait(self) -> None:
        """Wait until it rings, at once where it does. A checkpoint. Raises `trio.ClosedResourceError` where interrupted."""
        if not self._is_over:
            await trio.lowlevel.wait_readable(self._descriptor)
        if self._is_over:  # asked again: it may have come after the bell, and the number may be another's by now
            raise trio.ClosedResourceError

    def still(self) -> None:
        """Let it ring no more, where it does."""
        with suppress(BlockingIOError):
            _SYSTEM.eventfd_read(self._descriptor)

    def interrupt(self) -> None:
        """End the wait of the task that waits for it, and each later one."""
        self._is_over = True
        trio.lowlevel.notify_closing(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back: no thread may ring any more, since the number may be another's."""
        os.close(self._descriptor)


@final
class Call(Generic[T]):
    """A function that a thread is to call, and one task of the loop waits for.

    Attributes:
        is_sent: Whether the thread has it.
    """

    __slots__ = ("_bell", "_found", "_function", "_heard", "_is_heard", "_send", "is_sent")

    def __init__(
        self,
        function: Callable[[], T],
        bell: Bell,
        send: Callable[[Callable[[], None]], None],
        heard: Callable[[], None],
    ) -> None:
        """`send` takes what the thread is to call; `heard` is called on the loop, when it was heard that this is over."""
        self._function = function
        self._bell = bell
        self._send = send
        self._heard = heard
        self._found: list[T] = []
        self._is_heard = False
        self.is_sent = False

    def go(self) -> None:
        """Have the thread call it, in its turn. Once."""
        self.is_sent = True
        self._send(self._carry_out)

    def _carry_out(self) -> None:
        self._found.append(self._function())
        self._bell.ring()

    async def wait(self) -> T:
        """Wait for what the function returns. Raises `trio.ClosedResourceError` where the wait was interrupted.

        Cancellation: the wait ends and the function runs on. It may be waited for anew, and also where the handler of a signal
        has raised here.
        """
        while not self._is_heard:
            await self._bell.wait()
            self._is_heard = bool(self._found)
        self._bell.still()  # also where a signal struck here: a ring that is left would drown that of the next call
        self._heard()
        return self._found[0]


async def run_to_the_end(executor: Executor, function: Callable[[], T]) -> T:
    """Run a function and wait for its end whatever is cancelled meanwhile: it holds something that must not be lost."""
    return await to_the_end(partial(executor.run, function))


def start_thread(start: Callable[[], object], what: str) -> None:
    """Start a thread. Raises `NoThread` where the system gives none, or no memory for its work; `what` says what it was for."""
    try:
        look_for_room()
        start()
    except (RuntimeError, OSError) as exc:
        raise NoThread(what=what) from exc


_ROOM: Final = 1 << 24
"""Bytes of address space that a new thread finds beside its stack."""

_USUAL_STACK: Final = 1 << 21


def look_for_room() -> None:
    """Raise `OSError` where a limit of the process (``ulimit -v``) leaves a further thread next to no memory.

    One that the system gives in spite of that may end in its first lines, where nothing can be raised: who started it, or gives
    it work, waits for ever.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    most = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = threading.stack_size() or (_USUAL_STACK if most == resource.RLIM_INFINITY else most)
    mmap.mmap(-1, stack + _ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()


_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE})


@contextmanager
def opening(what: str) -> Generator[None]:
    """Raises `NoDescriptor` where the system gives no file descriptor; `what` says what it was for."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _NO_DESCRIPTOR:
            raise NoDescriptor(what=what) from exc
        raise


def run_loop(function: Callable[[], Awaitable[T]], what: str) -> T:
    """`trio.run`, where it is ours to call: its loop needs some descriptors. Raises `NoDescriptor` where it gets none."""
    with opening(what):
        return trio.run(function)


@final
class InlineExecutor:
    """Runs each function on the caller's own thread: for simulation, or where the user asks for no threads."""

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        """Run the function here and now, after one checkpoint."""
        await trio.lowlevel.checkpoint()
        result = function()
        if heard is not None:
            heard(result)
        return result

    def close(self) -> None:
        """Nothing to close."""


@final
class ThreadExecutor:
    """One daemon thread with a queue. The thread starts with the first call.

    Attributes:
        give_way: Lets the thread have the interpreter lock where the loop is busy.
    """

    def __init__(self, name: str) -> None:
        """Name the thread; start nothing."""
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken
        self._closed = False
        self._bell: Bell | None = None
        self._asks_for_bell = True
        self._is_out = False  # a call, of which the bell was not heard yet
        self.give_way = GiveWay()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        """Run the function on the thread; see `Executor.run`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise trio.ClosedResourceError
        if self._thread is None:
            self._start()
        task = trio.lowlevel.current_task()
        waiting = True

        def deliver(result: outcome.Outcome[T]) -> None:
            self.give_way.working -= 1
            if waiting and heard is not None and isinstance(result, outcome.Value):
                try:
                    heard(result.value)
                except BaseException as exc:  # noqa: BLE001 - it is raised by the call
                    result = outcome.Error(exc)
            if waiting:  # asked again: the listener may cancel the wait
                trio.lowlevel.reschedule(task, result)

        def work() -> None:
            result = outcome.capture(function)
            try:
                self._token.run_sync_soon(deliver, result)
            except trio.RunFinishedError:
                return  # the loop is gone, and with it every listener

        def abort(_: object) -> trio.lowlevel.Abort:
            nonlocal waiting
            waiting = False
            return trio.lowlevel.Abort.SUCCEEDED

        self.give_way.give()
        self._work.put(work)
        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def post(self, work: Callable[[], object], /) -> None:
        """See `Posted.post`."""
        self.give_way.post()

        def posted() -> None:
            work()
            self.give_way.posted = False

        self._work.put(posted)

    def prepare(self, function: Callable[[], T], /) -> Call[T] | None:
        """See `Belled.prepare`."""
        if self._thread is None or self._closed or self._is_out:
            return None
        bell = self._bell
        if bell is None:
            bell = self._bell = Bell.made() if self._asks_for_bell else None
            if bell is None:
                self._asks_for_bell = False  # it was refused: all else is done as ever
                return None
        return Call(function, bell, self._send, self._heard)

    def _send(self, work: Callable[[], None]) -> None:
        self.give_way.give()
        self._is_out = True
        self._work.put(work)

    def _heard(self) -> None:
        if self._is_out:
            self._is_out = False
            self.give_way.working -= 1

    def interrupt(self) -> None:
        """See `Belled.interrupt`."""
        if self._bell is not None:
            self._bell.interrupt()

    def close(self) -> None:
        """Let the thread end after the work it has."""
        if self._closed:
            return
        self._closed = True
        if self._bell is not None:
            self._bell.interrupt()
            if self._is_out:  # the thread rings once more
                self._work.put(self._bell.close)
            else:
                self._bell.close()
        self._work.put(None)
        if self._thread is not None:
            trio.lowlevel.remove_instrument(self.give_way)

    def _start(self) -> None:
        # A daemon: a thread that hangs in a dead disk must not keep the process from ending.
        thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        start_thread(thread.start, self._name)
        self._thread = thread
        self._token = trio.lowlevel.current_trio_token()
        trio.lowlevel.add_instrument(self.give_way)

    def _serve(self) -> None:
        self.give_way.watch(own_clock())
        while (work := self._work.get()) is not None:
            work()
