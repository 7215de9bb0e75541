"""What two hosts give to two runtimes at once under one name that the lock of neither runtime covers: one of them has it.

A third connection stops both groups after what they read, and before what they write by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import trio

import tenure
from tenure import Store
from tenure.errors import AskCycle, Error, InvalidInput, SessionBindingMismatch
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.records.holds import EndHold, PlaceHold
from tests.kit.stores import name, own
from tests.persistence.contracts.builders import delta

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
PATIENCE_S = 30


async def at_once(
    url: str, stopped_by: str, one: Callable[[], Awaitable[Any]], other: Callable[[], Awaitable[Any]]
) -> list[Any]:
    """What comes of both, whose groups wait together for what a third connection has locked."""
    found: list[Any] = []

    async def note(call: Callable[[], Awaitable[Any]]) -> None:
        try:
            found.append(await call())
        except Error as exc:
            found.append(exc)

    with psycopg.connect(url) as third, psycopg.connect(url, autocommit=True) as looking:
        third.execute("SET search_path TO tenure")
        third.execute(stopped_by.encode())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, one)
            nursery.start_soon(note, other)
            await wait_for_two(looking, _WAITING)
            third.rollback()
    return found


async def wait_for_two(looking: psycopg.Connection, counted: str) -> None:
    with trio.fail_after(PATIENCE_S):
        while True:
            if looking.execute(counted.encode()).fetchone() == (2,):
                return
            await trio.sleep(0.01)


async def test_of_two_hosts_that_write_snapshots_of_one_session_one_has_it(url: str) -> None:
    async with tenure.open_store(url) as one, tenure.open_store(url) as two:
        await one.sessions.bind("talk").save_session_meta(tenure.SessionMeta(session_id="talk"))
        for runtime_id in ("a", "b"):
            await one.runtimes.commit_session_snapshot(runtime_id, delta(session=f"of {runtime_id}"))

        def write(store: Store, runtime_id: str) -> Callable[[], Awaitable[Any]]:
            return lambda: store.runtimes.commit_session_snapshot(runtime_id, delta(runtime_id, session="talk"))

        locked = "SELECT 1 FROM sessions WHERE session_id = 'talk' FOR UPDATE"
        found = await at_once(url, locked, write(one, "a"), write(two, "b"))

        assert sorted(type(each).__name__ for each in found) == ["NoneType", SessionBindingMismatch.__name__]
        kept = [await one.runtimes.load_session_snapshot(each) for each in ("a", "b")]
        assert sum(each is not None and tenure.decode_snapshot(each).session_id == "talk" for each in kept) == 1


async def test_of_two_hosts_that_bind_one_stream_one_has_it(url: str) -> None:
    async with tenure.open_store(url) as one, tenure.open_store(url) as two:
        tokens = {each: await own(one, each) for each in ("a", "b")}
        await one.journal.append("s", [1])

        def bind(store: Store, runtime_id: str) -> Callable[[], Awaitable[Any]]:
            return lambda: store.journal.bind("s", runtime_id, fence=tokens[runtime_id])

        locked = "SELECT 1 FROM streams WHERE stream_id = 's' FOR UPDATE"
        found = await at_once(url, locked, bind(one, "a"), bind(two, "b"))

        assert sorted(type(each).__name__ for each in found) == [InvalidInput.__name__, "NoneType"]


async def test_of_two_hosts_that_bind_one_execution_one_has_it(url: str) -> None:
    async with tenure.open_store(url) as one, tenure.open_store(url) as two:
        tokens = {each: await own(one, each) for each in ("a", "b")}

        def bind(store: Store, runtime_id: str) -> Callable[[], Awaitable[Any]]:
            return lambda: store.state.bind("work", runtime_id, fence=tokens[runtime_id])

        locked = "LOCK TABLE execution_bindings IN SHARE MODE"
        found = await at_once(url, locked, bind(one, "a"), bind(two, "b"))

        assert sorted(type(each).__name__ for each in found) == [InvalidInput.__name__, "NoneType"]


async def test_of_two_hosts_that_end_the_hold_of_a_runtime_that_is_not_there_one_has_ended_it(url: str) -> None:
    async with tenure.open_store(url) as one, tenure.open_store(url) as two:
        await one.commit(Commit(changes=(PlaceHold(runtime_id=name("later")),)))

        def end(store: Store) -> Callable[[], Awaitable[Any]]:
            async def ended() -> Any:
                return (await store.commit(Commit(changes=(EndHold(runtime_id=name("later")),)))).values[0]

            return ended

        found = await at_once(url, "SELECT 1 FROM holds FOR UPDATE", end(one), end(two))

        assert sorted(found) == [False, True]


class Gates:
    """What opens for a run when it may ask."""

    def __init__(self, *runtime_ids: str) -> None:
        self.running = {each: trio.Event() for each in runtime_ids}
        self.open = {each: trio.Event() for each in runtime_ids}


async def test_of_two_hosts_that_close_a_long_circle_at_once_one_is_refused(url: str) -> None:
    circle = {"a": "b", "b": "c", "c": "d", "d": "a"}
    gates = Gates(*circle)
    refused: list[str] = []

    async def asks(run: tenure.Run) -> Any:
        if run.inputs[0].payload == "and you?":
            return "fine"
        gates.running[run.runtime_id].set()
        await gates.open[run.runtime_id].wait()
        try:
            return await run.ask(circle[run.runtime_id], "and you?")
        except AskCycle:
            refused.append(run.runtime_id)
            return "a circle"

    behaviours = {"k": tenure.Behaviour(asks)}
    async with (
        tenure.open_supervisor(url, behaviours=behaviours) as one,
        tenure.open_supervisor(url, behaviours=behaviours) as two,
    ):
        tickets: list[tenure.Ticket] = []
        for runtime_id in circle:
            runtime = await (one if runtime_id in "ab" else two).spawn(runtime_id, "k")
            tickets.append(await runtime.accept("begin"))
        for gate in gates.running.values():
            await gate.wait()
        with psycopg.connect(url) as third, psycopg.connect(url, autocommit=True) as looking:
            for first in ("a", "c"):
                gates.open[first].set()
            await wait_for_two(looking, "SELECT count(*) FROM tenure.asks")
            third.execute("LOCK TABLE tenure.asks IN SHARE MODE")
            for last in ("b", "d"):
                gates.open[last].set()
            await wait_for_two(looking, _WAITING)
            third.rollback()
        with trio.fail_after(PATIENCE_S):
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "consumed"

    assert len(refused) == 1
    assert refused[0] in {"b", "d"}
