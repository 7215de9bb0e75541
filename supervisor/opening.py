"""Opening a host: store, supervisor and recovery, around a body; and letting it go."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import closing
from functools import partial
from typing import Final, cast

import trio

from tenure.errors import Closed
from tenure.persistence.model.arguments import check_class, check_value
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.numbers import (
    check_seconds,
)
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.opening import open_store
from tenure.persistence.seams.interrupts import guarded
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.nursery import background, containing
from tenure.persistence.seams.seams import Seams

from .collector import tuned_collector
from .host import Host
from .operators.unowned import register_followed, register_versions
from .process_signals import (
    forked_children_start_afresh,
    sigterm_ends_normally,
)
from .runs.behaviour import (
    Behaviours,
    Given,
    as_behaviours,
)
from .service_manager import ServiceManager
from .supervisor import Supervisor, host_of
from .timing.retaining import Retaining
from .timing.troubles import watch_troubles

DRAIN_S: Final = 10.0
"""Seconds that a normal exit waits for executing runs, unless `drain_s` is given."""


@guarded
async def open_supervisor(  # noqa: PLR0913 - one for each thing that a host is opened with
    target: str | os.PathLike[str],
    *,
    behaviours: Mapping[str, Given],
    version: str = "",
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
    seams: Seams | None = None,
    drain_s: float = DRAIN_S,
    systemd: bool = False,
    tune_collector: bool = False,
) -> AsyncGenerator[Supervisor]:
    """Open a host: its store, and a supervisor that goes on with what was left unfinished.

    Args:
        target: See `open_store`.
        behaviours: By kind. A stored kind without one stays unowned. Several versions of a kind stand in a tuple: the first
            is for what begins, and each unfinished run stays with its own.
        version: Of every behaviour that has none.
        durability: See `open_store`.
        limits: See `open_store`.
        retention: How long what has ended is kept; None: output as `Retention()` has it, the rest for ever.
        seams: See `open_store`.
        drain_s: Seconds that a normal exit waits for executing runs to end.
        systemd: Say to systemd, as the environment of a service of ``Type=notify`` has it, that the host is ready, lives
            (``WatchdogSec=``) and ends. In another environment this changes nothing.
        tune_collector: Raise the thresholds of Python's collector of cycles while the host is open, for the whole process: with
            many runtimes at work it looks for cycles all the time, and a host makes none. What was set before comes back when
            the last host that asked closes.

    Raises:
        InvalidInput: No mapping, a behaviour that is not async, or a negative `drain_s`; nothing is opened. With `systemd`, an
            environment that names no socket or time.
        Error: What `open_store` raises; `StoreBroken` when the store stops, which cancels the body; `Internal` when the
            supervisor itself fails, with the cause. The body's own exception leaves unwrapped.
        KeyboardInterrupt, SystemExit: A behaviour raised it.

    Cancellation: the body's. A normal exit waits for executing runs to end, at most `drain_s`; any other exit drains
    nothing. What was accepted stays in the inbox. SIGTERM ends the body and is a normal exit, also where it comes before
    or after it, where this runs in the main thread and the program has set no handler.
    """
    known = as_behaviours(behaviours, version)
    limits = Limits() if limits is None else limits
    check_class(limits, Limits, "limits")
    kept = Retention() if retention is None else retention
    check_class(kept, Retention, "retention")
    check_value(systemd, bool, "systemd")
    check_value(tune_collector, bool, "tune_collector")
    drain_s = check_seconds(drain_s, "drain_s", zero=True)
    service_manager = ServiceManager(os.environ if systemd else {})
    tuned = tuned_collector(asked=tune_collector)
    with (
        closing(service_manager),
        tuned,
        containing(),
        forked_children_start_afresh(),
        sigterm_ends_normally() as sigterm,
    ):
        async with open_store(target, durability=durability, limits=limits, retention=kept, seams=seams) as store:
            async with background() as body:
                supervisor = Supervisor(store, known, body.nursery)
                host = host_of(supervisor)
                tasks = host.tasks
                _start_watches(host, retention)
                try:
                    with body:
                        host.handover.drain_s = drain_s
                        await _begin(host, known)
                        tasks.start_soon(partial(service_manager.beat, supervisor.health, host.log))
                        tasks.start_soon(partial(watch_troubles, supervisor.health, host.log, store.limits.renew_s))
                        service_manager.ready()
                        # From here on, and not before: a body that is never entered is an error by itself. Where SIGTERM has
                        # come already, the body ends at its first checkpoint.
                        sigterm.ends(tasks.body.cancel)
                        with tasks.body:
                            yield supervisor
                    service_manager.stopping()
                    if body.left_normally and tasks.failure is None:
                        with tasks.drain:
                            await host.handover.leave(drain_s)
                finally:
                    tasks.start_soon(partial(host.actors.tell_waiting, host.log.waits_for))
                    host.close()
            if tasks.failure is not None and (body.left_normally or _only_tells(body.error, tasks.failure)):
                raise tasks.failure
            body.reraise()


def _start_watches(host: Host, retention: Retention | None) -> None:
    """Start what a host does beside its runs for as long as it is open."""
    start = host.tasks.start_soon
    start(partial(_watch_store, host))
    start(host.actors.passivate_idle)
    for watch in host.timers.watches:
        start(watch)
    start(host.sleepers.watch)
    start(host.flushing.run)
    start(host.ageing.run)
    if retention is not None:
        start(Retaining(host.store, host.log, retention).run)


async def _begin(host: Host, known: Behaviours) -> None:
    """Say what this host has behaviours of, take over what was left unfinished, and look at the other hosts from now on."""
    await register_versions(host.store, known.versions)
    await register_followed(host.store, known.followed)
    await host.handover.begin()
    await host.watch.start()


def _only_tells(error: BaseException | None, failure: BaseException) -> bool:
    """Whether the body only repeats the supervisor's own failure."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(_only_tells(each, failure) for each in group.exceptions)
    return isinstance(error, (type(failure), trio.Cancelled))


async def _watch_store(host: Host) -> None:
    try:
        host.tasks.end_with(await host.store.wait_broken())
    except Closed as exc:
        host.tasks.end_with(exc)  # it was shut down below the supervisor
