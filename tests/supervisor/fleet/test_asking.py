"""Verbs of a runtime that another host owns: carried out there, answered here, each once (design §4)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, InvalidTransition, NotAccepting, NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership import requests
from tenure.persistence.facets.ownership.requests import RequestLifecycle
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    host,
    peek,
)
from tests.kit.processes import running
from tests.kit.worlds import (
    Host,
    supervisor,
)

ONE_ATTEMPT = tenure.RestartPolicy(max_attempts=1)
ANSWERED_S = 5.0


class Moody:
    """A behaviour that fails while it is told to."""

    def __init__(self) -> None:
        self.failing = True
        self.calls: list[Any] = []
        self.behaviour = tenure.Behaviour(self, restart=ONE_ATTEMPT)

    async def __call__(self, run: tenure.Run) -> None:
        await run.step("note", self.calls.append, run.inputs[0].payload, repeat="freely")
        if self.failing:
            raise ValueError("not today")
        run.session.append(run.inputs[0].payload)


async def forever(run: tenure.Run) -> None:
    await trio.sleep_forever()


async def test_a_run_and_a_queued_input_are_cancelled_by_whoever_asks(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": forever}) as owner, supervisor(database, {}) as asker:
        runtime = await owner.spawn("a", "kind")
        first, second = await runtime.accept(1), await runtime.accept(2)
        await runtime.wait_state("running")
        foreign = await asker.find("a")
        seen = await asker.ticket("a", input_id=second.input_id)

        assert await foreign.cancel(second.input_id) is True
        assert await foreign.cancel(second.input_id) is False
        assert await foreign.cancel() is True
        assert await foreign.cancel() is False

        for ticket in (first, second, seen):
            with trio.fail_after(ANSWERED_S):
                assert (await ticket.wait_outcome()).reason == "cancelled"


async def test_an_input_is_cancelled_with_its_run_by_whoever_asks_and_no_other_run_is(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": forever}) as owner, supervisor(database, {}) as asker:
        runtime = await owner.spawn("a", "kind")
        first, second, third = [await runtime.accept(number) for number in range(3)]
        await runtime.wait_state("running")
        foreign = await asker.find("a")

        assert await foreign.cancel(second.input_id, in_run=True) is True
        assert await foreign.cancel(first.input_id, in_run=True) is True
        await runtime.wait_state("running")
        assert await foreign.cancel(first.input_id, in_run=True) is False

        for ticket in (first, second):
            with trio.fail_after(ANSWERED_S):
                assert (await ticket.wait_outcome()).reason == "cancelled"
        assert third.outcome is None
        assert runtime.state == "running"


async def test_an_input_of_a_run_without_an_owner_is_cancelled_with_it(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": forever}) as owner:
        runtime = await owner.spawn("a", "kind")
        first, second = await runtime.accept(1), await runtime.accept(2)
        await runtime.wait_state("running")
    async with supervisor(database, {}) as asker:
        foreign = await asker.find("a")

        assert await foreign.cancel(first.input_id, in_run=True) is True
        assert await foreign.cancel(first.input_id, in_run=True) is False

        outcome = (await asker.ticket("a", input_id=first.input_id)).outcome
        assert outcome is not None
        assert outcome.reason == "cancelled"
        assert (await asker.ticket("a", input_id=second.input_id)).outcome is None


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_dead_letter_is_retried_by_whoever_asks(
    database: Path, autojump_clock: MockClock, *, fresh: bool
) -> None:
    moody = Moody()
    async with supervisor(database, {"kind": moody.behaviour}) as owner, supervisor(database, {}) as asker:
        runtime = await owner.spawn("a", "kind")
        ticket = await runtime.accept("x")
        await ticket.wait_outcome()
        foreign = await asker.find("a")
        moody.failing = False

        assert await foreign.retry(ticket.input_id, fresh=fresh) == (ticket.input_id,)

        again = await asker.ticket("a", input_id=ticket.input_id)
        with trio.fail_after(ANSWERED_S):
            assert (await again.wait_outcome()).phase == "consumed"
        assert len(moody.calls) == (2 if fresh else 1)
        with pytest.raises(InvalidTransition) as refused:
            await foreign.retry(ticket.input_id)
        assert refused.value.event == "retry"
        with pytest.raises(NotFound) as missing:
            await foreign.drop("no such input")
        assert (missing.value.what, missing.value.key) == ("dead letter", "no such input")


async def test_a_refused_send_is_retried_by_whoever_asks_and_its_target_is_woken(
    database: Path, autojump_clock: MockClock
) -> None:
    heard: list[Any] = []

    async def sender(run: tenure.Run) -> None:
        run.send("late", "hello")

    async def keep(run: tenure.Run) -> None:
        heard.append(run.inputs[0].payload)

    behaviours = {"sender": sender, "keep": keep}
    async with supervisor(database, behaviours) as owner, supervisor(database, {}) as asker:
        await (await (await owner.spawn("a", "sender")).accept(1)).wait_outcome()
        [letter] = await asker.dead_letters("a")
        foreign = await asker.find("a")
        late = await owner.spawn("late", "keep")
        await late.retire()
        with pytest.raises(NotAccepting) as refused:
            await foreign.retry(letter.input_id)
        assert refused.value.runtime_id == "late"
        await late.recycle()

        assert await foreign.retry(letter.input_id) == (letter.input_id,)

        with trio.fail_after(ANSWERED_S):
            await (await asker.ticket("late", input_id=letter.input_id)).wait_outcome()
        assert heard == ["hello"]


async def test_a_dead_letter_is_dropped_by_whoever_asks(database: Path, autojump_clock: MockClock) -> None:
    moody = Moody()
    async with supervisor(database, {"kind": moody.behaviour}) as owner, supervisor(database, {}) as asker:
        ticket = await (await owner.spawn("a", "kind")).accept("x")
        await ticket.wait_outcome()

        await (await asker.find("a")).drop(ticket.input_id)

        assert await owner.dead_letters("a") == []


@pytest.mark.parametrize("verdict", [tenure.Ran("paid"), tenure.DidNotRun()])
async def test_a_verdict_on_a_step_in_doubt_is_given_by_whoever_asks(
    database: Path, verdict: tenure.Verdict, autojump_clock: MockClock
) -> None:
    dying, entered = Host(), trio.Event()
    calls: list[str] = []

    async def pay() -> str:
        calls.append("pay")
        if len(calls) == 1:
            entered.set()
            await trio.sleep_forever()
        return "paid"

    async def buyer(run: tenure.Run) -> None:
        run.session.append(await run.step("pay", pay, repeat="never"))

    async with supervisor(database, {"kind": buyer}, dying) as dead, supervisor(database, {}) as asker:
        ticket = await (await dead.spawn("a", "kind")).accept("x")
        await entered.wait()
        dying.gate.freeze()
        async with supervisor(database, {"kind": buyer}):
            dying.locks.die()
            foreign = await asker.find("a")
            assert await foreign.wait_held() == "needs attention"
            with pytest.raises(NotFound):
                await foreign.settle_step("main/2", verdict)
            with pytest.raises(InvalidInput):
                await foreign.settle_step("main/1", tenure.Ran(object()))

            await foreign.settle_step("main/1", verdict)

            seen = await asker.ticket("a", input_id=ticket.input_id)
            with trio.fail_after(ANSWERED_S):
                assert (await seen.wait_outcome()).phase == "consumed"
            assert await asker.read_session("a") == ["paid"]
            assert len(calls) == (1 if isinstance(verdict, tenure.Ran) else 2)


async def test_the_verbs_of_a_runtime_that_nobody_owns_are_carried_out_here(
    database: Path, autojump_clock: MockClock
) -> None:
    moody = Moody()
    async with supervisor(database, {"kind": moody.behaviour}) as gone:
        runtime = await gone.spawn("a", "kind")
        letter, other = await runtime.accept("x"), await runtime.accept("y")
        for each in (letter, other):
            await each.wait_outcome()
        await runtime.retire()
    async with supervisor(database, {}) as asker:
        foreign = await asker.find("a")
        with pytest.raises(NotAccepting):
            await foreign.retry(letter.input_id)
        await foreign.recycle()
        assert await foreign.retry(letter.input_id) == (letter.input_id,)
        again = await asker.ticket("a", input_id=letter.input_id)
        assert await foreign.cancel("no such input") is False
        await foreign.drop(other.input_id)
        with pytest.raises(NotFound):
            await foreign.settle_step("main/1", tenure.DidNotRun())
        await foreign.reset(clear_session=True)
        with trio.fail_after(ANSWERED_S):
            assert (await again.wait_outcome()).reason == "reset"
        assert [each.input_id for each in await asker.dead_letters("a")] == [letter.input_id]


async def test_a_request_that_this_version_does_not_know_is_answered_with_an_error(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": forever}) as owner, supervisor(database, {}) as asker:
        await owner.spawn("a", "kind")
        for request_id, verb, arguments in (("r-1", "polish", "{}"), ("r-2", "retry", '{"colour": "red"}')):
            asked = RequestLifecycle(
                runtime_id=LogicalRuntimeId("a"), request_id=request_id, verb=verb, arguments=arguments
            )
            await asker.store.commit(Commit(changes=(asked,)))
            with trio.fail_after(ANSWERED_S):
                answer = await host_of(asker).news.wait_for(
                    lambda statements, key=request_id: requests.find_answer(statements, key)
                )
            assert "InvalidInput" in answer


async def test_a_verb_that_is_asked_and_cancelled_is_carried_out_once_and_its_answer_is_stored(
    database: Path, autojump_clock: MockClock
) -> None:
    away, moody = Host(), Moody()
    async with supervisor(database, {"kind": moody.behaviour}, away) as owner, supervisor(database, {}) as asker:
        ticket = await (await owner.spawn("a", "kind")).accept("x")
        await ticket.wait_outcome()
        foreign = await asker.find("a")
        moody.failing = False
        away.gate.freeze()
        with trio.move_on_after(1):
            await foreign.retry(ticket.input_id)
        waiting = peek(database, "SELECT verb, done_at FROM requests")
        away.gate.thaw()
        await trio.sleep(ANSWERED_S)

        assert waiting == [["retry", None]]
        [[answer]] = peek(database, "SELECT answer FROM requests WHERE done_at IS NOT NULL")
        assert ticket.input_id in answer
        assert moody.calls == ["x"]
        assert await owner.read_session("a") == ["x"]


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(database: Path) -> Generator[None]:
    """Another process holds the write lock."""
    command = [sys.executable, "-c", HOLDER, str(database)]
    with running(command, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield


@pytest.mark.sqlite("a lock of the whole file")
async def test_an_owner_that_finds_the_file_locked_carries_a_request_out_later(
    database: Path, autojump_clock: MockClock
) -> None:
    limits = tenure.Limits(busy_s=0.05)
    away = Host()
    with trio.fail_after(1000):
        async with (
            tenure.open_supervisor(database, behaviours={"kind": forever}, limits=limits, seams=away.seams) as owner,
            supervisor(database, {}) as asker,
            trio.open_nursery() as nursery,
        ):
            runtime = await owner.spawn("a", "kind")
            away.gate.freeze()
            nursery.start_soon((await asker.find("a")).retire)
            await trio.sleep(1)
            with locked(database):
                away.gate.thaw()
                await trio.sleep(1)
                assert runtime.state == "attached"
            with trio.fail_after(1):  # at the next look, not when somebody writes again
                await runtime.wait_state("retired")


@pytest.mark.parametrize("target", ["file", ":memory:"])
async def test_whoever_waits_for_an_input_of_a_runtime_that_nobody_owns_hears_of_a_verb(
    database: Path, target: str, autojump_clock: MockClock
) -> None:
    async with host(database if target == "file" else target, {}) as supervisor:
        queued = tenure.InputState(input_id=tenure.InputId("i-1"), phase=tenure.InputPhase.QUEUED)
        await supervisor.store.runtimes.persist_input_state("contract", queued)
        ticket = await supervisor.ticket("contract", input_id="i-1")

        await (await supervisor.find("contract")).reset()

        with trio.fail_after(ANSWERED_S):
            assert (await ticket.wait_outcome()).reason == "reset"
