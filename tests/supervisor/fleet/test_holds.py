"""Hold: a person keeps a runtime, or a kind, from beginning anything, on every host and until they end it (design §20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import AskFailed, InvalidInput, RuntimeDestroyed
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.hosting import echo, forever, host, nothing, peek
from tests.kit.worlds import Host, Reader, supervisor
from tests.persistence.contracts.damage import execute

ANSWERED_S = 20.0
LONG_S = 20.0


async def consumed(*tickets: tenure.Ticket) -> None:
    with trio.fail_after(ANSWERED_S):
        for ticket in tickets:
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_nothing_begins_on_hold_and_all_of_it_goes_on_afterwards(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": echo}) as one:
        runtime = await one.spawn("a", "kind")
        assert await runtime.hold("under repair") is True
        assert await runtime.hold("again") is False
        tickets = [await runtime.accept(number) for number in range(3)]
        await trio.sleep(LONG_S)
        assert [ticket.outcome for ticket in tickets] == [None] * 3
        assert runtime.held is None
        why = await one.why("a")
        assert why["because"] == "a person keeps it on hold: the runtime, for 20 s, under repair"
        assert why["on_hold"][0]["note"] == "under repair"
        assert peek(database, "SELECT count(*) FROM runs") == [[0]]

        await runtime.resume(hold=True)

        await consumed(*tickets)
        assert await one.read_session("a") == [0, 1, 2]
        assert await one.resume("a") is False


async def test_the_hold_of_a_kind_keeps_every_host_and_runtimes_that_come_later(
    database: Path, autojump_clock: MockClock
) -> None:
    both = {"kind": echo, "other": echo}
    async with supervisor(database, both) as one, supervisor(database, both) as two, supervisor(database, {}) as web:
        here, there = await one.spawn("here", "kind"), await two.spawn("there", "kind")
        assert await web.hold(kind="kind") is True
        tickets = [await here.accept(1), await there.accept(1), await web.accept("later", 1, kind="kind")]
        await consumed(await one.accept("free", 1, kind="other"))
        await trio.sleep(LONG_S)
        assert [ticket.outcome for ticket in tickets] == [None] * 3

        assert await web.resume(kind="kind") is True

        await consumed(*tickets)


async def test_a_hold_may_come_before_its_runtime_and_ends_with_the_resume_that_names_it(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": nothing}) as one:
        assert await one.hold("a") is True
        assert await one.hold(kind="kind") is True
        runtime = await one.spawn("a", "kind")
        ticket = await runtime.accept(1)
        await one.resume("a")
        await trio.sleep(LONG_S)
        assert ticket.outcome is None
        await runtime.resume()  # the held mark, which there is not
        await trio.sleep(LONG_S)
        assert ticket.outcome is None
        await one.resume(kind="kind")
        await consumed(ticket)


async def test_the_held_mark_and_the_hold_of_a_person_end_apart(database: Path, autojump_clock: MockClock) -> None:
    broken = [True]

    async def moody(run: tenure.Run) -> None:
        if broken[0]:
            raise ValueError("broken")

    behaviour = tenure.Behaviour(moody, restart=tenure.RestartPolicy(budget=1, backoff_s=0.1))
    async with host(database, {"kind": behaviour}) as one:
        runtime = await one.spawn("a", "kind")
        ticket = await runtime.accept(1)
        await runtime.wait_held()
        await runtime.hold()
        broken[0] = False
        await runtime.resume(hold=True)
        assert runtime.held == "budget used up"
        await runtime.hold()
        await runtime.resume()
        assert runtime.held is None
        await trio.sleep(LONG_S)
        assert ticket.outcome is None
        await runtime.resume(hold=True)
        await consumed(ticket)


async def test_a_run_that_executes_goes_on_and_one_that_was_cut_off_does_not_enter(
    database: Path, autojump_clock: MockClock
) -> None:
    reader, dying = Reader(), Host()
    reader.wait_in_step()
    async with supervisor(database, {"kind": reader}, dying) as dead, supervisor(database, {}) as web:
        ticket = await (await dead.spawn("a", "kind")).accept("x")
        await reader.entered.wait()
        await web.hold("a")
        dying.gate.freeze()
        dying.locks.die()
        heir = Reader()
        async with supervisor(database, {"kind": heir}) as other:
            seen = await other.ticket("a", input_id=ticket.input_id)
            await trio.sleep(LONG_S)
            assert (heir.steps, seen.outcome) == ([], None)
            await (await web.find("a")).resume(hold=True)
            await consumed(seen)
            assert heir.ran == ["x"]


@pytest.mark.slow
async def test_deadlines_wait_while_a_hold_lasts_and_go_on_afterwards(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": forever}) as one:
        runtime = await one.spawn("a", "kind")
        running = await runtime.accept("runs", deadline_s=30)
        await runtime.wait_state("running")
        queued = await runtime.accept("waits", deadline_s=20)
        await trio.sleep(10)
        await runtime.hold()
        await trio.sleep(40)
        await one.hold(kind="kind")
        late = await runtime.accept("came in the hold", deadline_s=15)
        await trio.sleep(50)
        await runtime.resume(hold=True)  # the kind keeps it still
        await trio.sleep(100)
        assert [each.outcome for each in (running, queued, late)] == [None] * 3
        await one.resume(kind="kind")
        resumed = trio.current_time()
        ends: list[float] = []
        for ticket in (queued, late, running):
            with trio.fail_after(60):
                assert (await ticket.wait_outcome()).reason == "deadline_exceeded"
            ends.append(trio.current_time() - resumed)
        assert ends == pytest.approx([10, 15, 20], abs=1)


@pytest.mark.slow
async def test_timeouts_of_waits_and_asks_do_not_pass_while_a_hold_lasts(
    database: Path, autojump_clock: MockClock
) -> None:
    seen: list[tuple[str, float]] = []

    async def waits(run: tenure.Run) -> None:
        taken = await run.wait_steered(timeout_s=10)
        seen.append((f"steered {len(taken)}", trio.current_time()))
        assert await run.wait_steered(timeout_s=10) == ()
        seen.append(("gave up", trio.current_time()))

    async def asks(run: tenure.Run) -> None:
        with pytest.raises(AskFailed):
            await run.ask("silent", 1, timeout_s=10)
        seen.append(("no answer", trio.current_time()))

    async with supervisor(database, {"waits": waits, "asks": asks, "silent": forever}) as one:
        await one.spawn("silent", "silent")
        waiting, asking = await one.spawn("a", "waits"), await one.spawn("b", "asks")
        tickets = [await waiting.accept(1), await asking.accept(1)]
        await trio.sleep(5)
        began = trio.current_time()
        for name in ("a", "b"):
            await one.hold(name)
        await trio.sleep(100)
        assert seen == [], "nothing has given up"
        await waiting.accept("here", lane="steer")  # a run that executes goes on
        await trio.sleep(100)
        assert [what for what, _ in seen] == ["steered 1"]
        for name in ("a", "b"):
            await one.resume(name)
        for ticket in tickets:
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert all(at - began > 199 for what, at in seen if what != "steered 1"), seen


async def test_what_is_no_hold_is_refused(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": nothing}) as one:
        wrong: tuple[dict[str, Any], ...] = (
            {},
            {"runtime_id": "a", "kind": "kind"},
            {"kind": ""},
            {"runtime_id": "a\0"},
            {"runtime_id": "a", "note": "x" * 1_001},
        )
        for arguments in wrong:
            with pytest.raises(InvalidInput):
                await one.hold(**arguments)
        with pytest.raises(InvalidInput):
            await one.resume()
        runtime = await one.spawn("a", "kind")
        with pytest.raises(InvalidInput) as refused:
            await runtime.resume(hold=True, restart_run=True)
        assert refused.value.field == "hold"
        await runtime.destroy()
        with pytest.raises(RuntimeDestroyed):
            await one.hold("a")


@pytest.mark.sqlite("a server has types of its own")
async def test_a_damaged_hold_holds_nothing_and_is_found_and_can_be_ended(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": nothing}) as one:
        for name in ("a", "b"):
            await one.hold(name)
        await execute(one.store, "UPDATE holds SET since = 'x' WHERE runtime_id = 'a'")
        await execute(one.store, "UPDATE holds SET note = CAST(x'ff' AS TEXT) WHERE runtime_id = 'b'")
    async with host(database, {"kind": nothing}) as one:
        for name in ("a", "b"):
            await consumed(await one.accept(name, 1, kind="kind"))
        problems = [problem.detail for part in await verify_parts(one.store) for problem in part.problems]
        assert problems == ["one cannot be read", "columns [4] are of another type"]
        for name in ("a", "b"):
            assert await one.resume(name) is True
        assert [problem for part in await verify_parts(one.store) for problem in part.problems] == []
