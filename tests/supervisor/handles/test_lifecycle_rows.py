"""Every verb in every standing of a runtime: what is stored follows the arrow, or nothing of it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import tenure
from tenure.errors import InvalidTransition, RuntimeDestroyed
from tenure.persistence.model.lifecycles.lifecycle import (
    LifecycleEvent,
    Standing,
    durable,
    transition,
)
from tenure.persistence.model.values import RuntimeState
from tests.kit.hosting import (
    forever,
    host,
)

VERBS = ("retire", "reset", "stop", "recycle", "destroy")


async def attached(runtime: tenure.Runtime) -> None:
    """As it was spawned."""


async def running(runtime: tenure.Runtime) -> None:
    await runtime.accept("work")
    await runtime.wait_state("running")


async def retiring(runtime: tenure.Runtime) -> None:
    await running(runtime)
    await runtime.retire()


async def retired(runtime: tenure.Runtime) -> None:
    await runtime.retire()


async def stopped(runtime: tenure.Runtime) -> None:
    await runtime.stop()


async def destroyed(runtime: tenure.Runtime) -> None:
    await runtime.destroy()


STANDINGS: dict[str, tuple[Callable[[tenure.Runtime], Awaitable[None]], Standing]] = {
    "attached": (attached, Standing(state=RuntimeState.ATTACHED)),
    "running": (running, Standing(state=RuntimeState.RUNNING, before=RuntimeState.ATTACHED)),
    "retiring": (retiring, Standing(state=RuntimeState.RUNNING, retiring=True, before=RuntimeState.ATTACHED)),
    "retired": (retired, Standing(state=RuntimeState.RETIRED)),
    "stopped": (stopped, Standing(state=RuntimeState.STOPPED)),
    "destroyed": (destroyed, Standing(state=RuntimeState.DESTROYED)),
}


async def stored(supervisor: tenure.Supervisor) -> list[Any]:
    async with supervisor.store.read_connection() as connection:
        return [await connection.query(f"SELECT * FROM {table}") for table in ("runtimes", "inputs", "runs", "links")]


async def state(supervisor: tenure.Supervisor) -> str:
    async with supervisor.store.read_connection() as connection:
        ((found,),) = await connection.query("SELECT state FROM runtimes")
        return str(found)


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_follows_its_arrow_or_is_refused_and_nothing_stored_changes(
    standing: str, verb: str, autojump_clock: trio.testing.MockClock
) -> None:
    reach, expected = STANDINGS[standing]
    async with host(":memory:", {"k": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "k")
        await reach(runtime)
        before = await stored(supervisor)
        try:
            after = transition(expected, LifecycleEvent(verb), runtime_id="alice")
        except InvalidTransition:
            refusal = RuntimeDestroyed if standing == "destroyed" else InvalidTransition
            with pytest.raises(refusal):
                await getattr(runtime, verb)()
            assert await stored(supervisor) == before
        else:
            await getattr(runtime, verb)()
            assert await state(supervisor) == durable(after)
            assert (await stored(supervisor) == before) == (after == expected and verb != "reset")
        if runtime.state == "running":
            await runtime.stop()
