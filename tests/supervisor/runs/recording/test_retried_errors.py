"""A retry forgets the error that a run only came to again, though the run went on from it: what the step does now counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, StepFailed
from tests.kit.alone import OpenHost


class Fetcher:
    """Fetches, and notes it where that fails: in order, in a branch, or by a call id."""

    def __init__(self, how: str, note: str = "freely") -> None:
        self.how = how
        self.note = note
        self.broken = True
        self.done: list[str] = []

    def fetch(self) -> None:
        self.done.append("fetch")
        if self.broken:
            raise ConnectionError("of a test")

    async def __call__(self, run: tenure.Run) -> None:
        async def fetch() -> None:
            await run.step("fetch", self.fetch, repeat="freely", call="c" if self.how == "call" else None)

        try:
            if self.how == "branch":
                await run.gather(fetch)
            else:
                await fetch()
        except StepFailed:
            await run.step("note", self.done.append, "note", repeat=self.note)
            raise
        await run.step("use", self.done.append, "use", repeat="never")


async def begin(supervisor: tenure.Supervisor) -> tuple[tenure.Runtime, tenure.Ticket]:
    """Until its input is a dead letter, which is retried when what was broken is not any more."""
    runtime = await supervisor.spawn("a", "k")
    ticket = await runtime.accept(1)
    assert (await ticket.wait_outcome()).phase == "abandoned"
    return runtime, ticket


async def held_or_ended(runtime: tenure.Runtime, ticket: tenure.Ticket) -> str:
    found: list[str] = []

    async def note(wait: Callable[[], Awaitable[object]], what: str) -> None:
        await wait()
        found.append(what)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(note, runtime.wait_held, "held")
        nursery.start_soon(note, ticket.wait_outcome, "ended")
    return found[0]


@pytest.mark.parametrize("way", ["forget", "restart"])
@pytest.mark.parametrize("how", ["order", "branch", "call"])
async def test_where_it_succeeds_now_what_stood_on_its_error_holds_the_run_until_a_person_lets_it_go(
    how: str, way: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    fetcher = Fetcher(how)
    async with open_host({"k": tenure.Behaviour(fetcher, version="1")}) as supervisor:
        runtime, ticket = await begin(supervisor)
        assert fetcher.done == ["fetch", "note"]
        fetcher.broken = False
        await runtime.retry(ticket.input_id)
        again = await supervisor.ticket("a", input_id=ticket.input_id)

        assert await held_or_ended(runtime, again) == "held"
        assert runtime.held == "step mismatch"
        assert "note" in (runtime.held_detail or "")
        assert fetcher.done == ["fetch", "note", "fetch"]

        if way == "forget":
            await runtime.resume(forget=["note"])
        else:
            await runtime.resume(restart_run=True)
        assert await held_or_ended(runtime, again) == "ended"
        assert (await again.wait_outcome()).phase == "consumed"
        assert fetcher.done == ["fetch", "note", "fetch", *["fetch"] * (way != "forget"), "use"]


@pytest.mark.parametrize("how", ["order", "branch", "call"])
async def test_where_it_fails_again_it_is_caught_again_and_nothing_after_it_is_done_twice(
    how: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    fetcher = Fetcher(how, note="never")
    async with open_host({"k": tenure.Behaviour(fetcher, version="1")}) as supervisor:
        runtime, ticket = await begin(supervisor)
        await runtime.retry(ticket.input_id)
        again = await supervisor.ticket("a", input_id=ticket.input_id)

        assert (await again.wait_outcome()).phase == "abandoned"
        assert runtime.held is None
        assert fetcher.done == ["fetch", "note", "fetch"]


async def test_what_must_not_be_done_twice_and_stood_on_it_is_let_go_knowingly_alone(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    fetcher = Fetcher("order", note="never")
    async with open_host({"k": tenure.Behaviour(fetcher, version="1")}) as supervisor:
        runtime, ticket = await begin(supervisor)
        fetcher.broken = False
        await runtime.retry(ticket.input_id)
        again = await supervisor.ticket("a", input_id=ticket.input_id)
        assert await held_or_ended(runtime, again) == "held"

        with pytest.raises(InvalidInput):
            await runtime.resume(forget=["note"])
        await runtime.resume(forget=["note"], repeat_never=True)
        assert await held_or_ended(runtime, again) == "ended"
        assert fetcher.done == ["fetch", "note", "fetch", "use"]
