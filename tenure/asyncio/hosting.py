"""Opening a host or a store beside an asyncio loop: a thread with a trio run, and the body that it lives for."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar, final

from tenure.errors import Closed, Unsupported
from tenure.persistence.entering import EnteredAsync
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.opening import open_store as trio_open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.portals.cancelling import wait_shielded
from tenure.portals.loops import ProgramLoop
from tenure.portals.portal import in_loop, settle
from tenure.portals.thread import TrioThread
from tenure.supervisor import opening
from tenure.supervisor.process_signals import may_handle_sigterm
from tenure.supervisor.runs.behaviour import Given
from tenure.supervisor.supervisor import Supervisor as TrioSupervisor, host_of

from .behaving.steps import LOOP, loop_of
from .body import Body
from .store import Store
from .supervisor import Supervisor

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


def _entered(function: Callable[P, AsyncGenerator[T]]) -> Callable[P, AbstractAsyncContextManager[T]]:
    make, name = asynccontextmanager(function), function.__name__

    def check() -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            elsewhere = "tenure has it for trio, tenure.sync for programs without a loop"
            raise Unsupported(what=f"{name} of tenure.asyncio outside of an asyncio loop ({elsewhere})") from None

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T]:
        return EnteredAsync(name, make(*args, **kwargs), check)

    return call


@_entered
async def open_supervisor(  # noqa: PLR0913 - as the trio one
    target: str | os.PathLike[str],
    *,
    behaviours: Mapping[str, Given],
    version: str = "",
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
    seams: Seams | None = None,
    drain_s: float = opening.DRAIN_S,
    systemd: bool = False,
    tune_collector: bool = False,
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
        retention=retention,
        seams=seams,
        drain_s=drain_s,
        systemd=systemd,
        tune_collector=tune_collector,
    )
    async with open_host(opened) as supervisor:
        yield supervisor


@asynccontextmanager
async def open_host(
    opened: Callable[[], AbstractAsyncContextManager[TrioSupervisor]],
    on_failed: Callable[[object], object] = lambda _: None,
) -> AsyncGenerator[Supervisor]:
    """As `open_supervisor`, of what opens it. `on_failed` is called as soon as it has failed, before its runs have ended.

    Those may take long: a program must not wait for them to hear of it.
    """
    watched = partial(_open_watched, opened)
    host = _Opened(watched, what="supervisor", failure=lambda supervisor: host_of(supervisor).tasks.failure)
    body = Body()
    with _sigterm_interrupts(host.loop, body):
        supervisor = await host.start()
        host.failed.add_done_callback(on_failed)
        host.failed.add_done_callback(body.interrupt)
        host.ended.add_done_callback(body.interrupt)
        try:
            body.enter()
            yield Supervisor(host.thread.portal, supervisor)
        except BaseException as exc:
            own = not await body.leave(exc)
            await host.close(drain=not own)
            if own:
                host.thread.reraise_over(exc)
                raise
        else:
            await body.leave(None)
            await host.close(drain=True)
        host.thread.reraise()


@_entered
async def open_store(
    target: str | os.PathLike[str],
    *,
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
    seams: Seams | None = None,
) -> AsyncGenerator[Store]:
    """Open a store in its own thread, and close it after the body. Arguments as in `tenure.open_store`.

        async with tenure.asyncio.open_store("agents.db") as store:
            await store.journal.append("flow", [{"began": True}])

    No host runs in it: no behaviours, no runtimes that this process owns. Its facets are what libraries keep their own
    records in.

    Raises:
        Error: What `tenure.open_store` raises. The body's own exception leaves unwrapped. A store that breaks does not
            cancel the body: each of its verbs raises `StoreBroken`, and so does the end, where no verb was refused.

    Cancellation: the body's. A normal exit commits what was submitted; any other one settles what waits with `Closed`. The
    thread has ended when this returns.
    """
    opening_store = partial(
        trio_open_store, target, durability=durability, limits=limits, retention=retention, seams=seams
    )
    held = _Opened(opening_store, what="store", failure=lambda store: store.broken)
    store = await held.start()
    try:
        yield Store(held.thread.portal, store)
    except BaseException:
        await held.close(drain=False)
        raise
    await held.close(drain=True)
    held.thread.reraise()


@asynccontextmanager
async def _open_watched(
    opened: Callable[[], AbstractAsyncContextManager[TrioSupervisor]],
) -> AsyncGenerator[TrioSupervisor]:
    """In the trio thread: a host that watches the loop of its behaviours."""
    async with opened() as supervisor:
        host, program = host_of(supervisor), loop_of(open_supervisor)
        host.tasks.start_soon(partial(program.watch, host))
        yield supervisor


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
class _Opened(Generic[T]):
    """What is open in a thread with a trio run, as the loop of the program sees it.

    Attributes:
        loop: The loop of the program.
        thread: The thread.
        failed: Done when what is open has failed.
        ended: Done when the trio run has ended.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[T]],
        *,
        what: str,
        failure: Callable[[T], BaseException | None],
    ) -> None:
        program = ProgramLoop()
        self.loop = program.loop
        self.thread = TrioThread(opened, what=what, failure=failure, begin=partial(LOOP.set, program))
        self.failed = self._seen(self.thread.failed)
        self.ended = self._seen(self.thread.ended)
        self._what = what
        self._ready = self._seen(self.thread.ready)

    async def start(self) -> T:
        """Start the thread and wait until it is open. A cancelled start leaves nothing open."""
        self.thread.start()
        either: list[asyncio.Future[Any]] = [self._ready, self.ended]
        opened = asyncio.ensure_future(asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED))
        if (held := await wait_shielded(opened, on_cancel=self.thread.cancel)) is not None:
            try:
                raise held.error
            finally:
                await self.close(drain=False)
        if not self._ready.done():
            self.thread.join()
            self.thread.reraise()
            raise Closed(what=self._what)
        return self._ready.result()

    async def close(self, *, drain: bool) -> None:
        """End the trio run and its thread. Cancelled in a drain, it drains no longer; the thread ends in any case.

        Cancelled while a cancellation is on its way out, it says nothing of it: one is enough, and a scope of anyio repeats its
        own until it is left.
        """
        leaves = isinstance(sys.exception(), asyncio.CancelledError)
        (self.thread.leave if drain else self.thread.cancel)()
        held = await wait_shielded(self.ended, on_cancel=self.thread.cancel)
        self.thread.join()  # its last act was to say that it has ended
        if held is not None and drain:
            raise held.error
        if held is not None and not leaves:
            held.come_at_next_await()

    def _seen(self, there: Future[R]) -> asyncio.Future[R]:
        here: asyncio.Future[R] = self.loop.create_future()
        there.add_done_callback(lambda done: in_loop(self.loop, settle, here, done.result()))
        return here
