"""What a newcomer mistypes is told at once, as `InvalidInput`, and nothing is opened or written for it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
import tenure.asyncio
from tenure.errors import InvalidInput, NotFound, Unsupported
from tests.kit.hosting import (
    host,
    nothing,
)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (tenure.Limits, {"group_commits": 0}),
        (tenure.Limits, {"group_bytes": -1}),
        (tenure.Limits, {"read_connections": 0}),
        (tenure.Limits, {"waiting_commits": 0}),
        (tenure.Limits, {"inbox_inputs": 0}),
        (tenure.Limits, {"step_threads": 0}),
        (tenure.Limits, {"run_steps": "x"}),
        (tenure.Limits, {"payload_bytes": 1.5}),
        (tenure.SqliteOptions, {"wal_pages": True}),
        (tenure.Limits, {"lease_s": 0}),
        (tenure.Limits, {"busy_s": -1}),
        (tenure.Limits, {"poll_s": float("nan")}),
        (tenure.Limits, {"renew_s": 20}),
        (tenure.RestartPolicy, {"max_attempts": 0}),
        (tenure.RestartPolicy, {"backoff_s": -1}),
        (tenure.RestartPolicy, {"jitter": 2}),
        (tenure.RestartPolicy, {"budget": 0}),
        (tenure.RestartPolicy, {"period_s": None}),
        (tenure.RestartPolicy, {"max_crashes": 0}),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_where_it_is_given(kind: Callable[..., Any], given: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        kind(**given)

    assert refused.value.field in given


def sync(run: tenure.Run) -> None:
    """No behaviour, for lack of a word."""


async def stream(run: tenure.Run) -> Any:
    yield run


class Sync:
    """An object whose call is not async."""

    def __call__(self, run: tenure.Run) -> None:
        """Do nothing."""


class Async:
    """An object whose call is."""

    async def __call__(self, run: tenure.Run) -> None:
        """Do nothing."""


@pytest.mark.parametrize("function", [sync, stream, Sync(), Async, functools.partial(sync), None, "reader"])
def test_what_is_no_async_function_is_no_behaviour(function: Any) -> None:
    with pytest.raises(InvalidInput, match="async"):
        tenure.Behaviour(function)


SHORT: Callable[[tenure.Run], Any] = lambda run: nothing(run)  # noqa: E731, PLW0108 - a lambda is what is meant


@pytest.mark.parametrize("function", [nothing, Async(), functools.partial(nothing), SHORT])
def test_what_gives_something_to_await_is_one(function: Any) -> None:
    assert tenure.Behaviour(function).function is function


@pytest.mark.parametrize("given", [{"batch": 0}, {"batch": "many"}, {"restart": None}])
def test_a_behaviour_is_made_of_what_it_says(given: Any) -> None:
    with pytest.raises(InvalidInput):
        tenure.Behaviour(nothing, **given)


@pytest.mark.sqlite("a path may be empty")
@pytest.mark.parametrize(
    "given",
    [
        {"behaviours": [nothing]},
        {"behaviours": {"": nothing}},
        {"behaviours": {7: nothing}},
        {"behaviours": {"kind": sync}},
        {"behaviours": {"kind": "sync"}},
        {"drain_s": -1},
        {"drain_s": None},
        {"durability": "full"},
        {"target": b"agents.db"},
        {"target": None},
        {"target": ""},
    ],
)
async def test_an_open_that_makes_no_sense_opens_nothing(tmp_path: Path, given: Any) -> None:
    arguments: dict[str, Any] = {"target": tmp_path / "agents.db", "behaviours": {"kind": nothing}, **given}
    target = arguments.pop("target")

    with pytest.raises(InvalidInput):
        async with tenure.open_supervisor(target, **arguments):
            pytest.fail("it was opened")

    assert not any(os.scandir(tmp_path))


async def test_a_verb_with_an_argument_of_another_type_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    number: Any = 5
    async with host(":memory:", {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        commits = supervisor.statistics().commits

        for name in ("idempotency_key", "supersession_key", "correlation_id"):
            given: Any = {name: number}
            with pytest.raises(InvalidInput):
                await runtime.accept(1, **given)
        with pytest.raises(InvalidInput):
            await supervisor.spawn(number, "kind")
        with pytest.raises(InvalidInput):
            await runtime.accept(1, lane="fast")
        for states in ((), ("done",)):
            with pytest.raises(InvalidInput):
                await runtime.wait_state(*states)

        assert supervisor.statistics().commits == commits


class Unreadable(Mapping[str, str]):
    """A mapping of the caller's own, which fails."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("field", ["renamed", "settle"])
@pytest.mark.parametrize("given", [5, "pay", ["pay"], [("pay", "ran")], {"pay": 5}, {5: "pay"}, Unreadable()])
async def test_a_way_out_of_a_hold_with_no_mapping_is_refused(field: str, given: Any) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        commits = supervisor.statistics().commits

        wrong: Any = {"restart_run": True, field: given}
        with pytest.raises(InvalidInput) as refused:
            await runtime.resume(**wrong)

        assert refused.value.field is not None
        assert refused.value.field.startswith(field)
        assert supervisor.statistics().commits == commits


@pytest.mark.parametrize("given", [5, "name", [("name", 1)], {5: 1}, Unreadable()])
async def test_own_values_that_are_no_mapping_are_refused(given: Any) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        await supervisor.spawn("alice", "kind")

        with pytest.raises(InvalidInput):
            await supervisor.set_execution_state("alice", given)


