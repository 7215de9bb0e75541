"""Behaviours on the asyncio loop: the whole of a run from there, its record, and cancellation in order."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
import tenure.asyncio
from tenure.asyncio.behaving.run import RunSession as AsyncioSession, RunState as AsyncioState
from tenure.errors import InvalidInput, RunEnded, StepFailed
from tenure.supervisor.runs.keeping.session import RunSession
from tenure.supervisor.runs.keeping.state import RunState

MEMORY = ":memory:"
AT_ONCE = tenure.RestartPolicy(backoff_s=0.0)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


async def outcome_of(behaviours: dict[str, Any], payload: object = None, target: str | Path = MEMORY) -> tenure.Outcome:
    async with tenure.asyncio.open_supervisor(target, behaviours=behaviours) as supervisor:
        runtime = await supervisor.spawn("a", next(iter(behaviours)))
        return await (await runtime.accept(payload)).wait_outcome()


async def twice(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


# --- The run


@pytest.mark.parametrize(
    ("there", "here", "inner"),
    [
        (tenure.Run, tenure.asyncio.Run, ""),
        (RunSession, AsyncioSession, "buffered stamps"),
        (RunState, AsyncioState, "buffered landed has_written"),
    ],
)
def test_the_run_has_every_verb_of_the_trio_one_with_the_same_arguments(there: type, here: type, inner: str) -> None:
    verbs, fronts = (
        {each: getattr(kind, each) for each in dir(kind) if not each.startswith("_")} for kind in (there, here)
    )

    assert verbs.keys() - {*inner.split()} == fronts.keys() - {"behind"}
    for name, front in fronts.items():
        if callable(front):
            assert [*inspect.signature(front).parameters] == [*inspect.signature(verbs[name]).parameters], name
            assert inspect.iscoroutinefunction(front) is inspect.iscoroutinefunction(verbs[name]), name


def test_a_behaviour_does_all_its_work_from_the_loop() -> None:
    threads = list[threading.Thread]()

    def by_thread(text: str) -> str:
        threads.append(threading.current_thread())
        return text.upper()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> Any:
        threads.append(threading.current_thread())

        async def left() -> int:
            return await run.step("left", twice, 1, repeat="freely")

        async def right() -> int:
            return await run.step("right", twice, 2, repeat="never")

        run.state.set("n", 1)
        run.session.append("hello")
        steps = [
            await run.step("async", twice, 4, repeat="freely"),
            await run.step("sync", by_thread, "x", repeat="freely"),
            await run.map("map", twice, [1, 2, 3], repeat="freely", limit=2),
            await run.gather(left, right),
            await run.first(left),
        ]
        await run.sleep(0.0)
        receipt = await run.checkpoint()
        told = await run.ask("b", 5, kind="other")
        run.send("b", 6)
        values = [await run.state.get("n"), await run.state.all(), run.session.count, await run.session.messages()]
        assert (run.now().tzinfo, run.uuid().version, receipt.run_id) == (run.now().tzinfo, 4, run.run_id)
        assert 0 <= run.random.random() < 1
        assert run.steered() == ()
        assert await run.patched("new")
        return [steps, values, told, run.runtime_id]

    @tenure.asyncio.behaviour
    async def other(run: tenure.asyncio.Run) -> Any:
        return await run.step("twice", twice, run.inputs[0].payload, repeat="freely")

    async def main() -> None:
        outcome = await outcome_of({"work": work, "other": other})
        assert outcome.result == [[8, "X", [2, 4, 6], [2, 4], 2], [1, {"n": 1}, 1, ["hello"]], 10, "a"], outcome.error
        assert threads[0] is threading.current_thread() is not threads[1]

    run(main)


def test_what_was_recorded_is_not_done_again_where_the_run_enters_again(tmp_path: Path) -> None:
    calls, seen = list[str](), list[Any]()

    async def note(name: str) -> str:
        calls.append(name)
        return name

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None:
        async with asyncio.TaskGroup() as group:
            for name in ("a", "b", "c"):
                group.create_task(run.step("tool", note, name, repeat="never", call=name))
        seen.append([run.now(), run.uuid(), run.random.random()])
        await run.step("last", note, "last", repeat="never")
        if run.attempts == 0:
            raise ValueError("once")

    async def main() -> None:
        outcome = await outcome_of({"work": tenure.Behaviour(work, restart=AT_ONCE)}, target=tmp_path / "a.db")
        assert outcome.phase == "consumed"
        assert sorted(calls) == ["a", "b", "c", "last"]
        assert seen[0] == seen[1]

    run(main)


def test_what_is_not_awaited_can_be_asked_for_from_a_thread() -> None:
    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None:
        await asyncio.to_thread(run.session.append, "from a thread")
        assert run.session.count == 1

    async def main() -> None:
        assert (await outcome_of({"work": work})).phase == "consumed"

    run(main)


def test_a_hook_that_the_host_calls_may_ask_the_run() -> None:
    runs = list[tenure.asyncio.Run]()

    class Thing: ...

    def encode(_thing: object) -> object:
        runs[0].session.append("seen")
        return "a thing"

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None:
        runs.append(run)
        run.answer(run.inputs[0], Thing())

    async def main() -> None:
        assert (await outcome_of({"work": tenure.Behaviour(work, encode=encode)})).result == "a thing"

    run(main)


def test_context_variables_go_with_a_run_and_into_its_steps() -> None:
    trace = contextvars.ContextVar("trace", default="")

    async def read() -> str:
        return trace.get()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> Any:
        trace.set("of the behaviour")
        return [await run.step("read", read, repeat="freely"), await run.step("sync", trace.get, repeat="freely")]

    async def main() -> None:
        assert (await outcome_of({"work": work})).result == ["of the behaviour"] * 2

    run(main)


def test_errors_are_what_they_are_from_trio() -> None:
    async def fail() -> None:
        raise ConnectionError("gone")

    async def asks(inner: tenure.asyncio.Run) -> None:
        await inner.step("x", twice, 1, repeat="freely")

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> Any:
        with pytest.raises(StepFailed, match="gone"):
            await run.step("fail", fail, repeat="freely")
        with pytest.raises(InvalidInput):
            await run.step("", twice, 1, repeat="freely")
        with pytest.raises(InvalidInput):
            run.send("", 1)
        with pytest.raises(StepFailed, match="inside a step"):
            await run.step("asks", functools.partial(asks, run), repeat="freely")
        return "well"

    async def main() -> None:
        outcome = await outcome_of({"work": work})
        assert outcome.result == "well", outcome.error

    run(main)


def test_a_run_that_is_over_is_over_on_the_loop_too() -> None:
    kept = list[tenure.asyncio.Run]()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None:
        kept.append(run)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"work": work}) as supervisor:
            await (await (await supervisor.spawn("a", "work")).accept(1)).wait_outcome()
            with pytest.raises(LookupError):
                kept[0].send("b", 1)

    run(main)


def test_a_task_that_outlives_its_run_is_refused() -> None:
    late = list[asyncio.Task[Any]]()
    over = asyncio.Event()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None:
        async def use() -> None:
            await over.wait()
            with pytest.raises(RunEnded):
                run.send("b", 1)
            with pytest.raises(RunEnded):
                await run.step("x", twice, 1, repeat="freely")

        late.append(asyncio.create_task(use()))

    async def main() -> None:
        assert (await outcome_of({"work": work})).phase == "consumed"
        over.set()
        await late[0]

    run(main)


def test_in_a_trio_host_it_fails_by_name(tmp_path: Path) -> None:
    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None: ...

    async def main() -> None:
        behaviours = {"work": tenure.Behaviour(work, restart=tenure.RestartPolicy(max_attempts=1))}
        async with tenure.open_supervisor(tmp_path / "a.db", behaviours=behaviours) as supervisor:
            outcome = await (await (await supervisor.spawn("a", "work")).accept(1)).wait_outcome()
            assert "tenure.asyncio.open_supervisor" in (outcome.error or "")

    trio.run(main)


def test_what_is_no_async_function_is_refused() -> None:
    def work(run: tenure.asyncio.Run) -> None: ...

    with pytest.raises(InvalidInput):
        tenure.asyncio.behaviour(work)  # type: ignore[arg-type]


# --- Cancellation


@pytest.mark.parametrize("how", ["stop", "close", "cancel", "in a scope"])
def test_a_task_is_cancelled_in_order_and_waited_for(how: str) -> None:
    said = list[str]()
    begun = asyncio.Event()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> None:
        begun.set()
        try:
            if how == "in a scope":
                async with run.move_on_after(1800):
                    await run.sleep(3600)
            await (run.wait_steered() if how == "stop" else asyncio.sleep(3600))
        except asyncio.CancelledError:
            said.append("cancelled")
            await asyncio.sleep(0.01)
            said.append("cleaned up")
            raise

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"work": work}, drain_s=0) as supervisor:
            runtime = await supervisor.spawn("a", "work")
            ticket = await runtime.accept(1)
            await begun.wait()
            if how == "stop":
                await runtime.stop()
                assert (await ticket.wait_outcome()).phase == "abandoned"
            elif how == "cancel":
                await runtime.cancel()
                assert (await ticket.wait_outcome()).phase == "abandoned"
        assert said == ["cancelled", "cleaned up"]

    run(main)


def test_what_a_timeout_of_asyncio_cuts_off_is_recorded_and_not_done_again(tmp_path: Path) -> None:
    calls, limits = list[str](), list[asyncio.Timeout]()

    async def hang() -> None:
        calls.append("hang")
        limits[0].reschedule(asyncio.get_running_loop().time())
        await asyncio.sleep(3600)

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> str:
        try:
            async with asyncio.timeout(0.01 if limits else None) as limit:  # the first passes as the step has begun
                limits.append(limit)
                await run.step("hang", hang, repeat="freely")
        except TimeoutError:
            calls.append("cut")
        await run.checkpoint()
        if run.attempts == 0:
            raise ValueError("once")
        return "well"

    async def main() -> None:
        outcome = await outcome_of({"work": tenure.Behaviour(work, restart=AT_ONCE)}, target=tmp_path / "a.db")
        assert outcome.result == "well", outcome.error
        assert calls == ["hang", "cut", "cut"]

    run(main)


def test_move_on_after_cuts_off_what_is_awaited_and_goes_on(tmp_path: Path) -> None:
    calls, scopes = list[str](), list[bool]()

    async def hang() -> None:
        calls.append("hang")
        await asyncio.sleep(3600)

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> str:
        async with run.move_on_after(0.2) as scope:
            await run.step("hang", hang, repeat="freely")
        scopes.append(scope.cancelled_caught)
        async with run.move_on_after(0.01) as scope:
            await asyncio.sleep(3600)
        scopes.append(scope.cancelled_caught)
        async with run.move_on_after(3600) as scope:
            await run.step("quick", twice, 1, repeat="freely")
        scopes.append(scope.cancelled_caught)
        with pytest.raises(KeyError):
            async with run.move_on_after(3600):
                raise KeyError
        await asyncio.sleep(0)
        if run.attempts == 0:
            raise ValueError("once")
        return "well"

    async def main() -> None:
        outcome = await outcome_of({"work": tenure.Behaviour(work, restart=AT_ONCE)}, target=tmp_path / "a.db")
        assert outcome.result == "well", outcome.error
        assert calls in (["hang"], [])  # not twice; on a busy machine the scope is over before the step begins
        assert scopes == [True, True, False] * 2

    run(main)


def test_the_loser_of_a_race_is_cancelled_on_the_loop() -> None:
    said = list[str]()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> Any:
        async def slow() -> str:
            try:
                await run.sleep(3600)
            except asyncio.CancelledError:
                said.append("lost")
                raise
            return "slow"

        async def quick() -> str:
            return str(await run.step("quick", twice, 1, repeat="freely"))

        return await run.first(slow, quick)

    async def main() -> None:
        assert (await outcome_of({"work": work})).result == "2"
        assert said == ["lost"]

    run(main)


# --- The loop


async def blocks(*_: object) -> None:
    time.sleep(1.6)  # noqa: ASYNC251 - what this is about


@tenure.asyncio.behaviour
async def blocking_step(run: tenure.asyncio.Run) -> None:
    await run.step("block", blocks, repeat="freely")


@tenure.asyncio.behaviour
async def blocking_itself(run: tenure.asyncio.Run) -> None:
    await blocks()
    await run.sleep(0)


async def from_trio(run: tenure.Run) -> None:
    await run.step("block", tenure.asyncio.on_loop(blocks), repeat="freely")


@pytest.mark.parametrize("behaviour", [blocking_step, blocking_itself, from_trio])
def test_code_that_blocks_the_loop_of_the_program_is_named_while_it_does(
    behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"k": behaviour}) as supervisor:
            ticket = await (await supervisor.spawn("blocked one", "k")).accept(1)
            await ticket.wait_outcome()
            await asyncio.sleep(0.6)  # two looks: the second line comes with the next

    def said() -> list[str]:
        return [each.getMessage() for each in caplog.records if "the asyncio loop" in each.getMessage()]

    run(main)

    first, second = said()
    assert "the asyncio loop has not run for 1.0 s: it stands in block" in first
    assert "test_behaviours.py" in first
    assert "the asyncio loop stood still" in second
    assert "'blocked one'" in second


def test_a_loop_that_is_only_busy_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    @tenure.asyncio.behaviour
    async def busy(run: tenure.asyncio.Run) -> None:
        for _ in range(6):
            await asyncio.sleep(0)
            time.sleep(0.2)  # noqa: ASYNC251 - what this is about

    run(lambda: finished({"k": busy}))
    assert not [each for each in caplog.records if "the asyncio loop" in each.getMessage()]


async def finished(behaviours: dict[str, Any]) -> None:
    assert (await outcome_of(behaviours)).phase == "consumed"


def test_lambdas_that_call_an_asyncio_function_are_steps_branches_and_items(tmp_path: Path) -> None:
    """As with trio: what a sync function returns to be awaited is awaited, and on the loop."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def fetch(number: int, key: str = "") -> int:
        loops.append(asyncio.get_running_loop())
        return await twice(number)

    def made(number: int, key: str = "") -> Any:
        return fetch(number, key)

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> Any:
        return [
            await run.step("freely", lambda: fetch(1), repeat="freely"),
            await run.step("keyed", made, 1, repeat="keyed", timeout_s=5.0),
            await run.step("never", made, 1, repeat="never"),
            await run.map("map", made, [2, 3], repeat="freely"),
            await run.gather(lambda: fetch(4), lambda: run.step("inner", lambda: fetch(5), repeat="freely")),
            await run.first(lambda: fetch(6)),
            await run.step("plain", lambda: 7, repeat="freely"),
        ]

    async def main() -> None:
        outcome = await outcome_of({"kind": work}, target=tmp_path / "agents.db")
        assert outcome.result == [2, 2, 2, [4, 6], [8, 10], 12, 7]
        assert loops == [asyncio.get_running_loop()] * 8

    run(main)


