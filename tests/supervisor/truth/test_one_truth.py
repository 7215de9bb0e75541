"""Store verbs under the owner's token: what is stored and what is published are one (design §4, §5).

In one process and from another host's, on a file and in memory: the actor, its run and every ticket hear of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import NotAccepting, RunEnded, RuntimeDestroyed
from tenure.persistence.contracts.types import InputState
from tests.kit.hosting import (
    echo,
    forever,
    host,
    nothing,
)
from tests.kit.worlds import supervisor as on_one_file

HERE = "this process, on a file"
MEMORY = "this process, in memory"
ELSEWHERE = "another process"


@asynccontextmanager
async def owner_and_writer(
    where: str, tmp_path: Path, behaviours: dict[str, Any]
) -> AsyncGenerator[tuple[tenure.Supervisor, tenure.Store]]:
    """An owner, and the store through which its runtimes are written under their tokens."""
    if where == ELSEWHERE:
        async with (
            on_one_file(tmp_path / "agents.db", behaviours) as owner,
            on_one_file(tmp_path / "agents.db", {}) as other,
        ):
            yield owner, other.store
    else:
        async with host(":memory:" if where == MEMORY else tmp_path / "agents.db", behaviours) as owner:
            yield owner, owner.store


@pytest.fixture(params=[HERE, MEMORY, ELSEWHERE])
def where(request: pytest.FixtureRequest) -> str:
    param: str = request.param
    return param


def queued(input_id: str, payload: bytes = b'"stored"', **fields: Any) -> InputState:
    return InputState(input_id=tenure.InputId(input_id), payload=payload, **fields)


@pytest.mark.parametrize("state", ["stopped", "destroyed"])
async def test_a_stored_end_drops_the_run_and_nothing_begins_after_it(
    where: str, state: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    began: list[Any] = []
    refused: list[Exception] = []

    async def stepping(run: tenure.Run) -> None:
        began.append(run.inputs[0].payload)
        try:
            await trio.sleep_forever()
        finally:
            try:
                run.session.append("too late")
            except RunEnded as exc:
                refused.append(exc)

    async with owner_and_writer(where, tmp_path, {"kind": stepping}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        executing, waiting = await runtime.accept("first"), await runtime.accept("second")
        await trio.testing.wait_all_tasks_blocked()

        await store.runtimes.persist_runtime_state("r", state, fence=runtime.fence_token)
        with trio.fail_after(5):
            ends = [await executing.wait_outcome(), await waiting.wait_outcome()]
            await runtime.wait_state(state)

        assert [(end.phase, end.reason) for end in ends] == [("abandoned", state)] * 2
        assert runtime.state == state
        assert began == ["first"]
        assert len(refused) == 1
        assert await store.runtimes.load_runtime_state("r") == state
        await trio.sleep(2)
        assert await owner.store.runtimes.load_runtime_state("r") == state
        with pytest.raises(RuntimeDestroyed if state == "destroyed" else NotAccepting):
            await owner.accept("r", "third")
        if state == "destroyed":
            with pytest.raises(RuntimeDestroyed):
                await owner.spawn("r", "kind")
            with pytest.raises(RuntimeDestroyed):
                await runtime.retire()
        else:
            assert (await owner.spawn("r", "kind")).state == "attached"


@pytest.mark.parametrize("where", [HERE, MEMORY])
async def test_a_spawn_right_after_a_store_verb_of_this_process_sees_what_it_wrote(
    where: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with owner_and_writer(where, tmp_path, {"kind": echo}) as (owner, store):
        for runtime_id in ("gone", "stopped"):
            runtime = await owner.spawn(runtime_id, "kind")
            state = "destroyed" if runtime_id == "gone" else "stopped"
            await store.runtimes.persist_runtime_state(runtime_id, state, fence=runtime.fence_token)
            if state == "destroyed":
                with pytest.raises(RuntimeDestroyed):
                    await owner.spawn(runtime_id, "kind")
            else:
                assert (await owner.spawn(runtime_id, "kind")).state == "attached"
                assert await store.runtimes.load_runtime_state(runtime_id) == "idle"


async def test_a_stored_retirement_lets_the_run_end_and_takes_nothing_more(
    where: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    go_on = trio.Event()

    async def waiting(_: tenure.Run) -> None:
        await go_on.wait()

    async with owner_and_writer(where, tmp_path, {"kind": waiting}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        tickets = [await runtime.accept(payload) for payload in ("first", "second")]
        await trio.testing.wait_all_tasks_blocked()

        await store.runtimes.persist_runtime_state("r", "retired", fence=runtime.fence_token)
        await trio.sleep(1)
        with pytest.raises(NotAccepting):
            await runtime.accept("third")
        go_on.set()
        with trio.fail_after(10):
            assert [(await ticket.wait_outcome()).phase for ticket in tickets] == ["consumed", "consumed"]
            assert await runtime.wait_state("retired") == "retired"
        assert await store.runtimes.load_runtime_state("r") == "retired"

        await store.runtimes.persist_runtime_state("r", "idle", fence=runtime.fence_token)
        with trio.fail_after(10):
            assert await runtime.wait_state("attached") == "attached"
            assert (await (await runtime.accept("fourth")).wait_outcome()).phase == "consumed"


async def test_an_input_that_a_store_verb_ends_answers_its_ticket(
    where: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with owner_and_writer(where, tmp_path, {"kind": forever}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        await runtime.accept("first")
        ticket = await runtime.accept("second")
        await trio.testing.wait_all_tasks_blocked()

        ended = queued(ticket.input_id, b'"second"', phase="abandoned", reason="cancelled")
        await store.runtimes.persist_input_state("r", ended, fence=runtime.fence_token)
        with trio.fail_after(5):
            outcome = await ticket.wait_outcome()

        assert (outcome.phase, outcome.reason) == ("abandoned", "cancelled")


async def test_an_input_that_a_store_verb_brings_is_run(
    where: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with owner_and_writer(where, tmp_path, {"kind": echo}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        await store.runtimes.persist_input_state("r", queued("x", phase="queued"), fence=runtime.fence_token)
        with trio.fail_after(5):
            outcome = await (await owner.ticket("r", input_id="x")).wait_outcome()

        assert outcome.phase == "consumed"
        assert await owner.read_session("r") == ["stored"]


async def test_state_and_inputs_that_come_in_one_commit_are_heard_of_together(
    where: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with owner_and_writer(where, tmp_path, {"kind": forever}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        await runtime.accept("first")
        ticket = await runtime.accept("second")
        await trio.testing.wait_all_tasks_blocked()

        ended = queued(ticket.input_id, b'"second"', phase="abandoned", reason="cancelled")
        await store.runtimes.atomic_lifecycle_commit("r", "stopped", (ended,), fence=runtime.fence_token)
        with trio.fail_after(5):
            outcome = await ticket.wait_outcome()
            assert await runtime.wait_state("stopped") == "stopped"

        assert (outcome.phase, outcome.reason) == ("abandoned", "cancelled")


@pytest.mark.parametrize(
    ("verb", "state"), [("retire", "retired"), ("stop", "stopped"), ("reset", "idle"), ("destroy", "destroyed")]
)
async def test_a_verb_on_a_runtime_that_only_store_verbs_made_can_be_read_back(
    verb: str, state: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtimes = supervisor.store.runtimes
        await runtimes.persist_input_state("r", queued("x", phase="queued"))
        assert await runtimes.load_runtime_state("r") is None

        await getattr(await supervisor.find("r"), verb)()

        assert await runtimes.load_runtime_state("r") == state


async def test_what_is_stored_as_initializing_becomes_idle_by_a_spawn_and_keeps_its_inputs(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": echo}) as supervisor:
        runtimes = supervisor.store.runtimes
        await runtimes.atomic_lifecycle_commit("r", "initializing", (queued("x", phase="queued"),))

        runtime = await supervisor.spawn("r", "kind")
        with trio.fail_after(5):
            outcome = await (await supervisor.ticket("r", input_id="x")).wait_outcome()

        assert outcome.phase == "consumed"
        assert runtime.state == "attached"
        assert await runtimes.load_runtime_state("r") == "idle"


async def test_an_accept_does_not_jump_ahead_of_what_was_stored_with_a_higher_admission(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    last = 2**63 - 1
    async with host(target, {"kind": echo}) as supervisor:
        for runtime_id, admission in (("near", 1_000), ("far", last)):
            stored = queued(f"x-{runtime_id}", phase="queued", admission_sequence=admission)
            await supervisor.store.runtimes.persist_input_state(runtime_id, stored)
            foreign = await supervisor.find(runtime_id)
            tickets = [await foreign.accept(payload) for payload in ("first", "second")]

            await supervisor.spawn(runtime_id, "kind")
            with trio.fail_after(5):
                for ticket in tickets:
                    await ticket.wait_outcome()
            if admission != last:
                assert await supervisor.read_session(runtime_id) == ["stored", "first", "second"]


async def test_a_waiter_for_an_input_of_a_runtime_that_store_verbs_destroyed_is_answered(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {}) as supervisor:
        runtimes = supervisor.store.runtimes
        await runtimes.persist_input_state("r", queued("x", phase="queued"))
        ticket = await supervisor.ticket("r", input_id="x")
        await runtimes.persist_runtime_state("r", "destroyed")
        with trio.fail_after(5):
            outcome = await ticket.wait_outcome()
            again = await (await supervisor.ticket("r", input_id="x")).wait_outcome()

        assert outcome == again
        assert (outcome.phase, outcome.reason) == ("abandoned", "destroyed")


async def test_what_a_store_verb_left_in_another_phase_is_not_said_to_begin(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("r", "kind")
        brought = queued("x", phase="staged")
        await supervisor.store.runtimes.persist_input_state("r", brought, fence=runtime.fence_token)
        await trio.sleep(1)
        assert "none of its inputs is queued" in (await supervisor.why("r"))["because"]

        brought = queued("x", phase="queued")
        await supervisor.store.runtimes.persist_input_state("r", brought, fence=runtime.fence_token)
        with trio.fail_after(5):
            assert (await (await supervisor.ticket("r", input_id="x")).wait_outcome()).phase == "consumed"


@pytest.mark.parametrize("ahead", ["nothing", "another input"])
async def test_an_input_that_a_store_verb_brings_as_accepted_is_queued_by_the_living_owner(
    where: str, ahead: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with owner_and_writer(where, tmp_path, {"kind": echo}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        brought = [queued("x", phase="accepted")]
        if ahead != "nothing":
            brought.append(queued("y", phase="queued"))
        await store.runtimes.atomic_lifecycle_commit("r", "idle", brought, fence=runtime.fence_token)
        with trio.fail_after(5):
            for each in brought:
                outcome = await (await owner.ticket("r", input_id=each.input_id)).wait_outcome()
                assert outcome.phase == "consumed"

        assert await owner.read_session("r") == ["stored"] * len(brought)


async def test_an_input_that_a_store_verb_brings_as_accepted_steers_a_run_that_waits(
    where: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def wait(run: tenure.Run) -> None:
        run.session.append([each.payload for each in await run.wait_steered()])

    async with owner_and_writer(where, tmp_path, {"kind": wait}) as (owner, store):
        runtime = await owner.spawn("r", "kind")
        ticket = await runtime.accept("first")
        await trio.testing.wait_all_tasks_blocked()
        brought = queued("x", phase="accepted", recovery_lane="steer")
        await store.runtimes.persist_input_state("r", brought, fence=runtime.fence_token)
        with trio.fail_after(5):
            assert (await ticket.wait_outcome()).phase == "consumed"

        assert await owner.read_session("r") == [["stored"]]
