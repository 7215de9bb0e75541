"""Hooks of a host: which happenings they are called with, and that what one raises costs nobody anything."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeVar

import pytest
import trio

import tenure
from tenure.errors import IdempotencyConflict, InvalidInput
from tenure.persistence.store import ground_of
from tests.kit.hosting import CutOff, cut_off, host

H = TypeVar("H", bound=tenure.Happening)

ONE_RETRY = tenure.RestartPolicy(max_attempts=2, backoff_s=1.0, jitter=0.0)


def of(happenings: list[tenure.Happening], kind: type[H]) -> list[H]:
    return [each for each in happenings if isinstance(each, kind)]


async def stepping(run: tenure.Run) -> None:
    await run.step("look", lambda: 1, repeat="freely")
    await run.emit("word")


async def failing(run: tenure.Run) -> None:
    await run.step("break", lambda: 1 / 0, repeat="never")


async def test_an_input_is_followed_from_its_accept_to_its_end(autojump_clock: object, tmp_path: Path) -> None:
    seen: list[tenure.Happening] = []
    async with host(tmp_path / "s.db", {"kind": stepping}) as supervisor:
        supervisor.add_hook(seen.append)
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("hello", idempotency_key="once")
        await ticket.wait_outcome()
        await alice.accept("hello", idempotency_key="once")
        with pytest.raises(IdempotencyConflict):
            await alice.accept("another", idempotency_key="once")

    accepted, again, refused = of(seen, tenure.AcceptEnded)
    assert (accepted.outcome, accepted.input_id, accepted.kind) == ("accepted", ticket.input_id, "kind")
    assert (again.outcome, again.input_id) == ("deduplicated", ticket.input_id)
    assert (refused.outcome, refused.input_id, refused.reason) == ("refused", None, "IdempotencyConflict")
    (entered,), (exited,) = of(seen, tenure.RunEntered), of(seen, tenure.RunExited)
    assert (entered.input_ids, entered.attempt, entered.again) == ((ticket.input_id,), 1, False)
    assert entered.waited_s == (0.0,)
    assert (exited.run_id, exited.outcome) == (entered.run_id, "finished")
    (step,) = of(seen, tenure.StepExited)
    assert (step.name, step.outcome, step.run_id, step.attempt) == ("look", "succeeded", entered.run_id, 1)
    (output,) = of(seen, tenure.OutputLanded)
    assert (output.runtime_id, output.channels) == ("alice", ("output",))
    assert sum(each.commits for each in of(seen, tenure.GroupLanded)) >= 3


async def test_a_run_that_fails_is_retried_and_then_dead(autojump_clock: object, tmp_path: Path) -> None:
    seen: list[tenure.Happening] = []
    behaviour = tenure.Behaviour(failing, restart=ONE_RETRY)
    async with host(tmp_path / "s.db", {"kind": behaviour}) as supervisor:
        supervisor.add_hook(seen.append)
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("hello")
        await ticket.wait_outcome()

    assert [each.outcome for each in of(seen, tenure.RunExited)] == ["retried", "failed"]
    assert [each.attempt for each in of(seen, tenure.RunEntered)] == [1, 2]
    assert [(each.outcome, each.reason) for each in of(seen, tenure.StepExited)] == [
        ("failed", "ZeroDivisionError")
    ] * len(of(seen, tenure.StepExited))
    (dead,) = of(seen, tenure.InputDead)
    assert (dead.input_id, dead.reason) == (ticket.input_id, "max_attempts_exhausted")


async def test_the_wait_in_the_inbox_counts_from_where_an_input_came_into_it(
    autojump_clock: object, tmp_path: Path
) -> None:
    seen: list[tenure.Happening] = []
    async with host(tmp_path / "s.db", {"kind": stepping}) as supervisor:
        supervisor.add_hook(seen.append)
        alice = await supervisor.spawn("alice", "kind")
        await supervisor.hold("alice")
        await alice.accept("waits")
        await trio.sleep(60)
        await supervisor.resume("alice")
        await alice.accept("later", after_s=500)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 600)

    waits, later = (each.waited_s[0] for each in of(seen, tenure.RunEntered))
    assert 60 <= waits < 70
    assert later < 60  # and not the 500 s of its delay


@pytest.mark.parametrize(("end", "outcome"), [("stop", "cancelled"), ("destroy", "cancelled"), ("close", "cut")])
async def test_a_run_that_is_ended_from_outside_says_how(
    autojump_clock: object, tmp_path: Path, end: str, outcome: str
) -> None:
    seen: list[tenure.Happening] = []

    async def forever(run: tenure.Run) -> None:
        await run.step("wait", trio.sleep_forever, repeat="freely")

    async def body(supervisor: tenure.Supervisor) -> None:
        supervisor.add_hook(seen.append)
        alice = await supervisor.spawn("alice", "kind")
        await alice.accept("hello")
        await trio.sleep(1)
        if end == "close":
            raise CutOff
        await getattr(alice, end)()
        await trio.sleep(1)

    await cut_off(tmp_path / "s.db", {"kind": forever}, body)

    assert [each.outcome for each in of(seen, tenure.RunExited)] == [outcome]
    assert [each.outcome for each in of(seen, tenure.StepExited)] == ["cut"]


async def test_a_run_that_is_put_aside_and_one_that_holds_its_runtime(autojump_clock: object, tmp_path: Path) -> None:
    seen: list[tenure.Happening] = []

    async def sleeps(run: tenure.Run) -> None:
        await run.sleep(1000)

    one_failure = tenure.RestartPolicy(budget=1)
    behaviours = {
        "sleeps": tenure.Behaviour(sleeps, aside_after_s=10),
        "fails": tenure.Behaviour(failing, restart=one_failure),
    }
    async with host(tmp_path / "s.db", behaviours) as supervisor:
        supervisor.add_hook(seen.append)
        for kind in behaviours:
            await (await supervisor.spawn(kind, kind)).accept("hello")
        await trio.sleep(2000)

    outcomes = [(each.kind, each.outcome) for each in of(seen, tenure.RunExited)]
    assert sorted(outcomes) == [("fails", "held"), ("sleeps", "aside"), ("sleeps", "finished")]
    (held,) = of(seen, tenure.RuntimeHeld)
    assert (held.runtime_id, held.kind, held.reason) == ("fails", "fails", "budget used up")


async def test_a_hook_that_raises_is_written_down_once_and_costs_nothing(
    autojump_clock: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tenure.Happening] = []

    def broken(happening: tenure.Happening) -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR, "tenure.hosts"):
        async with host(tmp_path / "s.db", {"kind": stepping}) as supervisor:
            supervisor.add_hook(broken)
            supervisor.add_hook(seen.append)
            alice = await supervisor.spawn("alice", "kind")
            outcome = await (await alice.accept("hello")).wait_outcome()

    assert outcome.phase == "consumed"
    assert of(seen, tenure.RunExited)
    assert [each.message for each in caplog.records if "hook" in each.message] == ["a hook raised ValueError: broken"]


async def test_a_hook_is_called_once_until_it_is_removed(autojump_clock: object, tmp_path: Path) -> None:
    seen: list[tenure.Happening] = []
    async with host(tmp_path / "s.db", {"kind": stepping}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        for _ in range(2):
            supervisor.add_hook(seen.append)
        await alice.accept("hello")
        count = len(of(seen, tenure.AcceptEnded))
        supervisor.remove_hook(seen.append)
        supervisor.remove_hook(print)
        await alice.accept("hello")
        off = ground_of(supervisor.store).hooks.call

        with pytest.raises(InvalidInput):
            supervisor.add_hook("no function")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert (count, len(of(seen, tenure.AcceptEnded)), off) == (1, 1, None)
