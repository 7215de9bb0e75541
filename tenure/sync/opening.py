"""Opening a host or a store for a program without a loop: a thread with a trio run, and the block that it lives for."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from tenure.errors import Closed
from tenure.persistence.entering import Entered
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.opening import open_store as trio_open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.portals.portal import Portal
from tenure.portals.thread import TrioThread
from tenure.supervisor import opening
from tenure.supervisor.runs.behaviour import Given
from tenure.supervisor.supervisor import host_of

from .handles import Supervisor
from .store import Store

P = ParamSpec("P")
T = TypeVar("T")

_LOOK_S: Final = 1.0
"""A wait without an end would keep signals from the main thread on some systems."""


def _entered(function: Callable[P, Generator[T]]) -> Callable[P, AbstractContextManager[T]]:
    make, name = contextmanager(function), function.__name__

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        return Entered(name, make(*args, **kwargs))

    return call


@_entered
def open_supervisor(  # noqa: PLR0913 - as the trio one
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
) -> Generator[Supervisor]:
    """Open a host in its own thread, and close it after the block. Arguments as in `tenure.open_supervisor`.

    Behaviours run in that thread; their steps may be functions, which run in threads. A program without a block, such as
    Django's, enters it on a `contextlib.ExitStack` in each of its processes, after they were forked, and closes that. A child
    that is forked inside the block has nothing open: each verb raises `Closed` there, and the end of the block does nothing.

    Raises:
        Error: What `tenure.open_supervisor` raises. Where a store or supervisor fails, each verb raises its error, and so does
            the end of the block. The block's own exception leaves as it is.

    Cancellation: a normal end lets executing runs end for at most `drain_s`; any other one drains nothing, and neither does
    Ctrl-C while it drains. The thread has ended when this returns. Signals are the program's: SIGTERM ends it as it ends every
    program, which a host outlives as it does a kill.
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
    yield from _open(opened, "supervisor", lambda found: host_of(found).tasks.failure, Supervisor)


@_entered
def open_store(
    target: str | os.PathLike[str],
    *,
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
    seams: Seams | None = None,
) -> Generator[Store]:
    """Open a store in its own thread, and close it after the block. Arguments as in `tenure.open_store`.

    Raises:
        Error: What `tenure.open_store` raises. The block's own exception leaves as it is.

    Cancellation: a normal end commits what was submitted; any other one settles what waits with `Closed`. The thread has ended
    when this returns.
    """
    opened = partial(trio_open_store, target, durability=durability, limits=limits, retention=retention, seams=seams)
    yield from _open(opened, "store", lambda found: found.broken, Store)


def _open(
    opened: Callable[[], AbstractAsyncContextManager[T]],
    what: str,
    failure: Callable[[T], BaseException | None],
    front: Callable[[Portal, T], Any],
) -> Generator[Any]:
    thread = TrioThread(opened, what=what, failure=failure)
    thread.start()
    process = os.getpid()
    try:
        yield front(thread.portal, _opened(thread, what))
        if os.getpid() != process:
            return  # a child that was forked in the block: the thread is in its parent, and what is open is closed there
        thread.leave()
        _wait(thread.ended)
    except BaseException as exc:
        if os.getpid() == process:
            thread.cancel()
            _wait_out(thread)
            thread.reraise_over(exc)
        raise
    finally:
        if os.getpid() == process:
            _wait_out(thread)
    thread.reraise()


def _opened(thread: TrioThread[T], what: str) -> T:
    _wait(thread.ready, thread.ended)
    if not thread.ready.done():
        thread.reraise()
        raise Closed(what=what)
    return thread.ready.result()


def _wait(*futures: Future[Any]) -> None:
    while not wait(futures, _LOOK_S, FIRST_COMPLETED).done:
        pass


def _wait_out(thread: TrioThread[Any]) -> None:
    """Wait for the thread; what the handler of a signal raises meanwhile ends a drain, and leaves when the thread has."""
    interrupt: BaseException | None = None
    while not thread.ended.done():
        try:
            _wait(thread.ended)
        except BaseException as exc:  # noqa: BLE001 - raised below
            interrupt = exc
            thread.cancel()
    thread.join()
    if interrupt is not None:
        raise interrupt