async def test_a_step_that_is_given_what_its_function_returned_says_what_to_write(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def pays(run: tenure.Run) -> None:
        returned: Any = "paid"
        await run.step("pay", returned, repeat="never")

    once = tenure.Behaviour(pays, restart=tenure.RestartPolicy(max_attempts=1))
    async with host(":memory:", {"kind": once}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        outcome = await (await alice.accept("go")).wait_outcome()

        assert outcome.phase == "abandoned"
        assert "'paid' is not a function; pass the function" in (outcome.error or "")


async def no_run() -> None:
    """A behaviour that forgot its argument."""


async def two(run: tenure.Run, payload: object) -> None:
    """A behaviour that wants its payload beside its run."""


async def no_run_but(*, key: str) -> None:
    """A step, taken for a behaviour."""


@pytest.mark.parametrize("name", ["function", "on_abandoned"])
@pytest.mark.parametrize("function", [no_run, two, no_run_but, functools.partial(no_run)])
def test_what_does_not_take_its_run_is_no_behaviour(function: Any, name: str) -> None:
    given: dict[str, Any] = {"function": nothing, name: function}
    with pytest.raises(InvalidInput, match=r"write async def name\(run") as caught:
        tenure.Behaviour(**given)
    assert caught.value.field == name
    if name == "function":
        with pytest.raises(InvalidInput, match=r"write async def name\(run"):
            tenure.asyncio.behaviour(function)


def test_what_stands_around_a_function_of_other_arguments_is_a_behaviour() -> None:
    @functools.wraps(two)
    async def around(run: tenure.Run) -> None:
        await two(run, run.inputs[0].payload)

    assert tenure.Behaviour(around).function is around


@pytest.mark.parametrize("given", [3, None, b"reader", "reader"])
async def test_what_is_given_as_a_behaviour_and_cannot_be_one_is_named_with_its_kind(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"of kind 'chat' .* is not an async function or a tenure\.Behaviour"):
        async with tenure.open_supervisor(":memory:", behaviours={"chat": given}):
            pytest.fail("it was opened")


async def test_what_cannot_be_is_shown_with_its_article_and_its_field_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        alice: Any = await supervisor.spawn("alice", "kind")
        with pytest.raises(InvalidInput, match=r"^policy is not valid: an object is not a PolicyDecision; "):
            await alice.accept("hello", policy=object())
        with pytest.raises(InvalidInput, match=r"^runtime_id is not valid: a dict is not text; "):
            await supervisor.find({})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_term_that_no_accept_has_is_named_with_those_that_there_are(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        verbs: list[Any] = [alice.accept, functools.partial(supervisor.accept, "alice")]
        for accept in verbs:
            with pytest.raises(
                InvalidInput, match=r"an accept has no term 'key'; its terms are .*idempotency_key"
            ) as no:
                await accept("hello", key="mail-1")
            assert no.value.field == "terms"
        assert (await supervisor.backlog()).inputs == 0


async def test_what_is_not_there_is_said_with_what_to_do(autojump_clock: trio.testing.MockClock) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        with pytest.raises(NotFound, match=r"check the id$"):
            await alice.retry("no such input")
        with pytest.raises(NotFound, match=r"check the key$"):
            await supervisor.ticket("alice", idempotency_key="no such key")
        with pytest.raises(NotFound, match=r"check the place$"):
            await alice.settle_step("main/1", tenure.DidNotRun())
        with pytest.raises(NotFound, match="there is no unfinished run of runtime 'alice'; it has no record to change"):
            await alice.resume(renamed={"look": "find"})
        with pytest.raises(NotFound, match=r"spawn it, or use find\(\)$"):
            supervisor.runtime("bob")


async def test_what_an_async_function_returned_is_no_behaviour(tmp_path: Path) -> None:
    returned: Any = no_run()
    with pytest.raises(InvalidInput, match="pass the function itself"):
        async with tenure.open_supervisor(tmp_path / "a.db", behaviours={"kind": returned}):
            pass


@pytest.mark.parametrize("verb", ["gather", "first"])
async def test_a_branch_that_was_called_already_says_what_to_write(
    autojump_clock: trio.testing.MockClock, verb: str
) -> None:
    async def asks(run: tenure.Run) -> None:
        steps: list[Any] = [run.step(name, str.upper, name, repeat="freely") for name in ("a", "b")]
        await getattr(run, verb)(*steps)

    once = tenure.Behaviour(asks, restart=tenure.RestartPolicy(max_attempts=1))
    async with host(":memory:", {"kind": once}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        outcome = await (await alice.accept("go")).wait_outcome()

        assert "write lambda: run.step(...)" in (outcome.error or "")
        assert await supervisor.entries("alice") == []


async def test_a_verb_in_another_thread_is_refused_there_and_its_host_goes_on(tmp_path: Path) -> None:
    go = trio.Event()

    async def waits(run: tenure.Run) -> None:
        await go.wait()

    async with tenure.open_supervisor(tmp_path / "a.db", behaviours={"kind": waits}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("first")
        outside = await supervisor.find("alice")
        verbs: list[Callable[[], Any]] = [
            lambda: supervisor.accept("alice", 1),
            lambda: supervisor.accept("bob", 1, kind="kind"),
            lambda: supervisor.spawn("carol", "kind"),
            lambda: supervisor.read_session("alice"),
            lambda: supervisor.store.journal.append("stream", [1]),
            lambda: alice.accept(1),
            alice.stop,
            lambda: alice.wait_state("retired"),
            alice.wait_held,
            outside.wait_held,
            ticket.wait_outcome,
            lambda: anext(alice.follow()),
        ]
        for verb in verbs:
            with pytest.raises(Unsupported, match=r"tenure\.sync"):
                await trio.to_thread.run_sync(trio.run, verb)
        go.set()
        with trio.fail_after(30):
            assert (await ticket.wait_outcome()).phase == "consumed"
            assert (await (await alice.accept("second")).wait_outcome()).phase == "consumed"
