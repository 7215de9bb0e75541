"""What one host of a fleet does, and one worker of queues that a reader may know: each accepts its share, and does what comes.

A message of 1 to 4 KiB is accepted, carried out and written down as done. `AT_ONCE` accept at the same time in each process,
and as many places of a queue work; the library's defaults hold else.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from time import perf_counter
from typing import Any, Final, final

import trio
from attrs import frozen

import tenure

from .end_to_end import remember
from .together import Place
from .workload import messages

PROCESSES: Final = 4
AT_ONCE: Final = 25
RUNTIMES: Final = 25
"""Of each host."""

STRIDE: Final = 7
"""From one runtime to the next that a sender gives an input to: so that most of them are other hosts'."""

DBOS_POLL_S: Final = 0.01


@final
@frozen(slots=True)
class Terms:
    """How a host of tenure hears of others, and whom its senders write to.

    Attributes:
        hints: Whether hosts give one another hints.
        poll_s: Seconds between two looks, or None.
        to_all: Whether it gives inputs to the runtimes of all hosts, or to its own.
    """

    hints: bool
    poll_s: float | None
    to_all: bool = True


def be_host(place: Place, url: str, count: int, terms: Terms) -> None:
    """A host of tenure: its senders give inputs to runtimes, and its own consume theirs."""
    hosts = range(PROCESSES) if terms.to_all else [place.number]
    runtimes = [f"agent/{host}/{number}" for number in range(RUNTIMES) for host in hosts]
    trio.run(_be_host, place, url, count, terms, runtimes)


async def _be_host(place: Place, url: str, count: int, terms: Terms, runtimes: Sequence[str]) -> None:
    bodies = messages(seed=place.number)
    tickets: list[tenure.Ticket] = []

    async def send(sender: int) -> None:
        first = place.number * AT_ONCE + sender
        for turn in range(count // AT_ONCE):
            runtime_id = runtimes[(first + STRIDE * turn) % len(runtimes)]
            tickets.append(await supervisor.accept(runtime_id, bodies[turn % len(bodies)]))

    async with _host_of_tenure(url, remember, terms) as supervisor:
        await supervisor.spawn_many([f"agent/{place.number}/{number}" for number in range(RUNTIMES)], "agent")
        await trio.to_thread.run_sync(place.begin)
        async with trio.open_nursery() as nursery:
            for sender in range(AT_ONCE):
                nursery.start_soon(send, sender)
        place.say_done()
        for ticket in tickets:
            await ticket.wait_outcome()
        place.say_done()
        await trio.to_thread.run_sync(place.wait_end)


def _host_of_tenure(
    url: str, handler: Callable[[tenure.Run], Awaitable[None]], terms: Terms
) -> AbstractAsyncContextManager[tenure.Supervisor]:
    seams = tenure.Seams(engine=tenure.PostgresOptions(hints=terms.hints))
    limits = tenure.Limits(poll_s=terms.poll_s)
    return tenure.open_supervisor(url, behaviours={"agent": handler}, limits=limits, seams=seams)


def hear_elsewhere(url: str, terms: Terms, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from an input that one host has accepted to its run on another, and from its end there to its ticket here.

    Two hosts in one process, with nothing else to do; one input at a time.
    """
    return trio.run(_hear_elsewhere, url, terms, count)


async def _hear_elsewhere(url: str, terms: Terms, count: int) -> tuple[list[float], list[float]]:
    begun, ended, there, back = 0.0, 0.0, list[float](), list[float]()

    async def note(_run: tenure.Run) -> None:
        nonlocal begun, ended
        begun = perf_counter()
        await trio.lowlevel.checkpoint()
        ended = perf_counter()

    async with _host_of_tenure(url, note, terms) as one, _host_of_tenure(url, note, terms) as two:
        await two.spawn("agent", "agent")
        await trio.sleep(1)  # until each has seen the other
        for number in range(count):
            ticket = await one.accept("agent", number)
            accepted = perf_counter()
            await ticket.wait_outcome()
            back.append(1000 * (perf_counter() - ended))
            there.append(1000 * (begun - accepted))
            await trio.sleep(0.03 + number % 7 / 100)  # no step with the looks
    return there, back


def make_procrastinate(url: str) -> None:
    """Make its tables."""
    procrastinate = importlib.import_module("procrastinate")

    async def make() -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    asyncio.run(make())


def be_procrastinate(place: Place, url: str, count: int) -> None:
    """A process of procrastinate, which defers jobs and has a worker; NOTIFY wakes that, as it ships."""
    asyncio.run(_be_procrastinate(place, url, count))


async def _be_procrastinate(place: Place, url: str, count: int) -> None:
    procrastinate = importlib.import_module("procrastinate")
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    bodies = messages(seed=place.number)

    async def piece(body: Any) -> None:
        len(str(body))

    task = app.task(name="piece")(piece)

    async def defer() -> None:
        for turn in range(count // AT_ONCE):
            await task.defer_async(body=bodies[turn % len(bodies)])

    async with app.open_async():
        worker: Any = asyncio.create_task(app.run_worker_async(concurrency=AT_ONCE, install_signal_handlers=False))
        await asyncio.to_thread(place.begin)
        await asyncio.gather(*[defer() for _ in range(AT_ONCE)])
        place.say_done()
        await asyncio.to_thread(place.wait_end)
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


def make_dbos(url: str) -> None:
    """Make its tables."""
    dbos = importlib.import_module("dbos")
    instance = dbos.DBOS(config=_dbos_config(url, 0))
    instance.launch()
    instance.destroy(destroy_registry=True)


def be_dbos(place: Place, url: str, count: int) -> None:
    """A process of DBOS, which enqueues workflows and carries them out, and looks a hundred times a second."""
    dbos = importlib.import_module("dbos")
    bodies = messages(seed=place.number)
    instance = dbos.DBOS(config=_dbos_config(url, place.number))

    @dbos.DBOS.workflow(name="piece")
    def piece(body: Any) -> int:
        return len(str(body))

    try:
        instance.launch()
        queue = dbos.DBOS.register_queue("queue", worker_concurrency=AT_ONCE, polling_interval_sec=DBOS_POLL_S)
        place.begin()

        def enqueue(_number: int) -> None:
            for turn in range(count // AT_ONCE):
                queue.enqueue(piece, bodies[turn % len(bodies)])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(enqueue, range(AT_ONCE)))
        place.say_done()
        place.wait_end()
    finally:
        instance.destroy(destroy_registry=True)


def _dbos_config(url: str, number: int) -> dict[str, Any]:
    return {
        "name": "fleet",
        "system_database_url": url,
        "application_version": "1",
        "executor_id": str(number),
        "log_level": "ERROR",
    }
