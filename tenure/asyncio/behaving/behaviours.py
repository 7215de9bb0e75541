"""Behaviours that are asyncio functions: they run on the loop of the program, and reach their run from there.

Theory of operation. The host knows a trio function. It starts a task on the loop and waits for its end. What that task asks of
its `Run` is a call through a portal of this entering, in the branch that the asker stands in: a context variable says which,
and goes with tasks and calls, there and back. Where the run is cancelled, so is the task; where the task is cancelled, or a
timeout of asyncio's cuts something off, so is what it waits for.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from tenure.errors import InvalidInput, RunEnded
from tenure.persistence.model.numbers import shown
from tenure.persistence.seams.nursery import background
from tenure.portals.portal import Portal
from tenure.supervisor.runs.behaviour import BehaviourFunction, check_takes_run, is_async
from tenure.supervisor.runs.run import Run as TrioRun

from .crossing import entered
from .run import Run
from .steps import loop_of, run_on_loop


def behaviour(function: Callable[[Run], Coroutine[Any, Any, Any]]) -> BehaviourFunction:
    """Make an asyncio function a behaviour of `tenure.asyncio.open_supervisor`.

        @tenure.asyncio.behaviour
        async def chat(run: tenure.asyncio.Run) -> str:
            history = await run.session.messages()
            reply = await run.step("ask", ask_model, history, repeat="freely")   # an asyncio function, as it is
            run.session.append({"role": "assistant", "text": reply})
            return reply

    It runs on the loop that opened the supervisor, and what it awaits of its run are coroutines of that loop: so a library
    that is asyncio can be handed `run.step` itself. Async functions that it gives to `step`, `map`, `gather` and `first` run
    there too; sync ones run in threads. Steps side by side, as of tasks that a library starts, have ``call=``.

    Raises:
        InvalidInput: It is not an async function, or does not take one argument.

    Cancellation: where the run is cancelled, by a stop or at the end of the host, so is the task, and its end is waited for.
    One that swallows it gets `asyncio.CancelledError` from everything that it asks of its run.
    """
    if not is_async(function):
        raise InvalidInput(detail=f"{shown(function)} is not an async function; write async def", field="function")
    check_takes_run(function, "function")

    @functools.wraps(function)
    async def on_the_loop(run: TrioRun) -> Any:
        loop = loop_of(function)
        portal = Portal(what="supervisor", cut=asyncio.CancelledError)
        result: Any = None
        async with background() as calls:
            with calls:
                portal.open(calls.nursery)
                try:
                    result = await run_on_loop(loop, functools.partial(_enter, function, run, portal))
                finally:
                    portal.close(RunEnded(run_id=run.run_id))
        calls.reraise()
        return result

    return on_the_loop


async def _enter(function: Callable[[Run], Coroutine[Any, Any, Any]], run: TrioRun, portal: Portal) -> Any:
    with entered(portal):
        return await function(Run(run))
