"""Opening a host beside an asyncio loop: a thread with a trio run, and the body that it lives for."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, final

import outcome
import trio

from tenure.errors import Closed, Error
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.executors import start_thread
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.nursery import background
from tenure.persistence.seams.seams import Seams
from tenure.supervisor import opening
from tenure.supervisor.process_signals import may_handle_sigterm
from tenure.supervisor.runs.behaviour import (
    Given,
)
from tenure.supervisor.supervisor import Supervisor as TrioSupervisor, host_of

from .body import Body
from .handles import Supervisor
from .portal import (
    CLOSED,
    Portal,
    cancel_at_next_await,
    in_loop,
    wait_shielded,
)
from .steps import LOOP

THREAD: Final = "tenure-supervisor"
"""Name of the thread."""


@asynccontextmanager
async def open_supervisor(
    target: str | os.PathLike[str],
    *,
    behaviours: Mapping[str, Given],
    version: str = "",
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    seams: Seams | None = None,
    drain_s: float = opening.DRAIN_S,
) -> AsyncGenerator[Supervisor]:
    """Open a host in its own thread, and close it after the body. Arguments as in `tenure.open_supervisor`.

    Behaviours run in that thread. Their steps may be sync functions, trio functions, and asyncio functions under `on_loop`.

    Raises:
        Error: What `tenure.open_supervisor` raises. A store or supervisor that fails cancels the body, as `asyncio.timeout`
            does, and its error leaves in place of that cancellation. The body's own exception leaves unwrapped.

    Cancellation: the body's. A normal exit lets executing runs end for at most `drain_s`, any other exit drains
    nothing; the thread has ended when this returns, whichever it was. SIGTERM ends the body and is a normal exit, also where
    it comes before or after it, where the loop runs in the main thread and the program has no other handler.
    """
    opened = partial(
        opening.open_supervisor,
        target,
        behaviours=behaviours,
        version=version,
        durability=durability,
        limits=limits,
        seams=seams,
        drain_s=drain_s,
    )
    host = _Host(opened)
    body = Body()
    with _sigterm_interrupts(host.loop, body):
        supervisor = await host.start()
        host.ended.add_done_callback(body.interrupt)
        try:
            body.enter()
            yield Supervisor(host.portal, supervisor)
        except BaseException as exc:
            own = not await body.leave(exc)
            await host.close(drain=not own)
            if own:
                raise
        else:
            await body.leave(None)
            await host.close(drain=True)
        host.reraise()


@contextmanager
def _sigterm_interrupts(loop: asyncio.AbstractEventLoop, body: Body) -> Generator[None]:
    """SIGTERM ends the body, also where it comes before it or while the host closes."""
    if not may_handle_sigterm():
        yield
        return
    loop.add_signal_handler(signal.SIGTERM, body.interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@final
class _Host:
    """The thread and its trio run.

    Attributes:
        loop: The loop of the program.
        portal: The way in.
        ended: Set when the trio run has ended, to how it ended.
    """

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[TrioSupervisor]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.portal = Portal()
        self.ended: asyncio.Future[outcome.Outcome[None]] = self.loop.create_future()
        self._opened = opened
        self._ready: asyncio.Future[TrioSupervisor] = self.loop.create_future()
        self._lock = threading.Lock()  # between the first moment of the trio run and a request that comes before it
        self._token: trio.lowlevel.TrioToken | None = None
        self._early: list[Callable[[], object]] = []
        self._scope = trio.CancelScope()
        self._leave = trio.Event()
        # A daemon: a program that drops its loop without closing us must still be able to end. On disk it is a killed
        # process, which is what this library is for.
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    # In the loop

    async def start(self) -> TrioSupervisor:
        """Start the thread and wait until the host is open. A cancelled start leaves nothing open."""
        start_thread(self._thread.start, THREAD)
        either: list[asyncio.Future[Any]] = [self._ready, self.ended]
        opened = asyncio.ensure_future(asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED))
        if await wait_shielded(opened, on_cancel=lambda: self._request(self._scope.cancel)):
            await self.close(drain=False)
            raise asyncio.CancelledError
        if not self._ready.done():
            self._thread.join()
            self.reraise()
            raise Closed(what=CLOSED)
        return self._ready.result()

    async def close(self, *, drain: bool) -> None:
        """End the trio run and its thread. Cancelled in a drain, it drains no longer; the thread ends in any case."""
        self._request(self._leave.set if drain else self._scope.cancel)
        cancelled = await wait_shielded(self.ended, on_cancel=lambda: self._request(self._scope.cancel))
        self._thread.join()  # its last act was to say that it has ended
        if cancelled and drain:
            raise asyncio.CancelledError
        if cancelled:
            cancel_at_next_await()

    def reraise(self) -> None:
        """Raise why the trio run has ended, where it failed."""
        self.ended.result().unwrap()

    def _request(self, function: Callable[[], object]) -> None:
        with self._lock:
            if self._token is None:
                self._early.append(function)
                return
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return  # it has ended, as was asked

    def _set(self, future: asyncio.Future[Any], value: object) -> None:
        if not future.done():
            future.set_result(value)

    # In the thread

    def _run(self) -> None:
        ended = outcome.capture(trio.run, self._serve)
        in_loop(self.loop, self._set, self.ended, ended)

    async def _serve(self) -> None:
        with self._lock:
            self._token = trio.lowlevel.current_trio_token()
            early = self._early
        for function in early:
            function()
        LOOP.set(self.loop)
        with self._scope:
            # The calls outlive the supervisor by a moment: it answers every waiter, and they carry the answers away.
            async with background() as calls:
                with calls:
                    await self._supervise(calls.nursery)
            calls.reraise()

    async def _supervise(self, calls: trio.Nursery) -> None:
        async with self._opened() as supervisor:
            self.portal.open(calls)
            in_loop(self.loop, self._set, self._ready, supervisor)
            try:
                await self._leave.wait()
            finally:
                failure = host_of(supervisor).tasks.failure
                self.portal.close(failure if isinstance(failure, Error) else Closed(what=CLOSED))
