"""The door of a host, in both fronts: a hostile argument of any verb is the caller's typed error, and the host goes on.

Verbs and arguments are found by their signatures, as in the sweep over the facets of a store.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

import tenure
import tenure.asyncio
from tenure.asyncio.facets import Schedules as AsyncioSchedules
from tenure.errors import CounterOverflow, Error, Internal, StoreBroken
from tests.kit.hostile import variations, verbs_of
from tests.kit.shares import share

GRAVE = (Internal, StoreBroken, CounterOverflow)
"""Never the answer to an argument: no counter of a new store is exhausted."""

TERMS: dict[str, Any] = {
    "idempotency_key": "key",
    "lane": "queue",
    "supersession_key": "about",
    "durability": "durable",
    "policy": None,
    "correlation_id": "answers",
    "deadline_s": 5.0,
    "at": None,
    "after_s": 5.0,
}

CALLS: dict[str, dict[str, Any]] = {
    "supervisor.spawn": {"runtime_id": "a", "kind": "kind", "wait": False, "labels": {"tier": "gold"}},
    "supervisor.spawn_many": {"runtime_ids": ["a", "b"], "kind": "kind", "labels": {"tier": "gold"}},
    "supervisor.runtime": {"runtime_id": "a"},
    "supervisor.find": {"runtime_id": "a"},
    "supervisor.list": {
        "kind": "kind",
        "state": "idle",
        "held": True,
        "parent": "a",
        "after": "a",
        "limit": 3,
        "labels": {"tier": "gold"},
    },
    "supervisor.accept": {
        "runtime_id": "a",
        "payload": {"n": [1]},
        "kind": "kind",
        "labels": {"tier": "gold"},
        **TERMS,
    },
    "supervisor.select": {"kind": "kind", "state": "idle", "held": True, "parent": "a", "labels": {"tier": "gold"}},
    "supervisor.drain": {"drain_s": 0.5},
    "supervisor.hold": {"runtime_id": "a", "kind": None, "note": "why"},
    "supervisor.resume": {"runtime_id": "a", "kind": None},
    "supervisor.erase": {"runtime_id": "b", "peers": False},
    "supervisor.ticket": {"runtime_id": "a", "input_id": "i", "idempotency_key": None},
    "supervisor.read_session": {"runtime_id": "a"},
    "supervisor.entries": {"runtime_id": "a", "run_id": "r", "content": True, "chain": True},
    "supervisor.unfinished_runs": {"behaviour_version": "1"},
    "supervisor.why": {"runtime_id": "a"},
    "supervisor.session_id": {"runtime_id": "a"},
    "supervisor.execution_state": {"runtime_id": "a"},
    "supervisor.set_execution_state": {"runtime_id": "a", "values": {"n": [1]}, "delete": ["m"], "expected": 1},
    "supervisor.dead_letters": {"runtime_id": "a"},
    "supervisor.refused_sends": {"runtime_id": "a"},
    "supervisor.follow": {"after": "0" * 21, "channel": "output"},
    "runtime.follow": {"after": "0" * 21, "channel": "output", "ticket": None, "run_id": "r"},
    "runtime.accept": {"payload": {"n": [1]}, **TERMS},
    "runtime.relabel": {"labels": {"tier": "gold"}, "remove": ["trial"]},
    "runtime.hold": {"note": "why"},
    "runtime.cancel": {"input_id": "i"},
    "runtime.retry": {"input_id": "i", "fresh": False},
    "runtime.erase": {"peers": False},
    "runtime.drop": {"input_id": "i"},
    "runtime.reset": {"clear_session": False},
    "schedules.create": {
        "schedule_id": "t",
        "runtime_id": "later",
        "when": tenure.Every(3_600),
        "payload": {"n": [1]},
        "kind": "kind",
        "overlap": "skip",
        "catch_up": "all",
        "catch_up_s": 60.0,
        "jitter_s": 1.0,
        "starts_at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        "ends_at": dt.datetime(3026, 1, 2, tzinfo=dt.UTC),
        "replace_existing": False,
    },
    "schedules.update": {
        "schedule_id": "s",
        "runtime_id": "later",
        "when": tenure.Cron("0 8 * * *"),
        "payload": {"n": [1]},
        "kind": "kind",
        "overlap": "skip",
        "catch_up": "all",
        "catch_up_s": 60.0,
        "jitter_s": 1.0,
        "starts_at": None,
        "ends_at": None,
    },
    "schedules.pause": {"schedule_id": "s", "note": "why"},
    "schedules.resume": {"schedule_id": "s"},
    "schedules.trigger": {"schedule_id": "s"},
    "schedules.delete": {"schedule_id": "u"},
    "schedules.get": {"schedule_id": "s"},
    "schedules.occurrences": {"schedule_id": "s", "limit": 3, "before": 9},
}


async def echo(run: tenure.Run) -> None:
    run.session.append([each.payload for each in run.inputs])


async def wrong_answer(call: Callable[[], Any]) -> str | None:
    """What comes out of a call and is neither an answer nor a typed error of the caller's, or None."""
    try:
        answer = call()
        if inspect.isawaitable(answer):
            await answer
    except Error as exc:
        return repr(exc) if isinstance(exc, GRAVE) else None
    except BaseException as exc:  # noqa: BLE001 - what comes out is what is looked at
        return type(exc).__name__
    return None


