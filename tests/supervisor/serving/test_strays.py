"""What a handler raises that cancels nothing, and what is read while a claim is renewed: neither ends the service."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import Contended
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Heads
from tests.kit.hosting import host
from tests.kit.serving import Noting, draft, put, queue, served, serving, texts_of

ONCE = tenure.RestartPolicy(max_attempts=1)


async def _cancelled() -> trio.Cancelled:
    """A cancellation whose scope has ended."""
    kept: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep(1.0)
        except trio.Cancelled as exc:
            kept.append(exc)
            raise
    return kept[0]


@pytest.mark.parametrize("form", ["alone", "in a group"])
async def test_a_cancellation_that_nothing_has_asked_for_is_an_attempt_that_failed(
    database: Path, autojump_clock: MockClock, form: str
) -> None:
    done: list[str] = []

    async def handle(work: tenure.QueuedWork) -> None:
        if texts_of(work) == "stray":
            kept = await _cancelled()
            raise BaseExceptionGroup("two", [kept, ValueError("no")]) if form == "in a group" else kept
        done.append(texts_of(work))

    async with host(database, {}) as supervisor:
        await queue(supervisor, "stray", "next")
        async with serving(supervisor, handle, restart=ONCE):
            await served(supervisor)
        (failure,) = await supervisor.store.queue.list_failed_queued_work("s")

    assert done == ["next"]
    assert failure.is_dead
    assert "Cancelled" in failure.error


async def test_a_read_that_fails_while_a_lost_claim_is_looked_for_is_tried_again(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_queued, reads = Serving.is_queued, 0

    async def busy_once(self: Serving, claim: tenure.QueuedWorkClaim) -> bool:
        nonlocal reads
        reads += 1
        if reads == 1:
            raise Contended(detail="another's lock")
        return await is_queued(self, claim)

    noting = Noting(lasts_s=60.0)
    held: list[tenure.QueuedWorkClaim] = []

    async def handle(work: tenure.QueuedWork) -> None:
        held.append(work.claim)
        await noting(work)

    async with host(database, {}) as supervisor:
        await queue(supervisor, "work")
        monkeypatch.setattr(Serving, "is_queued", busy_once)
        async with serving(supervisor, handle):
            await trio.sleep(1.0)
            await supervisor.store.queue.abandon_queued_work_claim(held[0])
            boundary = tenure.QueuedWorkClaimBoundary.IDLE
            assert await supervisor.store.queue.claim_ready_queued_work("s", "me", boundary, 600_000, 1) is not None
            await trio.sleep(30.0)
            assert (reads, noting.running) == (2, 0), "another has its work"
            await queue(supervisor, "next", session="t")
            await served(supervisor, "t")

    assert noting.done == ["next"]


async def test_who_waits_for_the_next_of_two_slow_looks_sleeps(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where very many sessions have queued work a look is long, and the next one comes ten times as long after it."""
    look, next_lapse_s, asked = Serving.look, Serving.next_lapse_s, 0

    async def slow(self: Serving, sessions: str, per_session: int) -> Heads:
        await trio.sleep(1.0)
        return await look(self, sessions, per_session)

    def counted(self: Serving) -> float | None:
        nonlocal asked
        asked += 1
        return next_lapse_s(self)

    noting = Noting()
    monkeypatch.setattr(Serving, "look", slow)
    monkeypatch.setattr(Serving, "next_lapse_s", counted)
    async with host(database, {}) as supervisor:
        due_ms = int(supervisor.store.seams.wall_clock() * 1000) + 3_000
        await put(supervisor.store, attrs.evolve(draft("due"), available_at_ms=due_ms))
        async with serving(supervisor, noting):
            await served(supervisor)

    assert noting.done == ["due"]
    assert asked < 50
