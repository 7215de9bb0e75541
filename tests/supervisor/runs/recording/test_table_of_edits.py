"""The table of edits in docs/guarantees.md: each of its rows is what happens, and there is no row without its cases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import StepFailed
from tests.kit.alone import OpenHost
from tests.supervisor.accepting import test_payload_classes
from tests.supervisor.runs import test_versions

REPLAY_S: Final = 60.0

HELD: Final = "held at once"
LATER: Final = "held when it has waited"
TAKEN: Final = "consumed"

Play = Callable[["Asks"], Awaitable[Any]]
"""What a version does."""


@final
class Asks:
    """A run and the world, in short words. What is done there is counted."""

    def __init__(self, run: tenure.Run, done: Counter[str]) -> None:
        self.run = run
        self.done = done

    async def step(self, name: str, argument: object = "", repeat: str = "never", **terms: Any) -> Any:
        return await self.run.step(name, partial(self._act, name), argument, repeat=repeat, **terms)

    async def map(self, repeat: str, *items: str) -> Any:
        return await self.run.map("tell", partial(self._act, "tell"), items, repeat=repeat)

    def _act(self, name: str, argument: object, *, key: str = "") -> str:
        what = f"{name} {argument}".strip()
        self.done[what] += 1
        if name == "broken":
            raise ConnectionError("of a test")
        return what


@final
@frozen(kw_only=True, slots=True)
class Case:
    """One edit.

    Attributes:
        before: What the version 1 does, before it is stopped.
        after: What comes next.
        versions: Under which versions that is so.
        comes: What comes of it.
        new: What is done then that was not before.
        take: Whether a person takes what is recorded where it is held first.
    """

    before: Play
    after: Play
    comes: str
    versions: tuple[str, ...] = ("2",)
    new: tuple[str, ...] = ()
    take: bool = False


def steps(*names: str, repeat: str = "never") -> Play:
    """Steps one after another; ``pay 5`` has an argument."""

    async def play(asks: Asks) -> None:
        for each in names:
            name, _, argument = each.partition(" ")
            if name == "checkpoint":
                await asks.run.checkpoint()
            else:
                await asks.step(name, argument, repeat)

    return play


def called(*names: str, repeat: str = "never") -> Play:
    """The same, the first of them with a call id."""

    async def play(asks: Asks) -> None:
        first, *rest = names
        name, _, argument = first.partition(" ")
        await asks.step(name, argument, repeat, call="c1")
        await steps(*rest, repeat=repeat)(asks)

    return play


def sleeps(*names: str) -> Play:
    async def play(asks: Asks) -> None:
        await asks.run.sleep(0)
        await steps(*names)(asks)

    return play


def says(message: str, target: str, *moves: str) -> Play:
    """Messages, sends and moves before a checkpoint."""

    async def play(asks: Asks) -> None:
        session = asks.run.session
        session.append(message)
        session.append("more")
        for move in moves:
            name, _, number = move.partition(" ")
            if name == "pop":
                await session.pop(int(number))
            elif name == "rewrite":
                await session.rewrite(["another"], keep=int(number))
            else:
                await session.fork(int(number))
        asks.run.send(target, message)
        await asks.run.checkpoint()

    return play


def gathers(*names: str) -> Play:
    async def play(asks: Asks) -> None:
        await asks.run.gather(*[partial(asks.step, name) for name in names])

    return play


def first_of(*names: str) -> Play:
    async def play(asks: Asks) -> None:
        await asks.run.first(*[partial(asks.step, name, repeat="freely") for name in names])

    return play


def maps(repeat: str, *items: str) -> Play:
    async def play(asks: Asks) -> None:
        await asks.map(repeat, *items)

    return play


def other_branch(name: str) -> Play:
    """A step of another branch, while one that is recorded is not reached for long."""

    async def late(asks: Asks) -> None:
        await trio.sleep(10_000)
        await asks.step("pay")

    async def play(asks: Asks) -> None:
        await asks.run.gather(partial(late, asks), partial(asks.step, name))

    return play


async def pays_in_a_branch(asks: Asks) -> None:
    async def nothing() -> None:
        await trio.lowlevel.checkpoint()

    await asks.run.gather(partial(asks.step, "pay"), nothing)


def cut(name: str, argument: str, repeat: str, **terms: Any) -> Play:
    """A step that the stop of its host cuts off."""

    async def play(asks: Asks) -> None:
        await asks.run.step(name, _hang, argument, repeat=repeat, **terms)

    return play


async def _hang(_: object, *, key: str = "") -> None:
    await trio.sleep_forever()


OTHER: Final = ("2", "")
EVERY: Final = ("1", *OTHER)
ORDER: Final = (
    "a step has another name, kind or `repeat`; one more or less; two swapped; a checkpoint more or less; "
    "`call=` dropped or added"
)

ROWS: Final[dict[str, dict[str, Case]]] = {
    ORDER: {
        "name": Case(before=steps("pay", "mail"), after=steps("charge", "mail"), comes=HELD),
        "kind": Case(before=steps("pay", "mail"), after=sleeps("mail"), comes=HELD),
        "repeat": Case(before=steps("pay"), after=steps("pay", repeat="keyed"), comes=HELD),
        "one more": Case(before=steps("pay", "mail"), after=steps("pay", "look", "mail"), comes=HELD),
        "one less": Case(before=steps("pay", "mail"), after=steps("mail"), comes=HELD),
        "one less at the end": Case(before=steps("pay", "mail"), after=steps("pay"), comes=HELD),
        "swapped": Case(before=steps("pay", "mail"), after=steps("mail", "pay"), comes=HELD),
        "a checkpoint more": Case(before=steps("pay", "mail"), after=steps("pay", "checkpoint", "mail"), comes=HELD),
        "a checkpoint less": Case(before=steps("pay", "checkpoint", "mail"), after=steps("pay", "mail"), comes=HELD),
        "call= dropped": Case(before=called("pay"), after=steps("pay"), comes=LATER),
        "call= dropped, another recorded": Case(before=called("pay", "mail"), after=steps("pay", "mail"), comes=HELD),
        "call= added": Case(before=steps("pay"), after=called("pay"), comes=LATER),
    },
    "other arguments, under the same `Behaviour.version`": {
        "of what has ended": Case(before=steps("pay 5"), after=steps("pay 6"), comes=HELD, versions=("1",)),
        "freely": Case(
            before=steps("look 5", repeat="freely"),
            after=steps("look 6", repeat="freely"),
            comes=HELD,
            versions=("1",),
        ),
    },
    "other arguments, under another version or none": {
        "of what has ended": Case(before=steps("pay 5"), after=steps("pay 6"), comes=TAKEN, versions=OTHER),
        "recorded at another place": Case(
            before=steps("pay 5", "pay 6"), after=steps("pay 6", "pay 7"), comes=HELD, versions=OTHER
        ),
        "keyed, not ended": Case(
            before=cut("pay", "5", "keyed"), after=steps("pay 6", repeat="keyed"), comes=HELD, versions=OTHER
        ),
        "never, not ended": Case(before=cut("pay", "5", "never"), after=steps("pay 6"), comes=HELD, versions=OTHER),
        "compare=False": Case(
            before=cut("pay", "5", "keyed", compare=False),
            after=lambda asks: asks.step("pay", "6", "keyed", compare=False),
            comes=TAKEN,
            versions=EVERY,
            new=("pay 6",),
        ),
    },
    "other messages or sends before a checkpoint": {
        "a message": Case(before=says("a", "bob"), after=says("b", "bob"), comes=HELD, versions=("1",)),
        "a target": Case(before=says("a", "bob"), after=says("a", "eve"), comes=HELD, versions=("1",)),
        "taken": Case(before=says("a", "bob"), after=says("b", "eve"), comes=TAKEN, versions=OTHER),
    },
    "another `pop`, `rewrite` or `fork` before a checkpoint": {
        **{
            f"another {name}, version {versions}": Case(
                before=says("a", "bob", f"{name} 1"),
                after=says("a", "bob", f"{name} 2"),
                comes=comes,
                versions=versions,
            )
            for name in ("pop", "rewrite", "fork")
            for versions, comes in ((("1",), HELD), (OTHER, TAKEN))
        },
        "one more": Case(
            before=says("a", "bob", "pop 1"), after=says("a", "bob", "pop 1", "pop 1"), comes=HELD, versions=EVERY
        ),
        "one less": Case(
            before=says("a", "bob", "pop 1", "pop 1"), after=says("a", "bob", "pop 1"), comes=HELD, versions=EVERY
        ),
    },
    "the number of branches of `gather` or `first`": {
        "gather, one more": Case(
            before=gathers("pay", "mail"), after=gathers("pay", "mail", "look"), comes=HELD, versions=EVERY
        ),
        "gather, one less": Case(before=gathers("pay", "mail"), after=gathers("pay"), comes=HELD, versions=EVERY),
        "first, one more": Case(
            before=first_of("pay", "mail"), after=first_of("pay", "mail", "look"), comes=HELD, versions=EVERY
        ),
        "first, one less": Case(before=first_of("pay", "mail"), after=first_of("pay"), comes=HELD, versions=EVERY),
    },
    "items of a `map` that are new or gone": {
        "new, same version": Case(
            before=maps("freely", "a"), after=maps("freely", "a", "b"), comes=HELD, versions=("1",)
        ),
        "gone, same version": Case(
            before=maps("never", "a", "b"), after=maps("never", "a"), comes=HELD, versions=("1",)
        ),
        "new": Case(
            before=maps("never", "a"), after=maps("never", "a", "b"), comes=TAKEN, versions=OTHER, new=("tell b",)
        ),
        "gone, freely": Case(before=maps("freely", "a", "b"), after=maps("freely", "b"), comes=TAKEN, versions=OTHER),
        "gone, never": Case(before=maps("never", "a", "b"), after=maps("never", "a"), comes=HELD, versions=OTHER),
        "gone, never, and a new one": Case(
            before=maps("never", "a", "b"), after=maps("never", "a", "c"), comes=LATER, versions=OTHER
        ),
        "gone, keyed, and a new one": Case(
            before=maps("keyed", "a", "b"), after=maps("keyed", "a", "c"), comes=LATER, versions=OTHER
        ),
    },
    (
        "a `keyed` or `never` step that stands recorded at a place whose result another one was given, as one with other "
        "arguments: one of its name was put in before it"
    ): {
        "never": Case(before=steps("pay a"), after=steps("pay b", "pay a"), comes=HELD, versions=OTHER),
        "keyed": Case(
            before=steps("pay a", repeat="keyed"),
            after=steps("pay b", "pay a", repeat="keyed"),
            comes=HELD,
            versions=OTHER,
        ),
        "after take_recorded": Case(
            before=steps("pay a"), after=steps("pay b", "pay a"), comes=HELD, versions=("1",), take=True
        ),
    },
    "a new `keyed` or `never` step while something recorded is not reached, in whatever branch": {
        "beside": Case(before=pays_in_a_branch, after=other_branch("charge"), comes=LATER),
    },
    "a step that failed, and on whose error nothing is recorded": {
        "freely": Case(
            before=steps("broken", repeat="freely"),
            after=steps("mended", repeat="freely"),
            comes=TAKEN,
            new=("mended",),
        ),
        "keyed": Case(before=steps("broken", repeat="keyed"), after=steps("mended", repeat="keyed"), comes=HELD),
    },
    "after everything that is recorded": {
        "a step": Case(before=steps("pay"), after=steps("pay", "mail"), comes=TAKEN, new=("mail",)),
        "a checkpoint": Case(before=steps("pay"), after=steps("pay", "checkpoint"), comes=TAKEN),
        "a gather": Case(
            before=steps("pay"),
            after=lambda asks: _both(asks, steps("pay"), gathers("mail", "look")),
            comes=TAKEN,
            new=("mail", "look"),
        ),
    },
}


async def _both(asks: Asks, *plays: Play) -> None:
    for each in plays:
        await each(asks)


CASES: Final = [
    pytest.param(case, version, id=f"{row[:30]}, {name}, version {version or 'none'}")
    for row, cases in ROWS.items()
    for name, case in cases.items()
    for version in case.versions
]


@pytest.mark.turns(2)
@pytest.mark.parametrize(("case", "version"), CASES)
async def test_an_edit_comes_to_what_the_table_says(
    case: Case, version: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    done: Counter[str] = Counter()

    async def recorded(run: tenure.Run) -> None:
        with suppress(StepFailed):  # on whose error nothing is recorded
            await case.before(Asks(run, done))
        await trio.sleep_forever()

    async def edited(run: tenure.Run) -> None:
        await case.after(Asks(run, done))

    with trio.CancelScope() as scope:
        async with open_host({"k": tenure.Behaviour(recorded, version="1")}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    before = done.copy()

    async with open_host({"k": tenure.Behaviour(edited, version=version)}) as supervisor:
        began = trio.current_time()
        runtime = supervisor.runtime("a")
        ticket = await supervisor.ticket("a", idempotency_key="once")
        if case.take:
            await runtime.wait_held()
            await runtime.resume(take_recorded=True)
        comes = await _comes(runtime, ticket)
        took = trio.current_time() - began

    assert comes == ("consumed" if case.comes == TAKEN else "step mismatch"), runtime.held_detail
    assert took >= REPLAY_S if case.comes == LATER else took < 1
    assert done - before == Counter(case.new)


async def _comes(runtime: tenure.Runtime, ticket: tenure.Ticket) -> str | None:
    found: list[str | None] = []

    async def held() -> None:
        await runtime.wait_held()
        found.append(runtime.held)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(held)
        found.append((await ticket.wait_outcome()).phase)
        nursery.cancel_scope.cancel()
    return found[0]


ELSEWHERE: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "an input that does not fit the class of now": {
        "fitted when it came, or came where there was no class": (
            test_payload_classes.test_a_queue_that_a_new_class_does_not_take_is_held_and_served_in_its_old_order_after_a_roll_back
        ),
        "was given by a program without the behaviour, or never fitted; or is bytes of a store verb that are not JSON": (
            test_payload_classes.test_what_a_peer_sent_waits_where_it_fitted_when_it_was_sent_and_is_a_dead_letter_where_it_never_did
        ),
        "has fields that the class does not know": (
            test_payload_classes.test_a_field_less_is_no_fault_unless_the_behaviour_forbids_unknown_ones
        ),
    },
    "the host has": {
        "the version that recorded the run": (
            test_versions.test_a_run_stays_with_its_version_and_what_begins_takes_the_first
        ),
        "that one and, before it, one with `moves=True`": (
            test_versions.test_a_version_that_moves_takes_a_run_whose_last_attempt_failed
        ),
        "younger ones alone, or one without a version": (
            test_versions.test_a_younger_version_alone_goes_on_with_the_run_of_an_older_one
        ),
        "older ones alone, and something is recorded": (
            test_versions.test_an_older_version_leaves_what_a_younger_one_recorded
        ),
        "older ones alone, and nothing is recorded": test_versions.test_a_run_that_recorded_nothing_is_for_any_version,
    },
}
"""The other tables of that chapter, each row with a test of its own."""


def rows_after(head: str) -> list[str]:
    """The first cells of the table under a head, as docs/guarantees.md has them."""
    text = (Path(__file__).parents[4] / "docs" / "guarantees.md").read_text()
    _, _, table = text.partition(f"| {head} | what happens |\n|---|---|\n")
    return re.findall(r"^\| (.+?) \| .+ \|$", table.partition("\n\n")[0], re.MULTILINE)


@pytest.mark.parametrize(
    ("head", "rows"),
    [("what changed, at a place that is recorded", ROWS), *ELSEWHERE.items()],
    ids=["edits", *ELSEWHERE],
)
def test_every_row_of_the_tables_has_its_cases(head: str, rows: dict[str, object]) -> None:
    assert rows_after(head) == [*rows]
