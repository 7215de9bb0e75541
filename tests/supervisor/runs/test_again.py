"""``return run.again(payload)``: a run ends, and the next one stands where it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import InvalidInput, PayloadTooLarge, StepFailed
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


@attrs.frozen
class Aim:
    left: int


async def test_the_next_run_is_over_what_again_was_given_and_before_the_inbox(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ran: list[Any] = []
    gate = trio.Event()

    async def behaviour(run: tenure.Run) -> tenure.Again | None:
        await gate.wait()
        ran.append([each.payload for each in run.inputs])
        [first, *_] = run.inputs
        return run.again(first.payload - 1) if first.payload > 0 else None

    async with open_host({"k": tenure.Behaviour(behaviour, batch=5)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        first = await runtime.accept(2)
        await runtime.wait_state("running")
        others = [await runtime.accept(-1), await runtime.accept(-2)]
        gate.set()
        outcomes = [await ticket.wait_outcome() for ticket in (first, *others)]

    assert ran == [[2], [1], [0], [-1, -2]]
    assert [(outcome.phase, outcome.result) for outcome in outcomes] == [("consumed", None)] * 3


async def test_it_sees_the_conversation_and_the_state_as_the_run_before_left_them(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[tuple[Any, Any, list[Any]]] = []

    async def behaviour(run: tenure.Run) -> tenure.Again | None:
        [one] = run.inputs
        seen.append((one.payload, await run.state.get("n"), await run.session.messages()))
        run.session.append(one.payload)
        run.state.set("n", one.payload)
        return run.again(one.payload + 1) if one.payload < 2 else None

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(0)).wait_outcome()
        await wait_all_tasks_blocked()

    assert seen == [(0, None, []), (1, 0, [0]), (2, 1, [0, 1])]


async def test_a_run_says_where_its_input_comes_from_and_has_a_record_of_its_own(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    runs: list[tuple[str, str, Any]] = []
    calls: list[int] = []

    async def behaviour(run: tenure.Run) -> tenure.Again | None:
        [one] = run.inputs
        runs.append((run.run_id, one.kind, one.source))
        await run.step("count", calls.append, one.payload, repeat="never")
        if one.payload == 1 and run.attempts == 0:
            raise ValueError
        return run.again(1) if one.payload == 0 else None

    async with open_host({"k": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(0)
        await trio.sleep(1)
        why = await supervisor.why("a")

    ids = [run_id for run_id, _, _ in runs]
    assert ids[0] != ids[1] == ids[2]
    assert runs[1][1:] == ("continuation", {"type": "run", "run_id": ids[0]})
    assert calls == [0, 1]
    assert why["because"] == "nothing waits in its inbox"


async def test_why_says_after_which_run_a_run_goes_on(autojump_clock: MockClock, open_host: OpenHost) -> None:
    ids: list[str] = []

    async def behaviour(run: tenure.Run) -> tenure.Again:
        ids.append(run.run_id)
        if run.inputs[0].payload:
            await run.sleep(60)
        return run.again(1)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(0)
        await wait_all_tasks_blocked()
        why = await supervisor.why("a")

    assert why["run"]["run_id"] == ids[1]
    assert why["run"]["goes_on_after"] == ids[0]


async def test_a_run_that_goes_on_executes_under_the_first_version_of_its_behaviour(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ran: list[tuple[str, int]] = []

    def of(version: str) -> tenure.Behaviour:
        async def behaviour(run: tenure.Run) -> tenure.Again:
            ran.append((version, run.inputs[0].payload))
            await run.step("begin", int, repeat="freely")
            await run.sleep(60)
            return run.again(run.inputs[0].payload + 1)

        return tenure.Behaviour(behaviour, version=version)

    async with open_host({"k": of("1")}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(0)
        await trio.sleep(1)
    async with open_host({"k": (of("2"), of("1"))}):
        await trio.sleep(90)

    assert ran == [("1", 0), ("1", 0), ("2", 1)]


async def test_a_retired_runtime_goes_on_until_a_run_ends_without_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ran: list[int] = []

    async def behaviour(run: tenure.Run) -> tenure.Again | None:
        ran.append(run.inputs[0].payload)
        await run.sleep(1)
        return run.again(ran[-1] + 1) if ran[-1] < 2 else None

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(0)
        await runtime.wait_state("running")
        await runtime.retire()
        await runtime.wait_state("retired")
        await trio.sleep(5)
        why = await supervisor.why("a")

    assert ran == [0, 1, 2]
    assert why["because"] == "it is retired, and has nothing left to drain"


async def test_a_cancelled_run_does_not_go_on(autojump_clock: MockClock, open_host: OpenHost) -> None:
    ran: list[int] = []

    async def behaviour(run: tenure.Run) -> tenure.Again:
        ran.append(run.inputs[0].payload)
        await run.sleep(1)
        return run.again(ran[-1] + 1)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(0)
        await trio.sleep(1.5)
        await runtime.cancel()
        await trio.sleep(10)
        letters = await supervisor.dead_letters("a")

    assert ran == [0, 1]
    assert [(letter.kind, letter.reason, letter.payload) for letter in letters] == [("continuation", "cancelled", b"1")]


async def test_a_restart_of_a_run_that_went_on_begins_with_what_it_went_on_with(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ran: list[tuple[int, list[Any]]] = []

    def broken(*, now: bool) -> Callable[[tenure.Run], Awaitable[tenure.Again | None]]:
        async def behaviour(run: tenure.Run) -> tenure.Again | None:
            [one] = run.inputs
            ran.append((one.payload, await run.session.messages()))
            run.session.append(one.payload)
            if one.payload == 0:
                return run.again(1)
            await run.checkpoint()
            await run.step("b" if now and run.attempts else "a", int, repeat="freely")
            if now:
                raise ValueError
            return None

        return behaviour

    async with open_host({"k": tenure.Behaviour(broken(now=True), restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(0)
        await runtime.wait_held()
    async with open_host({"k": broken(now=False)}) as supervisor:
        await (await supervisor.spawn("a", "k")).resume(restart_run=True)
        await trio.sleep(1)
        conversation = await supervisor.read_session("a")

    assert ran[-1] == (1, [0])
    assert conversation == [0, 1]


async def test_what_does_not_fit_is_refused_where_it_is_asked_for(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    refused: list[str] = []
    ran: list[Aim] = []

    async def behaviour(run: tenure.Run) -> tenure.Again | None:
        async def elsewhere() -> None:
            run.again(Aim(1))

        ran.append(run.inputs[0].payload)
        with pytest.raises(InvalidInput) as misfit:
            run.again({"right": 1})
        refused.append(str(misfit.value.field))
        with pytest.raises(StepFailed):
            await run.step("again", elsewhere, repeat="freely")
        with pytest.raises(InvalidInput):
            await run.gather(elsewhere)
        return run.again(Aim(ran[-1].left - 1)) if ran[-1].left else None

    async with open_host({"k": tenure.Behaviour(behaviour, payload=Aim)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(Aim(1))
        await wait_all_tasks_blocked()

    assert ran == [Aim(1), Aim(0)]
    assert refused == ["payload", "payload"]


async def test_what_is_too_large_is_refused(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def behaviour(run: tenure.Run) -> None:
        with pytest.raises(PayloadTooLarge):
            run.again("x" * (tenure.Limits().payload_bytes + 1))

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(0)
        assert (await ticket.wait_outcome()).phase == "consumed"


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("not returned", "write return run.again(payload)"),
        ("another run's", "what run"),
        ("stopped too", "cannot go on in it"),
    ],
)
async def test_a_run_that_says_that_it_goes_on_and_does_not_is_a_dead_letter_at_once(
    mistake: str, says: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    kept: list[tenure.Again] = []
    ran: list[str] = []

    async def behaviour(run: tenure.Run) -> Any:
        ran.append(run.run_id)
        if run.inputs[0].payload == "first":
            kept.append(run.again("second"))
            return kept[0]
        if mistake == "not returned":
            run.again("third")
            return "done"
        if mistake == "another run's":
            return kept[0]
        run.stop()
        return run.again("third")

    async with open_host({"k": behaviour}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept("first")
        await trio.sleep(1)
        [letter] = await supervisor.dead_letters("a")

    assert len(ran) == 2
    assert says in (letter.error or "")
