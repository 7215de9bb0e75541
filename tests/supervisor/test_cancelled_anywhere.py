"""Every verb, cancelled at each of its checkpoints: it happened and its answer came, or it did not and nothing is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel
import trio.testing

import tenure
from tenure.errors import NotFound
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    Gate,
    host,
    nothing,
)
from tests.kit.shares import share
from tests.kit.worlds import (
    LIMITS,
    Host,
)

ONE_ATTEMPT = tenure.RestartPolicy(max_attempts=1, budget=1_000)
HELD_AT_ONCE = tenure.RestartPolicy(budget=1)
MOST = 60
"""More turns of the loop than any verb takes."""

EARLY = 12
"""Turns after which a verb that comes to its end is through."""


RUNS: list[str] = []
"""By id, those that the behaviour below has begun."""


async def failing(run: tenure.Run) -> None:
    RUNS.append(run.run_id)
    raise ValueError


async def forever(run: tenure.Run) -> None:
    await trio.sleep_forever()


BEHAVIOURS = {
    "quiet": nothing,
    "dead": tenure.Behaviour(failing, restart=ONE_ATTEMPT),
    "held": tenure.Behaviour(failing, restart=HELD_AT_ONCE),
    "busy": forever,
}


@attrs.frozen(kw_only=True)
class Case:
    """A verb, what it needs, and how to see whether it happened.

    Attributes:
        kind: Of the runtime.
        prepare: What comes before; its result goes to the others.
        verb: What is cancelled.
        happened: Whether it did.
    """

    kind: str = "quiet"
    prepare: Callable[[tenure.Runtime], Awaitable[Any]]
    verb: Callable[[tenure.Supervisor, tenure.Runtime, Any], Awaitable[object]]
    happened: Callable[[tenure.Supervisor, tenure.Runtime, Any], Awaitable[bool]]


async def no_need(runtime: tenure.Runtime) -> None:
    """Nothing comes before."""


async def retired(runtime: tenure.Runtime) -> None:
    await runtime.retire()


async def a_dead_letter(runtime: tenure.Runtime) -> str:
    RUNS.clear()
    ticket = await runtime.accept("once")
    await ticket.wait_outcome()
    return ticket.input_id


async def a_held_mark(runtime: tenure.Runtime) -> None:
    RUNS.clear()
    await runtime.accept("once")
    await runtime.wait_held()


async def a_run_and_an_input(runtime: tenure.Runtime) -> str:
    await runtime.accept("first")
    await runtime.wait_state("running")
    return (await runtime.accept("second")).input_id


async def phase_of(supervisor: tenure.Supervisor, runtime: tenure.Runtime, input_id: str) -> str | None:
    ticket = await supervisor.ticket(runtime.runtime_id, input_id=input_id)
    return None if ticket.outcome is None else ticket.outcome.phase


def in_state(*states: str) -> Callable[[tenure.Supervisor, tenure.Runtime, Any], Awaitable[bool]]:
    async def happened(_supervisor: tenure.Supervisor, runtime: tenure.Runtime, _need: Any) -> bool:
        return runtime.state in states

    return happened


async def was_accepted(supervisor: tenure.Supervisor, runtime: tenure.Runtime, _need: Any) -> bool:
    try:
        await supervisor.ticket(runtime.runtime_id, idempotency_key="k")
    except NotFound:
        return False
    return True


async def was_reset(_supervisor: tenure.Supervisor, runtime: tenure.Runtime, _need: Any) -> bool:
    return runtime.generation == 1


async def was_dropped(supervisor: tenure.Supervisor, runtime: tenure.Runtime, _need: Any) -> bool:
    return not await supervisor.dead_letters(runtime.runtime_id)


async def ran_again(supervisor: tenure.Supervisor, runtime: tenure.Runtime, need: Any) -> bool:
    # Not by its mark: the run that a resume lets begin fails, and holds the runtime again within a few turns.
    await trio.testing.wait_all_tasks_blocked()
    return len(RUNS) == 2


async def was_cancelled(supervisor: tenure.Supervisor, runtime: tenure.Runtime, need: Any) -> bool:
    return await phase_of(supervisor, runtime, need) == "abandoned"


async def spawned(supervisor: tenure.Supervisor, _runtime: tenure.Runtime, _need: Any) -> bool:
    return host_of(supervisor).owned.owns(tenure.LogicalRuntimeId("new"))


CASES = {
    "spawn": Case(prepare=no_need, verb=lambda s, r, n: s.spawn("new", "quiet"), happened=spawned),
    "accept": Case(prepare=no_need, verb=lambda s, r, n: r.accept(1, idempotency_key="k"), happened=was_accepted),
    "accept into any": Case(
        prepare=no_need, verb=lambda s, r, n: s.accept("a", 1, idempotency_key="k"), happened=was_accepted
    ),
    "retire": Case(prepare=no_need, verb=lambda s, r, n: r.retire(), happened=in_state("retired")),
    "reset": Case(prepare=no_need, verb=lambda s, r, n: r.reset(), happened=was_reset),
    "stop": Case(prepare=no_need, verb=lambda s, r, n: r.stop(), happened=in_state("stopped")),
    "stop a run": Case(
        kind="busy", prepare=a_run_and_an_input, verb=lambda s, r, n: r.stop(), happened=in_state("stopped")
    ),
    "recycle": Case(prepare=retired, verb=lambda s, r, n: r.recycle(), happened=in_state("idle", "attached")),
    "destroy": Case(prepare=no_need, verb=lambda s, r, n: r.destroy(), happened=in_state("destroyed")),
    "resume": Case(kind="held", prepare=a_held_mark, verb=lambda s, r, n: r.resume(), happened=ran_again),
    "cancel an input": Case(
        kind="busy", prepare=a_run_and_an_input, verb=lambda s, r, n: r.cancel(n), happened=was_cancelled
    ),
    "retry": Case(kind="dead", prepare=a_dead_letter, verb=lambda s, r, n: r.retry(n), happened=ran_again),
    "drop": Case(kind="dead", prepare=a_dead_letter, verb=lambda s, r, n: r.drop(n), happened=was_dropped),
}


async def cancelled_at(turn: int, verb: Callable[[], Awaitable[object]]) -> bool:
    """Run a verb and cancel it after so many turns of the loop, with 0 before it. Whether it came to its end all the same."""
    ended = False
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                for _ in range(turn - 1):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            if turn:
                nursery.start_soon(cancel)
            else:
                scope.cancel()
            await verb()
            ended = True
    return ended


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", CASES)
async def test_a_verb_that_is_cancelled_happened_and_returned_or_did_neither(
    name: str, autojump_clock: trio.testing.MockClock, *, gated: bool
) -> None:
    # Which of them come before the actor has taken the verb, trio draws by lot; the law holds for each.
    for turn in share(range(MOST), 5):
        if await try_it(CASES[name], turn, gated=gated) and turn > EARLY:
            return
    pytest.fail("it never came to its end")


async def try_it(case: Case, turn: int, *, gated: bool) -> bool:
    """Cancel a verb in a host of its own."""
    gate = Gate()
    async with host(":memory:", BEHAVIOURS, gate=gate) as supervisor, trio.open_nursery() as nursery:
        runtime = await supervisor.spawn("a", case.kind)
        need = await case.prepare(runtime)
        if gated:
            gate.shut()  # so that many of them are cancelled while the writer has their commit

            async def open_later() -> None:
                await trio.sleep(1)
                gate.open()

            nursery.start_soon(open_later)
        ended = await cancelled_at(turn, lambda: case.verb(supervisor, runtime, need))
        gate.open()

        assert await case.happened(supervisor, runtime, need) is ended, turn
        other = await supervisor.spawn("other", "quiet")
        assert (await (await other.accept("go")).wait_outcome()).phase == "consumed"  # and the host goes on
        if runtime.state != "destroyed":
            await runtime.destroy()
    return ended


VERBS: dict[str, Callable[[tenure.ForeignRuntime], Awaitable[object]]] = {
    "retire": lambda foreign: foreign.retire(),
    "reset": lambda foreign: foreign.reset(),
    "destroy": lambda foreign: foreign.destroy(),
    "accept": lambda foreign: foreign.accept(1, idempotency_key="k"),
}


@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_of_a_runtime_of_another_host_is_stored_and_carried_out_or_neither(
    name: str, tmp_path: Any, autojump_clock: trio.testing.MockClock
) -> None:
    counts: set[int] = set()
    for turn in share(range(MOST), 10):
        with trio.fail_after(1_000):
            counts.add(await ask_it(name, tmp_path / f"{turn}.db", turn))

    assert counts in ({0, 1}, {1})  # which come before anything is stored, trio draws by lot


async def ask_it(name: str, path: Path, turn: int) -> int:
    """Cancel a verb between two hosts of its own, and count what was stored."""
    async with (
        tenure.open_supervisor(path, behaviours=BEHAVIOURS, limits=LIMITS, seams=Host().seams, drain_s=0) as owner,
        tenure.open_supervisor(path, behaviours={}, limits=LIMITS, seams=Host().seams, drain_s=0) as asker,
    ):
        runtime = await owner.spawn("a", "quiet")
        foreign = await asker.find("a")
        assert isinstance(foreign, tenure.ForeignRuntime)
        ended = await cancelled_at(turn, lambda: VERBS[name](foreign))
        await trio.sleep(1)
        table = "inputs" if name == "accept" else "requests"
        async with asker.store.read_connection() as connection:
            [(count,)] = await connection.query(f"SELECT count(*) FROM {table}")
        done = {
            "retire": runtime.state == "retired",
            "reset": runtime.generation == 1,
            "destroy": runtime.state == "destroyed",
            "accept": count == 1,
        }
        assert done[name] is (count == 1)
        assert count or not ended
    found: int = count
    return found
