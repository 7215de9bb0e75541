"""Delays: an input comes into its inbox at its time, and is on disk until then (design §21)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, LimitReached
from tests.kit.hosting import EPOCH, cut_off, host, nothing, peek

ANSWERED_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


async def ended(ticket: tenure.Ticket) -> tuple[str, str | None]:
    with trio.fail_after(ANSWERED_S):
        outcome = await ticket.wait_outcome()
    return outcome.phase, outcome.reason


DONE = ("consumed", None)


def at(seconds: float) -> dt.datetime:
    """A time on the virtual wall clock."""
    return dt.datetime.fromtimestamp(EPOCH + seconds, tz=dt.UTC)


class Noting:
    """A behaviour that notes what it was given, and when."""

    def __init__(self) -> None:
        self.ran: list[tuple[Any, float]] = []

    async def __call__(self, run: tenure.Run) -> None:
        self.ran.append((run.inputs[0].payload, round(trio.current_time(), 1)))


async def test_a_delayed_input_runs_at_its_time_and_those_before_it_do_not_wait(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        runtime = await one.spawn("a", "kind")
        tickets = [
            await runtime.accept("third", after_s=20),
            await runtime.accept("second", at=at(10)),
            await runtime.accept("first"),
            await runtime.accept("over already", at=at(-100)),
        ]
        assert [await ended(each) for each in tickets] == [DONE] * 4
    assert [payload for payload, _ in noting.ran] == ["first", "over already", "second", "third"]
    assert [when for _, when in noting.ran[2:]] == pytest.approx([10, 20], abs=0.2)


async def test_what_falls_due_together_comes_by_its_time_then_as_it_was_accepted(
    database: Path, autojump_clock: MockClock
) -> None:
    async def accept(one: tenure.Supervisor) -> None:
        runtime = await one.spawn("a", "kind")
        for payload, when in (("d", 9), ("a", 7), ("b", 8), ("c", 8)):
            await runtime.accept(payload, at=at(when))

    await cut_off(database, {"kind": nothing}, accept)
    await trio.sleep(100)
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        now = await one.accept("a", "accepted before they are queued")
        assert await ended(now) == DONE
        await trio.sleep(10)
    assert sorted(payload for payload, _ in noting.ran) == ["a", "accepted before they are queued", "b", "c", "d"]
    assert [payload for payload, _ in noting.ran if len(payload) == 1] == ["a", "b", "c", "d"]


async def test_what_is_due_of_a_runtime_that_no_host_owns_is_found(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        ticket = await one.accept("new", "x", kind="kind", after_s=30)
        await trio.sleep(20)
        assert peek(database, "SELECT owner, phase FROM runtimes JOIN inputs USING (runtime)") == [[None, "accepted"]]
        assert await ended(ticket) == DONE
    assert noting.ran == [("x", pytest.approx(30, abs=0.2))]


async def test_a_restart_leaves_it_alone_until_its_time(database: Path, autojump_clock: MockClock) -> None:
    async def accept(one: tenure.Supervisor) -> None:
        runtime = await one.spawn("a", "kind")
        await runtime.accept("x", after_s=50, idempotency_key="k")

    await cut_off(database, {"kind": nothing}, accept)
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        await trio.sleep(20)
        assert await one.unowned() == []
        assert peek(database, "SELECT phase FROM inputs") == [["accepted"]]
        runtime = await one.spawn("a", "kind")
        await trio.sleep(10)
        assert noting.ran == []
        again = await runtime.accept("x", idempotency_key="k")
        assert again.deduplicated
        assert await ended(again) == DONE
    assert noting.ran == [("x", pytest.approx(50, abs=0.2))]


async def test_a_delayed_input_is_cancelled_and_retried_like_any_other(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        runtime = await one.spawn("a", "kind")
        ticket = await runtime.accept("x", after_s=50)
        assert await runtime.cancel(ticket.input_id)
        assert await ended(ticket) == ("abandoned", "cancelled")
        await trio.sleep(60)
        assert noting.ran == []
        await runtime.retry(ticket.input_id)
        await trio.sleep(1)
        assert [payload for payload, _ in noting.ran] == ["x"]


async def test_retire_abandons_what_is_not_due_and_drains_the_rest(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        runtime = await one.spawn("a", "kind")
        later = await runtime.accept("later", after_s=50)
        now = await runtime.accept("now")
        await runtime.retire()
        assert await ended(later) == ("abandoned", "retired")
        assert await ended(now) == DONE


async def test_a_deadline_of_a_delayed_input_counts_from_when_it_is_due(
    database: Path, autojump_clock: MockClock
) -> None:
    async def slow(run: tenure.Run) -> None:
        await trio.sleep(100)

    async with host(database, {"kind": slow}) as one:
        runtime = await one.spawn("a", "kind")
        first = await runtime.accept("first")
        ticket = await runtime.accept("x", after_s=20, deadline_s=30)
        assert await ended(ticket) == ("abandoned", "deadline_exceeded")
        assert trio.current_time() == pytest.approx(50, abs=0.3)
        assert await ended(first) == DONE


async def test_a_hold_keeps_what_is_due_waiting_and_its_deadline_too(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {"kind": noting}) as one:
        runtime = await one.spawn("a", "kind")
        ticket = await runtime.accept("x", after_s=20, deadline_s=30)
        await runtime.hold("for a while")
        await trio.sleep(100)
        assert peek(database, "SELECT phase FROM inputs") == [["accepted"]]
        await runtime.resume(hold=True)
        assert peek(database, "SELECT round(deadline - created_at) FROM inputs") == [
            [130.0]
        ]  # kept for 80 s of its time
        assert await ended(ticket) == DONE


async def test_delayed_inputs_have_a_limit_of_their_own(database: Path, autojump_clock: MockClock) -> None:
    limits = tenure.Limits(inbox_inputs=1, delayed_inputs=2)
    async with host(database, {"kind": nothing}, limits=limits) as one:
        runtime = await one.spawn("a", "kind")
        for _ in range(2):
            await runtime.accept("x", after_s=20)
        with pytest.raises(LimitReached):
            await runtime.accept("x", after_s=20)
        assert await ended(await runtime.accept("now")) == DONE
        await trio.sleep(30)
        assert peek(database, "SELECT count(*) FROM inputs WHERE phase = 'consumed'") == [[3]]


async def test_what_replaces_others_does_so_when_it_comes_into_the_inbox(
    database: Path, autojump_clock: MockClock
) -> None:
    async def slow(run: tenure.Run) -> None:
        await trio.sleep(30)

    async with host(database, {"kind": slow}) as one:
        runtime = await one.spawn("a", "kind")
        await runtime.accept("so that they wait")
        old = await runtime.accept("old", supersession_key="s")
        new = await runtime.accept("new", supersession_key="s", after_s=5)
        await trio.sleep(4)
        assert old.outcome is None
        assert [await ended(old), await ended(new)] == [("coalesced", None), DONE]


async def test_a_run_sends_for_later_and_again_sends_nothing_twice(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()

    async def sender(run: tenure.Run) -> None:
        run.send("b", "tomorrow", kind="noting", after_s=40)
        run.send("b", "now", kind="noting")
        run.send("b", "at noon", kind="noting", at=run.now() + dt.timedelta(seconds=20))
        await run.checkpoint()
        if run.inputs[0].attempts == 0:
            message = "once"
            raise RuntimeError(message)

    async with host(database, {"kind": sender, "noting": noting}) as one:
        assert await ended(await one.accept("a", "go", kind="kind")) == DONE
        await trio.sleep(60)
    assert [payload for payload, _ in noting.ran] == ["now", "at noon", "tomorrow"]
    assert noting.ran[2][1] == pytest.approx(40, abs=0.5)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"at": at(1), "after_s": 1}, "after_s"),
        ({"at": dt.datetime(2030, 1, 1)}, "at"),  # noqa: DTZ001 - that is what is refused
        ({"at": 7.0}, "at"),
        ({"after_s": -1}, "after_s"),
        ({"after_s": float("inf")}, "after_s"),
        ({"after_s": float("nan")}, "after_s"),
        ({"after_s": 1, "durability": "ephemeral"}, "durability"),
    ],
    ids=["both", "no zone", "no time", "negative", "endless", "no number", "ephemeral"],
)
async def test_a_delay_that_says_no_moment_is_refused_where_it_is_given(
    database: Path, autojump_clock: MockClock, terms: dict[str, Any], field: str
) -> None:
    async with host(database, {"kind": nothing}) as one:
        runtime = await one.spawn("a", "kind")
        with pytest.raises(InvalidInput) as refused:
            await runtime.accept("x", **terms)
        assert refused.value.field == field
