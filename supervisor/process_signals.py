"""Signals of the process while a host is open: SIGTERM is a normal exit, and a forked child has none of the host's handlers.

Both are state of the whole process, not of a trio run. A child that is forked while a host is open (a `multiprocessing.Pool` in
a sync step, say) would inherit the handlers and the wakeup descriptor: a SIGTERM meant for it would be lost, or would end the
host, whose loop reads the other end. So in the child every signal that a loop handles is handled as in a fresh process again.
Until then such a signal waits in the kernel: one that came between the fork and that moment would be taken by a handler that
the child no longer has, and be lost. A handler of the program's own stays.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, final

import trio

LOOPS: Final = frozenset({"asyncio", "tenure", "trio", "uvloop"})
"""Packages whose handlers belong to a loop, which a forked child does not have."""


@final
class Sigterm:
    """What a SIGTERM does to one host. It may come at any time, also before there is anything to end."""

    def __init__(self) -> None:
        """None has come yet."""
        self._token = trio.lowlevel.current_trio_token()
        self._came = False
        self._end: Callable[[], object] | None = None

    def ends(self, end: Callable[[], object]) -> None:
        """From now on, call `end` when one comes; at once where one has come."""
        self._end = end
        if self._came:
            end()

    @trio.lowlevel.enable_ki_protection
    def handle(self, *_: object) -> None:
        """The handler: called between any two instructions of the main thread."""
        self._token.run_sync_soon(self._arrive, idempotent=True)

    def _arrive(self) -> None:
        self._came = True
        if self._end is not None:
            self._end()


@contextmanager
def sigterm_ends_normally() -> Generator[Sigterm]:
    """Handle SIGTERM, in the main thread, where the program has set no handler."""
    sigterm = Sigterm()
    handles = may_handle_sigterm()
    if handles:
        signal.signal(signal.SIGTERM, sigterm.handle)
    try:
        yield sigterm
    finally:
        if handles and signal.getsignal(signal.SIGTERM) == sigterm.handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def may_handle_sigterm() -> bool:
    """Whether SIGTERM is ours to handle: this is the main thread, and the program has set no handler."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@final
class _Forks:
    """Counts the open hosts of this process. There is one, since a fork copies the whole process and a hook stays for good."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._hooked = False
        self._forking = threading.local()

    def begin(self) -> None:
        with self._lock:
            self._open += 1
            if not self._hooked:
                self._hooked = True
                os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._in_child)

    def end(self) -> None:
        with self._lock:
            self._open -= 1

    def _before(self) -> None:
        handled = [each for each in signal.valid_signals() if self._open and _is_of_a_loop(signal.getsignal(each))]
        self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled)

    def _after(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.mask)

    def _in_child(self) -> None:
        # The lock may be held by a thread that the child does not have.
        self._lock = threading.Lock()
        if self._open:
            self._open = 0
            signal.set_wakeup_fd(-1)
            for number in signal.valid_signals():
                if _is_of_a_loop(signal.getsignal(number)):
                    default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                    signal.signal(number, default)
        self._after()  # what came meanwhile arrives now


_FORKS: Final = _Forks()


@contextmanager
def forked_children_start_afresh() -> Generator[None]:
    """Inside, a forked child gets the default handler of every signal that a loop handles, and no wakeup descriptor."""
    _FORKS.begin()
    try:
        yield
    finally:
        _FORKS.end()


def _is_of_a_loop(handler: object) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return str(getattr(handler, "__module__", "")).partition(".")[0] in LOOPS