def calls_of(verb: str, supervisor: Any, runtime: Any) -> list[tuple[str, Callable[[], Any]]]:
    """Hostile calls of a verb, each under a name that says what is changed in it."""
    whose, name = verb.split(".")
    taken = share(variations(CALLS[verb]), 10)
    called = getattr({"supervisor": supervisor, "runtime": runtime, "schedules": supervisor.schedules}[whose], name)
    return [(said, partial(called, **arguments)) for said, arguments in taken]


@pytest.mark.parametrize("verb", CALLS)
async def test_a_hostile_argument_is_the_callers_error_and_the_host_goes_on(verb: str) -> None:
    wrong: dict[str, str | None] = {}
    async with tenure.open_supervisor(":memory:", behaviours={"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("a", "kind")
        await supervisor.schedules.create("s", "a", tenure.Every(3_600), None)
        for said, call in calls_of(verb, supervisor, runtime):
            with trio.fail_after(60):
                wrong[said] = await wrong_answer(call)
        await supervisor.resume("a")  # what a good call has held
        await supervisor.undrain()
        ticket = await runtime.accept("still here")
        with trio.fail_after(60):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert not {said: answer for said, answer in wrong.items() if answer}


@pytest.mark.parametrize("verb", CALLS)
def test_a_hostile_argument_on_asyncio_is_the_callers_error_and_the_host_goes_on(verb: str) -> None:
    wrong: dict[str, str | None] = {}

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(":memory:", behaviours={"kind": echo}) as supervisor:
            runtime = await supervisor.spawn("a", "kind")
            await supervisor.schedules.create("s", "a", tenure.Every(3_600), None)
            for said, call in calls_of(verb, supervisor, runtime):
                async with asyncio.timeout(60):
                    wrong[said] = await wrong_answer(call)
            await supervisor.resume("a")
            await supervisor.undrain()
            ticket = await runtime.accept("still here")
            async with asyncio.timeout(60):
                assert (await ticket.wait_outcome()).phase == "consumed"

    asyncio.run(main())
    assert not {said: answer for said, answer in wrong.items() if answer}


@pytest.mark.parametrize("front", [tenure, tenure.asyncio])
def test_every_verb_of_a_host_that_takes_a_value_is_in_the_sweep(front: Any) -> None:
    listed: set[str] = set()
    schedules = tenure.Schedules if front is tenure else AsyncioSchedules
    for whose, kind in (("supervisor", front.Supervisor), ("runtime", front.Runtime), ("schedules", schedules)):
        for name, called in verbs_of(kind.__new__(kind)).items():
            parameters = inspect.signature(called).parameters
            if parameters:
                listed.add(f"{whose}.{name}")

    assert listed - set(CALLS) <= NOT_VALUES
    assert set(CALLS) <= listed


NOT_VALUES = {
    "runtime.destroy",
    "runtime.resume",
    "runtime.settle_step",
    "runtime.wait_state",
    "supervisor.add_hook",  # `test_sweep` has what a hook raises
    "supervisor.remove_hook",
    "supervisor.health",  # it is not awaited; `test_health` has its values
    "supervisor.in_trio",
    "supervisor.serve_queue",  # its terms are swept by a test of their own: it serves until it is cancelled
}
"""Verbs whose good call needs a runtime that is held or in a state, or ends it: `test_mistakes` has theirs. And one that
takes code."""
