"""What a runtime keeps between its runs: seen as it stood when a run first began, written with the boundaries, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import (
    InvalidInput,
    LimitReached,
    NotFound,
    PayloadTooLarge,
    RunEnded,
    RuntimeDestroyed,
    StateConflict,
)
from tests.kit.hosting import Gate, consumed, cut_off, host, peek

Acts = Callable[[tenure.Run], Awaitable[None]]

QUICK = tenure.RestartPolicy(max_attempts=2, backoff_s=1.0, jitter=0.0)


async def once(database: Path, act: Acts, payload: object = "go") -> Any:
    """Run one behaviour over one input, to its end, and give the state after it."""
    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), payload)
        return (await supervisor.execution_state("alice")).values


async def test_what_a_run_sets_the_next_one_gets_also_after_a_restart(
    database: Path, autojump_clock: MockClock
) -> None:
    async def count(run: tenure.Run) -> None:
        run.state.set("times", await run.state.get("times", 0) + 1)

    assert await once(database, count) == {"times": 1}
    assert await once(database, count) == {"times": 2}


async def test_a_run_sees_what_it_has_written_before_and_after_it_lands(
    database: Path, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def look(run: tenure.Run) -> None:
        seen.append((await run.state.get("a"), await run.state.exists("a"), await run.state.all()))

    async def act(run: tenure.Run) -> None:
        await look(run)
        run.state.set("a", {"x": [1]})
        run.state.set("b", None)
        await look(run)
        await run.checkpoint()
        await look(run)
        run.state.delete("a")
        run.state.delete("was never there")
        await look(run)

    assert await once(database, act) == {"b": None}
    assert seen == [
        (None, False, {}),
        ({"x": [1]}, True, {"a": {"x": [1]}, "b": None}),
        ({"x": [1]}, True, {"a": {"x": [1]}, "b": None}),
        (None, False, {"b": None}),
    ]


async def test_a_value_of_null_is_a_value(database: Path, autojump_clock: MockClock) -> None:
    found: list[Any] = []

    async def act(run: tenure.Run) -> None:
        found.append((await run.state.get("a", "none"), await run.state.exists("a")))
        run.state.set("a", None)

    await once(database, act)
    await once(database, act)

    assert found == [("none", False), (None, True)]


async def test_what_a_failed_attempt_set_behind_its_last_checkpoint_does_not_land(
    database: Path, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def act(run: tenure.Run) -> None:
        seen.append(await run.state.get("landed"))
        run.state.set("landed", run.attempts if run.attempts == 0 else 0)
        await run.checkpoint()
        run.state.set("lost", run.attempts)
        if run.attempts == 0:
            raise ConnectionError("of a test")
        run.state.delete("lost")

    assert await once(database, act) == {"landed": 0}
    assert seen == [None, None]


async def test_a_run_that_enters_again_sees_what_stood_when_it_first_began(
    database: Path, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def act(run: tenure.Run) -> None:
        seen.append((await run.state.get("who"), await run.state.all()))
        if run.inputs[0].payload == "long":
            run.state.set("mine", 1)
            await run.checkpoint()
            seen.append((await run.state.get("who"), await run.state.all()))
            await run.sleep(10.0)

    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await supervisor.set_execution_state("alice", {"who": "first"})
        await runtime.accept("long", idempotency_key="long")
        await wait_all_tasks_blocked()
        await supervisor.set_execution_state("alice", {"who": "second", "new": 2}, delete=["mine"])

    await cut_off(database, {"kind": act}, body)
    async with host(database, {"kind": act}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("long", idempotency_key="long")
        await ticket.wait_outcome()
        await consumed(runtime, "short")
        assert (await supervisor.execution_state("alice")).values == {"who": "second", "new": 2}

    before, during = ("first", {"who": "first"}), ("first", {"who": "first", "mine": 1})
    assert seen == [before, during, before, during, ("second", {"who": "second", "new": 2})]


async def test_a_replay_writes_nothing_a_second_time(database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        for number in range(3):
            run.state.set("at", number)
            await run.checkpoint()
        await run.sleep(10.0)

    async def body(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="go")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": act}, body)
    written = peek(database, "SELECT name, revision, hex(value) FROM own_values ORDER BY revision")
    async with host(database, {"kind": act}) as supervisor:
        await supervisor.spawn("alice", "kind")
        await wait_all_tasks_blocked()
        assert peek(database, "SELECT name, revision, hex(value) FROM own_values ORDER BY revision") == written
        await supervisor.set_execution_state("alice", {"of": "a person"})
        await (await supervisor.ticket("alice", idempotency_key="go")).wait_outcome()
        assert (await supervisor.execution_state("alice")).values == {"at": 2, "of": "a person"}

    assert [revision for _, revision, _ in written] == [1, 2, 3]
    assert peek(database, "SELECT name, revision FROM own_values ORDER BY revision") == [["at", 3], ["of", 4]]
    assert peek(database, "SELECT * FROM own_writes") == []


async def test_a_boundary_writes_what_was_set_since_the_one_before_it_alone(
    database: Path, autojump_clock: MockClock
) -> None:
    async def act(run: tenure.Run) -> None:
        run.state.set("a", 1)
        await run.checkpoint()
        await run.checkpoint()
        run.state.set("b", 2)

    await once(database, act)

    assert peek(database, "SELECT name, revision FROM own_values ORDER BY revision") == [["a", 1], ["b", 2]]


def writes(version: str, **values: object) -> tenure.Behaviour:
    """Sets these, checkpoints, and fails until it is of version 3."""

    async def act(run: tenure.Run) -> None:
        for name, value in values.items():
            run.state.set(name, value)
        await run.checkpoint()
        run.session.append(await run.state.all())
        if version == "1":
            raise ConnectionError("of a test")

    return tenure.Behaviour(act, version=version, restart=tenure.RestartPolicy(backoff_s=60.0))


@pytest.mark.parametrize(
    ("version", "values", "becomes"),
    [
        ("1", {"a": 1, "b": 2}, "failed again"),
        ("1", {"a": 1, "b": 3}, "held"),
        ("1", {"a": 1}, "held"),
        ("1", {"a": 1, "b": 2, "c": 3}, "held"),
        ("2", {"a": 1, "b": 3}, "consumed"),
        ("2", {"c": 3}, "consumed"),
    ],
)
async def test_a_replay_compares_what_is_set_and_under_another_version_what_stands_is_taken(
    version: str, values: dict[str, object], becomes: str, database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": writes("1", a=1, b=2)}) as supervisor:
        await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="go")
        await wait_all_tasks_blocked()

    async with host(database, {"kind": writes(version, **values)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await supervisor.ticket("alice", idempotency_key="go")
        with trio.fail_after(200):
            if becomes == "held":
                assert await runtime.wait_held() == "step mismatch"
            elif becomes == "consumed":
                assert (await ticket.wait_outcome()).phase == "consumed"
                assert await supervisor.read_session("alice") == [{"a": 1, "b": 2}]
            else:
                await trio.sleep(70)
                assert runtime.held is None
        assert (await supervisor.execution_state("alice")).values == {"a": 1, "b": 2}


@pytest.mark.parametrize("by_person", ["", "by person"])
async def test_a_restart_takes_back_what_the_run_wrote_and_nothing_else(
    by_person: str, database: Path, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def act(run: tenure.Run) -> None:
        seen.append(await run.state.all())
        if run.inputs[0].payload != "bad":
            return
        run.state.set("kept", "by run")
        run.state.set("new", 1)
        run.state.delete("gone")
        await run.checkpoint()
        run.state.set("new", 2)
        await run.checkpoint()
        if len(seen) == 1:
            await run.step("fail", lambda: 1 / 0, repeat="freely")

    before = {"kept": "before", "gone": "still here"}
    behaviour = tenure.Behaviour(act, restart=tenure.RestartPolicy(max_attempts=1))
    async with host(database, {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await supervisor.set_execution_state("alice", before)
        ticket = await runtime.accept("bad")
        assert (await ticket.wait_outcome()).phase == "abandoned"
        assert (await supervisor.execution_state("alice")).values == {"kept": "by run", "new": 2}
        revision = (await supervisor.execution_state("alice")).revision
        if by_person:
            revision = await supervisor.set_execution_state("alice", {"kept": by_person})
        await runtime.retry(ticket.input_id, fresh=True)
        await (await supervisor.ticket("alice", input_id=ticket.input_id)).wait_outcome()
        after = await supervisor.execution_state("alice")
        await consumed(runtime, "good")

    assert seen[0] == before
    assert seen[1] == (before | {"kept": by_person} if by_person else before)
    assert after.values == {"kept": "by run", "new": 2}
    assert after.revision > revision + 1  # one to take back, and its own
    assert seen[2] == after.values


async def test_two_dead_letters_each_see_the_state_of_their_own_beginning(
    database: Path, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []
    fails = True

    async def act(run: tenure.Run) -> None:
        seen.append((run.inputs[0].payload, await run.state.get("x")))
        run.state.set("x", run.inputs[0].payload)
        await run.checkpoint()
        if fails:
            raise ConnectionError("of a test")

    behaviour = tenure.Behaviour(act, restart=tenure.RestartPolicy(max_attempts=1))
    async with host(database, {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(payload) for payload in ("one", "two")]
        for ticket in tickets:
            await ticket.wait_outcome()
        for number in range(3):
            await supervisor.set_execution_state("alice", {"x": number})
        fails = False
        for ticket in reversed(tickets):
            await runtime.retry(ticket.input_id)
            await (await supervisor.ticket("alice", input_id=ticket.input_id)).wait_outcome()
        assert (await supervisor.execution_state("alice")).values == {"x": 2}

    first = [("one", None), ("two", "one")]
    assert seen == [*first, *reversed(first)]


async def test_branches_write_apart_and_their_writes_land_when_the_gather_ends(
    database: Path, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def act(run: tenure.Run) -> None:
        run.state.set("a", 0)

        async def left() -> None:
            run.state.set("a", 1)
            await trio.sleep(1)
            seen.append(await run.state.all())

        async def right() -> None:
            run.state.set("b", 2)
            await trio.sleep(2)
            seen.append(await run.state.all())

        await run.gather(left, right)
        seen.append(await run.state.all())
        await run.first(left, right)

    assert await once(database, act) == {"a": 1, "b": 2}
    assert seen[:3] == [{"a": 1}, {"a": 0, "b": 2}, {"a": 1, "b": 2}]


async def test_what_the_losers_of_a_race_set_does_not_land(database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        async def quick() -> None:
            run.state.set("name", "quick")
            await trio.sleep(1)

        async def slow() -> None:
            run.state.set("name", "slow")
            run.state.set("other", "slow")
            await trio.sleep(2)

        await run.first(slow, quick)

    assert await once(database, act) == {"name": "quick"}


async def test_a_name_that_two_branches_of_a_gather_write_is_refused(database: Path, autojump_clock: MockClock) -> None:
    refused: list[str] = []

    async def act(run: tenure.Run) -> None:
        async def writer(number: int) -> None:
            await trio.sleep(number)
            run.state.set("same", number)
            run.state.set("same", number)  # again by the same is none of that

        async def within() -> None:
            await run.gather(lambda: writer(2), partial(trio.sleep, 3))

        try:
            await run.gather(lambda: writer(1), within)
        except InvalidInput as exc:
            refused.append(str(exc))

    assert await once(database, act) == {"same": 1}
    assert len(refused) == 1
    assert "two branches" in refused[0]


@pytest.mark.parametrize("verb", ["get", "all", "exists", "set", "delete"])
async def test_neither_a_step_nor_an_ended_run_has_a_state(
    verb: str, database: Path, autojump_clock: MockClock
) -> None:
    kept: list[tenure.Run] = []
    errors: list[BaseException] = []

    async def use(run: tenure.Run) -> None:
        arguments = {"all": (), "set": ("a", 1)}.get(verb, ("a",))
        try:
            found = getattr(run.state, verb)(*arguments)
            if found is not None:
                await found
        except Exception as exc:  # noqa: BLE001 - judged below
            errors.append(exc)

    async def act(run: tenure.Run) -> None:
        kept.append(run)

        async def inside() -> None:
            await use(run)

        await run.step("inside", inside, repeat="freely")

    await once(database, act)
    await use(kept[0])

    assert [type(each) for each in errors] == [InvalidInput, RunEnded]


async def test_what_is_set_beside_a_call_in_flight_is_refused(database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run.step("wait", trio.sleep, 5, repeat="freely", call="c"))
            await trio.sleep(1)
            with pytest.raises(InvalidInput, match="no order"):
                run.state.set("a", 1)
        run.state.set("b", 2)

    assert await once(database, act) == {"b": 2}


@pytest.mark.parametrize("name", ["", "x" * 201, "\0", "\ud800", 5, None, b"a"])
async def test_a_name_that_is_none_is_refused(name: Any, database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        for call in (lambda: run.state.set(name, 1), lambda: run.state.delete(name)):
            with pytest.raises(InvalidInput):
                call()
        for verb in (run.state.get, run.state.exists):
            with pytest.raises(InvalidInput):
                await verb(name)

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        with pytest.raises(InvalidInput):
            await supervisor.set_execution_state("alice", {name: 1})
        with pytest.raises(InvalidInput):
            await supervisor.set_execution_state("alice", {}, delete=[name])


@pytest.mark.parametrize("value", [b"x", frozenset((1, 2)), {1: 2}, float("nan"), object(), [print]])
async def test_a_value_without_json_form_is_refused(value: Any, database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        with pytest.raises(InvalidInput):
            run.state.set("a", value)

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        with pytest.raises(InvalidInput):
            await supervisor.set_execution_state("alice", {"a": value})
        assert (await supervisor.execution_state("alice")).values == {}


async def test_a_value_that_is_too_large_and_a_name_too_many_are_refused(
    database: Path, autojump_clock: MockClock
) -> None:
    async def act(run: tenure.Run) -> None:
        with pytest.raises(PayloadTooLarge):
            run.state.set("a", "x" * 100)
        for number in range(int(run.inputs[0].payload)):
            run.state.set(f"n{number}", number)
        await run.checkpoint()

    limits = tenure.Limits(payload_bytes=100, state_names=3)
    behaviour = tenure.Behaviour(act, restart=QUICK)
    async with host(database, {"kind": behaviour}, limits=limits) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        assert (await (await runtime.accept(4)).wait_outcome()).phase == "abandoned"
        await consumed(runtime, 3)
        with pytest.raises(LimitReached):
            await supervisor.set_execution_state("alice", {"one": "more"})
        await supervisor.set_execution_state("alice", {"one": "for another"}, delete=["n0"])
        with pytest.raises(PayloadTooLarge):
            await supervisor.set_execution_state("alice", {"one": "x" * 100})


async def test_a_caller_writes_under_the_revision_that_it_has_read(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": trio.sleep}) as supervisor:
        await supervisor.spawn("alice", "kind")
        empty = await supervisor.execution_state("alice")
        first = await supervisor.set_execution_state("alice", {"a": 1}, expected=empty.revision)
        with pytest.raises(StateConflict) as caught:
            await supervisor.set_execution_state("alice", {"a": 2}, expected=empty.revision)
        found = await supervisor.execution_state("alice")

    assert (caught.value.expected, caught.value.actual) == (empty.revision, first)
    assert (found.revision, found.values) == (first, {"a": 1})


async def test_values_that_are_no_object_and_a_name_that_is_set_and_deleted_are_refused(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": trio.sleep}) as supervisor:
        await supervisor.spawn("alice", "kind")
        for values, delete in (([1], ()), ("a", ()), (None, ()), ({"a": 1}, ["a"])):
            with pytest.raises(InvalidInput):
                await supervisor.set_execution_state("alice", values, delete=delete)  # type: ignore[arg-type]


async def test_of_a_runtime_that_there_is_not_or_no_longer_nothing_is_written(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": trio.sleep}) as supervisor:
        with pytest.raises(NotFound):
            await supervisor.execution_state("nobody")
        with pytest.raises(NotFound):
            await supervisor.set_execution_state("nobody", {"a": 1})
        runtime = await supervisor.spawn("alice", "kind")
        await supervisor.set_execution_state("alice", {"a": 1})
        await runtime.destroy()
        with pytest.raises(RuntimeDestroyed):
            await supervisor.set_execution_state("alice", {"a": 2})
        assert (await supervisor.execution_state("alice")).values == {"a": 1}


async def test_the_state_of_another_hosts_runtime_is_written_by_that_host(
    database: Path, autojump_clock: MockClock
) -> None:
    gate = trio.Event()

    async def agent(run: tenure.Run) -> Any:
        run.state.set("mine", 1)
        await run.checkpoint()
        await gate.wait()
        return await run.state.all()

    async with host(database, {"kind": agent}) as owner, host(database, {}) as other:
        first = await owner.accept("alice", 1, kind="kind")
        await wait_all_tasks_blocked()

        assert await other.set_execution_state("alice", {"a": [2]}, delete=["none"], expected=1) == 2
        with pytest.raises(StateConflict) as caught:
            await other.set_execution_state("alice", {"a": 3}, expected=1)
        assert (caught.value.expected, caught.value.actual) == (1, 2)
        with pytest.raises(InvalidInput):
            await other.set_execution_state("alice", {"a": 3}, delete=["a"])

        gate.set()
        assert (await first.wait_outcome()).result == {"mine": 1}
        assert (await other.execution_state("alice")).values == {"a": [2], "mine": 1}
        assert (await (await other.accept("alice", 2, kind="kind")).wait_outcome()).result == {"a": [2], "mine": 1}


async def test_the_state_of_a_runtime_that_no_host_has_is_written_by_any(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": trio.sleep}) as supervisor:
        await supervisor.spawn("alice", "kind")
    async with host(database, {}) as other:
        await other.set_execution_state("alice", {"a": 2})
        assert (await other.execution_state("alice")).values == {"a": 2}


async def test_a_runtime_that_comes_to_this_host_meanwhile_is_written_under_its_new_token(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": trio.sleep}) as supervisor:
        await supervisor.spawn("alice", "kind")
    gate = Gate()
    async with host(database, {"kind": trio.sleep}, gate=gate) as supervisor, trio.open_nursery() as nursery:
        gate.shut()
        nursery.start_soon(supervisor.spawn, "alice", "kind")
        await wait_all_tasks_blocked()
        nursery.start_soon(supervisor.set_execution_state, "alice", {"a": 1})
        await wait_all_tasks_blocked()
        gate.open()

    async with host(database, {}) as supervisor:
        assert (await supervisor.execution_state("alice")).values == {"a": 1}


async def test_reset_and_stop_keep_the_state(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": trio.sleep}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await supervisor.set_execution_state("alice", {"a": 1})
        await runtime.reset(clear_session=True)
        await runtime.stop()
        await supervisor.spawn("alice", "kind")

        assert (await supervisor.execution_state("alice")).values == {"a": 1}
