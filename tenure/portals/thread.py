"""A thread with a trio run, in which a store or a host is open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar, final

import outcome
import trio

from tenure.errors import Closed, Error
from tenure.persistence.model.texts import leaves
from tenure.persistence.seams.executors import run_loop, start_thread
from tenure.persistence.seams.nursery import background

from .portal import Portal

T = TypeVar("T")

THREAD: Final = "tenure-supervisor"
"""Name of the thread."""


@final
class TrioThread(Generic[T]):
    """The thread and its trio run.

    Attributes:
        portal: The way in.
        ready: Done when it is open, with what is open.
        failed: Done when what is open has failed; it is closed then, which may last.
        ended: Done when the trio run has ended, with how it ended; the last act of the thread.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[T]],
        *,
        what: str,
        failure: Callable[[T], BaseException | None],
        begin: Callable[[], object] = lambda: None,
    ) -> None:
        """Nothing runs before `start`.

        Args:
            opened: Opens it; called in the trio run.
            what: What `Closed` names where a call comes too late.
            failure: Why it has failed, as far as it knows, asked when it closes.
            begin: Called first in the trio run.
        """
        self.portal = Portal(what=what)
        self.ready: Future[T] = Future()
        self.failed: Future[None] = Future()
        self.ended: Future[outcome.Outcome[None]] = Future()
        self._what = what
        self._opened = opened
        self._failure = failure
        self._failed_with: BaseException | None = None
        self._begin = begin
        self._lock = threading.Lock()  # between the first moment of the trio run and a request that comes before it
        self._token: trio.lowlevel.TrioToken | None = None
        self._early: list[Callable[[], object]] = []
        self._scope = trio.CancelScope()
        self._leave = trio.Event()
        # A daemon: a program that goes without closing us must still be able to end. On disk it is a killed process,
        # which is what this library is for.
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    # For the program

    def start(self) -> None:
        """Start the thread. Raises `NoThread` where there is none to be had."""
        start_thread(self._thread.start, THREAD)

    def leave(self) -> None:
        """Have it closed, in order."""
        self._request(self._leave.set)

    def cancel(self) -> None:
        """Have it closed, at once."""
        self._request(self._scope.cancel)

    def join(self) -> None:
        """Wait until the thread has gone."""
        self._thread.join()

    def reraise(self) -> None:
        """Raise why the trio run has ended, where it failed."""
        self.ended.result().unwrap()

    def reraise_over(self, error: BaseException) -> None:
        """Raise why it has failed, where the block that is left by `error` has only heard that it is closed; once it has ended.

        A behaviour that raises `SystemExit` ends its host: that is what the program is to hear of.
        """
        if self._failed_with is not None and _tells_of_close(error):
            raise self._failed_with

    def _request(self, function: Callable[[], object]) -> None:
        with self._lock:
            if self._token is None:
                self._early.append(function)
                return
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return  # it has ended, as was asked

    # In the thread

    def _run(self) -> None:
        self.ended.set_result(outcome.capture(run_loop, self._serve, THREAD))

    async def _serve(self) -> None:
        with self._lock:
            self._token = trio.lowlevel.current_trio_token()
            early = self._early
        for function in early:
            function()
        self._begin()
        with self._scope:
            # The calls outlive what is open by a moment: it answers every waiter, and they carry the answers away.
            async with background() as calls:
                with calls:
                    await self._hold_open(calls.nursery)
            calls.reraise()

    async def _hold_open(self, calls: trio.Nursery) -> None:
        async with self._opened() as opened:
            self.portal.open(calls)
            self.ready.set_result(opened)
            try:
                await self._leave.wait()
            finally:
                failure = self._failure(opened)
                self.portal.close(failure if isinstance(failure, Error) else Closed(what=self._what))
                if failure is not None:
                    # Kept: the block hears that it is closed, and cancels the rest of it, and so what raises this.
                    self._failed_with = failure
                    self.failed.set_result(None)


def _tells_of_close(error: BaseException) -> bool:
    return all(issubclass(type(each), Closed) for each in leaves(error))  # past what an object says of its class