def test_a_task_group_of_a_behaviour_ends_its_run_alone_whatever_its_tasks_raise(tmp_path: Path) -> None:
    """As a nursery of trio's that a behaviour opens: the text of what is raised is the user's code, and raises too."""

    class NoText(BaseException):
        def __str__(self) -> str:
            raise AttributeError("no text here")

        __repr__ = __str__

    async def fail() -> None:
        raise NoText

    @tenure.asyncio.behaviour
    async def hostile(_: tenure.asyncio.Run) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(asyncio.sleep(60))

    @tenure.asyncio.behaviour
    async def good(run: tenure.asyncio.Run) -> Any:
        return await run.step("twice", twice, 4, repeat="freely")

    async def main() -> None:
        behaviours = {"hostile": tenure.Behaviour(hostile, restart=tenure.RestartPolicy(max_attempts=1)), "good": good}
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours=behaviours) as supervisor:
            ticket = await supervisor.accept("mallory", "go", kind="hostile")
            assert (await ticket.wait_outcome()).reason == "max_attempts_exhausted"
            ticket = await supervisor.accept("alice", "go", kind="good")
            assert (await ticket.wait_outcome()).result == 8

    run(main)


@pytest.mark.parametrize("what", ["a number", "no text", "no members", "a future by name"])
@pytest.mark.parametrize("where", ["run", "step"])
def test_what_asyncio_does_not_know_is_refused_in_the_code_that_hands_it_up(where: str, what: str) -> None:
    """asyncio prints it into its error, and leaves the task for ever where its text raises: no host would end."""

    class Trap:
        def __repr__(self) -> str:
            raise AttributeError("no text")

    class NoMembers:
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    class ByName(Trap):
        _asyncio_future_blocking = True

    class Foreign:
        def __await__(self) -> Generator[Any, Any, None]:
            yield {"a number": 5, "no text": Trap(), "no members": NoMembers(), "a future by name": ByName()}[what]

    async def foreign() -> None:
        await Foreign()

    @tenure.asyncio.behaviour
    async def hostile(run: tenure.asyncio.Run) -> None:
        if where == "step":
            await run.step("foreign", foreign, repeat="freely")
        await foreign()

    async def main() -> None:
        behaviours = {"hostile": tenure.Behaviour(hostile, restart=tenure.RestartPolicy(max_attempts=1))}
        outcome = await outcome_of(behaviours)
        assert outcome.reason == "max_attempts_exhausted"
        assert "RuntimeError: Task got bad yield of class" in (outcome.error or "")

    run(main)


def test_what_is_handed_up_wrongly_again_and_again_leaves_the_loop_its_turn() -> None:
    class Foreign:
        def __await__(self) -> Generator[Any, Any, None]:
            yield 5

    @tenure.asyncio.behaviour
    async def deaf(_: tenure.asyncio.Run) -> str:
        try:
            async with asyncio.timeout(0.1):
                while True:
                    with contextlib.suppress(RuntimeError):
                        await Foreign()
        except TimeoutError:
            return "cut off"

    async def main() -> None:
        assert (await outcome_of({"deaf": deaf})).result == "cut off"

    run(main)
