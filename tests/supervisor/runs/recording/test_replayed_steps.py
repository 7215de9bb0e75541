"""Steps: a result is on disk before it is seen, and is replayed instead of done twice."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidInput, LimitReached, StepFailed
from tests.kit.hosting import (
    consumed,
    cut_off,
    host,
    peek,
)

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


class Tool:
    """Counts how often it was used, and fails or hangs where it is told to."""

    def __init__(self, *, fails: int = 0, hangs: int = 0) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails = fails
        self.hangs = hangs

    async def use(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls.append((*arguments, keywords) if keywords else arguments)
        if len(self.calls) <= self.hangs:
            await trio.sleep_forever()
        if len(self.calls) <= self.fails:
            raise ValueError("the tool failed")
        return len(self.calls)


@pytest.mark.parametrize("repeat", ["freely", "keyed", "never"])
async def test_a_recorded_result_is_replayed_and_the_tool_is_not_used_again(
    repeat: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool()
    seen: list[Any] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(await run.step("use", tool.use, "with this", repeat=repeat))
        if run.attempts < 2:
            raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert len(tool.calls) == 1
    assert seen == [1, 1, 1]


@pytest.mark.sqlite("casts bytes to text")
async def test_a_result_is_on_disk_before_it_is_seen(database: Path) -> None:
    stored: list[Any] = []

    async def behaviour(run: tenure.Run) -> None:
        await run.step("use", sorted, [3, 1], repeat="freely")
        stored.extend(peek(database, "SELECT name, place, repeat, status, CAST(result AS TEXT) FROM entries"))

    # Real threads, a real fsync.
    async with tenure.open_supervisor(database, behaviours={"kind": behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert stored == [["use", "main/1", "freely", "succeeded", "[1,3]"]]


async def test_each_use_of_a_name_is_a_step_of_its_own(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool()
    seen: list[list[Any]] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append([await run.step("use", tool.use, repeat="freely") for _ in range(3)])
        if run.attempts == 0:
            raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert seen == [[1, 2, 3], [1, 2, 3]]


async def test_a_result_goes_through_json_whether_it_is_new_or_replayed(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[Any] = []

    def pair(first: int) -> tuple[int, dict[str, None]]:
        return first, {"b": None}

    async def behaviour(run: tenure.Run) -> None:
        seen.append(await run.step("pair", pair, 1, repeat="freely"))
        if run.attempts == 0:
            raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert seen == [[1, {"b": None}], [1, {"b": None}]]


@pytest.mark.parametrize("repeat", ["freely", "keyed"])
async def test_a_step_that_raised_runs_again_at_the_next_attempt(
    repeat: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool(fails=2)

    async def behaviour(run: tenure.Run) -> None:
        run.session.append(await run.step("use", tool.use, repeat=repeat))

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "go")

        assert await supervisor.read_session("alice") == [3]
        # A keyed step passes on the same key each time.
        assert len(set(map(str, tool.calls))) == 1


async def test_a_step_that_must_not_repeat_raises_its_recorded_error_again_and_is_not_executed(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool(fails=1)

    async def behaviour(run: tenure.Run) -> None:
        await run.step("use", tool.use, repeat="never")

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        outcome = await (await runtime.accept("go")).wait_outcome()

        assert len(tool.calls) == 1
        assert outcome.reason == "max_attempts_exhausted"
        assert "ValueError: the tool failed" in (outcome.error or "")


@pytest.mark.parametrize("repeat", ["freely", "keyed"])
async def test_a_step_that_was_cut_off_runs_again_in_the_next_host(
    repeat: str, database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool(hangs=1)

    async def behaviour(run: tenure.Run) -> None:
        run.session.append(await run.step("use", tool.use, "x", repeat=repeat))

    async def interrupt(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")
        while not tool.calls:
            await trio.testing.wait_all_tasks_blocked()

    await cut_off(database, {"kind": behaviour}, interrupt)
    async with host(database, {"kind": behaviour}) as supervisor:
        ticket = await supervisor.ticket("alice", idempotency_key="k")
        await ticket.wait_outcome()

        assert await supervisor.read_session("alice") == [2]
        assert len(tool.calls) == 2
        assert tool.calls[0] == tool.calls[1]


@pytest.mark.parametrize("careless", ["swallowed", "turned into another"])
async def test_a_step_that_must_not_repeat_and_was_cut_off_holds_its_runtime_even_if_swallowed(
    careless: str, database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool(hangs=1)

    async def behaviour(run: tenure.Run) -> None:
        try:
            await run.step("pay", tool.use, repeat="never")
        except Exception:  # noqa: BLE001 - a behaviour may be careless
            if careless == "turned into another":
                raise ValueError from None
            with suppress(Exception):
                run.session.append("went on")

    async def interrupt(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        while not tool.calls:
            await trio.testing.wait_all_tasks_blocked()

    await cut_off(database, {"kind": behaviour}, interrupt)
    async with host(database, {"kind": behaviour}) as supervisor:
        runtime = supervisor.runtime("alice")
        await runtime.wait_held()

        assert runtime.held == "needs attention"
        assert len(tool.calls) == 1
        assert await supervisor.read_session("alice") == []
        assert await supervisor.dead_letters("alice") == []


@pytest.mark.parametrize("change", ["arguments", "repeat"])
async def test_a_step_that_differs_from_its_record_holds_its_runtime_and_costs_no_attempt(
    change: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    tool = Tool()

    async def behaviour(run: tenure.Run) -> None:
        differs = run.attempts > 0
        argument = 1 if differs and change == "arguments" else 0
        await run.step("use", tool.use, argument, repeat="keyed" if differs and change == "repeat" else "freely")
        raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK, version="1")}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await runtime.wait_held()

        assert runtime.held == "step mismatch"
        assert runtime.held_detail is not None
        assert "use" in runtime.held_detail
        assert len(tool.calls) == 1
        assert ticket.outcome is None


async def test_how_a_step_repeats_must_be_said(autojump_clock: trio.testing.MockClock) -> None:
    seen: list[type[Exception]] = []

    async def behaviour(run: tenure.Run) -> None:
        step: Any = run.step
        for keywords, expected in (({}, TypeError), ({"repeat": "sometimes"}, InvalidInput)):
            with pytest.raises(expected) as caught:
                await step("use", len, "", **keywords)
            seen.append(caught.type)

    async with host(":memory:", {"kind": behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert seen == [TypeError, InvalidInput]


async def test_what_has_no_json_form_is_refused_and_not_called(autojump_clock: trio.testing.MockClock) -> None:
    tool = Tool()

    async def behaviour(run: tenure.Run) -> None:
        with pytest.raises(InvalidInput) as given:
            await run.step("use", tool.use, object(), repeat="freely")
        with pytest.raises(StepFailed, match="result is not valid: no JSON form"):
            await run.step("make", object, repeat="freely")
        run.session.append(given.value.field)

    async with host(":memory:", {"kind": behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

        assert tool.calls == []
        assert await supervisor.read_session("alice") == ["arguments"]


async def test_a_run_has_a_limit_of_steps(autojump_clock: trio.testing.MockClock) -> None:
    async def behaviour(run: tenure.Run) -> None:
        for _ in range(3):
            await run.step("use", len, "", repeat="freely")
        with pytest.raises(LimitReached):
            await run.step("use", len, "", repeat="freely")

    async with host(":memory:", {"kind": behaviour}, limits=tenure.Limits(run_steps=3)) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")


async def test_a_map_and_a_gather_that_do_not_fit_are_refused_before_their_first_branch(
    autojump_clock: trio.testing.MockClock,
) -> None:
    used: list[object] = []

    async def behaviour(run: tenure.Run) -> None:
        async def branch() -> None:
            await run.step("use", used.append, 1, repeat="freely")

        for all_of in (
            lambda: run.map("use", used.append, range(8), repeat="freely"),
            lambda: run.gather(*[branch] * 8),
        ):
            with pytest.raises(LimitReached):
                await all_of()
        assert used == []
        await run.gather(*[branch] * 7)

    async with host(":memory:", {"kind": behaviour}, limits=tenure.Limits(run_steps=8)) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
    assert used == [1] * 7


async def test_sync_functions_leave_the_loop_free(database: Path) -> None:
    # Real threads: each of the two steps waits for the other.
    import threading

    both = threading.Barrier(2)

    async def behaviour(run: tenure.Run) -> None:
        run.session.append(await run.step("meet", both.wait, 60, repeat="freely") in (0, 1))

    async with tenure.open_supervisor(database, behaviours={"kind": behaviour}) as supervisor:
        tickets = [await (await supervisor.spawn(name, "kind")).accept("go") for name in ("alice", "bob")]
        for ticket in tickets:
            assert (await ticket.wait_outcome()).phase == "consumed"

        assert await supervisor.read_session("alice") == await supervisor.read_session("bob") == [True]
