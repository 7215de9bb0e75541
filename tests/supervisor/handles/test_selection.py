"""Verbs for all runtimes that a selector chooses: looked at first, one commit each, and gone on with after a cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import Corrupt, InvalidInput, InvalidTransition
from tests.kit.hosting import forever, host, nothing
from tests.kit.worlds import idle, supervisor
from tests.persistence.contracts.damage import execute

ACME = {"tenant": "acme"}


async def states(supervisor: tenure.Supervisor) -> dict[str, str]:
    return {line.runtime_id: line.state for line in await supervisor.list()}


def counts(answer: tenure.Selected) -> tuple[int, int, int]:
    return answer.done, answer.skipped, answer.refused


async def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    target: Path | str, autojump_clock: MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        for number in range(5):
            await supervisor.spawn(f"r{number}", "kind", labels=ACME if number % 2 else None)
        chosen = supervisor.select(labels=ACME)

        answer = await chosen.stop(dry_run=True)

        assert (answer.verb, answer.dry_run, answer.first, counts(answer)) == ("stop", True, ("r1", "r3"), (2, 0, 0))
        assert set((await states(supervisor)).values()) == {"idle"}
        assert counts(await chosen.stop()) == (2, 0, 0)
        assert counts(await chosen.stop()) == counts(await chosen.stop(dry_run=True)) == (0, 2, 0)
        assert await states(supervisor) == {f"r{number}": "stopped" if number % 2 else "idle" for number in range(5)}


async def test_every_verb_skips_what_has_nothing_left_to_be_done(target: Path | str, autojump_clock: MockClock) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        for number in range(3):
            await supervisor.spawn(f"r{number}", "kind", labels=ACME)
        chosen = supervisor.select(kind="kind", labels=ACME)
        assert counts(await chosen.hold("a bad night")) == (3, 0, 0)
        assert counts(await chosen.hold()) == (0, 3, 0)
        await supervisor.accept("r1", "waits")
        assert counts(await chosen.reset()) == (1, 2, 0)
        assert counts(await chosen.reset()) == (0, 3, 0)
        assert [line.inputs for line in await supervisor.list()] == [0, 0, 0]
        assert counts(await chosen.resume()) == (0, 3, 0)
        assert counts(await chosen.resume(hold=True)) == (3, 0, 0)
        assert counts(await chosen.resume(hold=True)) == (0, 3, 0)
        assert counts(await chosen.retire()) == (3, 0, 0)
        assert counts(await chosen.retire()) == (0, 3, 0)
        assert counts(await chosen.destroy()) == (3, 0, 0)
        assert counts(await chosen.destroy()) == (0, 3, 0)
        for verb in (chosen.retire, chosen.stop, chosen.reset, chosen.hold, chosen.resume):
            assert counts(await verb()) == (0, 3, 0), verb


async def test_one_whose_labels_cannot_be_read_is_said_left_alone_and_holds_up_no_other(
    target: Path | str, autojump_clock: MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        for name in "abc":
            await supervisor.spawn(name, "kind", labels=ACME)
        await execute(
            supervisor.store,
            "UPDATE label_sets SET digest = ? WHERE runtime = (SELECT runtime FROM runtimes WHERE runtime_id = 'b')",
            b"x" * 32,
        )
        assert [(line.runtime_id, line.labels) for line in await supervisor.list(labels=ACME)] == [
            ("a", ACME),
            ("b", None),
            ("c", ACME),
        ]
        for dry_run in (True, False):
            answer = await supervisor.select(labels=ACME).stop(dry_run=dry_run)
            assert (answer.first, counts(answer)) == (("a", "c"), (2, 0, 1))
            assert [(name, type(error)) for name, error in answer.errors] == [("b", Corrupt)]
        assert await states(supervisor) == {"a": "stopped", "b": "idle", "c": "stopped"}
        assert counts(await supervisor.select(kind="kind").stop()) == (1, 2, 0)  # its labels choose nothing there


async def test_one_that_is_refused_is_said_and_holds_up_no_other(target: Path | str, autojump_clock: MockClock) -> None:
    async with host(target, {"kind": nothing, "busy": forever}) as supervisor:
        busy = await supervisor.spawn("b", "busy", labels=ACME)
        await busy.accept("go")
        await busy.wait_state("running")
        for name in ("a", "c"):
            await supervisor.spawn(name, "kind", labels=ACME)
            await supervisor.hold(name)
            await supervisor.accept(name, "waits")

        answer = await supervisor.select(labels=ACME).reset()

        assert counts(answer) == (2, 0, 1)
        [(runtime_id, error)] = answer.errors
        assert runtime_id == "b"
        assert isinstance(error, InvalidTransition)
        assert answer.first == ("a", "c")
        assert counts(await supervisor.select(labels=ACME).reset()) == (0, 2, 1)


async def test_a_verb_that_was_cut_off_is_called_again_and_goes_on(database: Path, autojump_clock: MockClock) -> None:
    count = 200
    async with supervisor(database, {"kind": idle}) as owner, supervisor(database, {}) as asker:
        for number in range(count):
            await owner.accept(f"r{number:03}", "x", kind="other" if number % 4 else "kind", labels=ACME)
        chosen = asker.select(labels=ACME)
        with trio.move_on_after(3600) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when_some_are_stopped, asker, scope)
                await chosen.stop()
        stopped = sum(state == "stopped" for state in (await states(asker)).values())
        assert 0 < stopped < count

        assert counts(await chosen.stop(dry_run=True)) == (count - stopped, stopped, 0)
        assert counts(await chosen.stop()) == (count - stopped, stopped, 0)
        assert set((await states(owner)).values()) == {"stopped"}


async def test_the_dead_letters_of_all_that_are_chosen_are_retried_at_one_go(
    target: Path | str, autojump_clock: MockClock
) -> None:
    down, done, queued = [True], list[Any](), dict[str, list[str]]()

    async def calls(run: tenure.Run) -> None:
        if down[0]:
            raise OSError("the model is down")
        done.extend((run.runtime_id, each.payload) for each in run.inputs)

    once = tenure.Behaviour(calls, restart=tenure.RestartPolicy(max_attempts=1), batch=2)
    async with host(target, {"kind": once, "other": nothing}) as supervisor:
        for name in "abc":
            runtime = await supervisor.spawn(name, "kind", labels=ACME)
            await supervisor.hold(name)
            tickets = [await runtime.accept(number) for number in range(4)]
            await runtime.cancel(tickets[3].input_id)
            queued[name] = [ticket.input_id for ticket in tickets[:3]]
            await supervisor.resume(name)
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "abandoned"
        await supervisor.spawn("d", "other", labels=ACME)
        await (await supervisor.find("c")).stop()
        down[0] = False
        chosen = supervisor.select(labels=ACME)

        would = await chosen.retry(dry_run=True)
        assert (would.first, counts(would), done) == (("a", "b", "c"), (3, 1, 0), [])
        answer = await chosen.retry()
        assert counts(answer) == (2, 1, 1), "one that is stopped takes none, and holds up no other"
        assert answer.errors[0][0] == "c"
        for name in "ab":
            for input_id in queued[name]:
                assert (await (await supervisor.ticket(name, input_id=input_id)).wait_outcome()).phase == "consumed"
        assert sorted(done) == [(name, number) for name in "ab" for number in range(3)], "not what was cancelled"
        assert counts(await chosen.retry(dry_run=True)) == (1, 3, 0)
        assert counts(await chosen.retry(tenure.AbandonReason.CANCELLED, dry_run=True)) == (3, 1, 0)
        with pytest.raises(InvalidInput):
            await chosen.retry("bored")


async def _cancel_when_some_are_stopped(asker: tenure.Supervisor, scope: trio.CancelScope) -> None:
    await (await asker.find("r000")).wait_state("stopped")
    scope.cancel()


BAD: dict[str, Callable[[tenure.Supervisor], Any]] = {
    "nothing": lambda supervisor: supervisor.select(),
    "no labels": lambda supervisor: supervisor.select(labels={}),
    "a bad label": lambda supervisor: supervisor.select(labels={"": ""}),
    "a state that is never stored": lambda supervisor: supervisor.select(state=tenure.RuntimeState.RUNNING),
    "a number": lambda supervisor: supervisor.select(kind=1),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("bad", BAD)
async def test_a_selector_that_cannot_be_is_refused_at_once(
    bad: str, target: Path | str, autojump_clock: MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        with pytest.raises(InvalidInput):
            BAD[bad](supervisor)
