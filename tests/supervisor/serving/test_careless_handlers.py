"""Handlers that give back, complete, cancel or fail as they like, on two hosts that drain: no work is lost or doubled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import QueuedWorkClaimExpired
from tests.kit.hosting import Gate, host
from tests.kit.serving import queue
from tests.kit.shares import share

SESSIONS: Final = ("s1", "s2", "s3")
ACTS: Final = ("return",) * 8 + ("fail", "give back", "give back and fail", "complete", "complete and fail", "cancel")
RETRY: Final = tenure.RestartPolicy(max_attempts=3, backoff_s=0.5)
LIMITS: Final = tenure.Limits(poll_s=1.0, lease_s=12.0, renew_s=3.0)
STUCK_S: Final = 3_000.0


@final
class Careless:
    """What the handlers of one seed do, and what they saw.

    Attributes:
        begun: Each call: its session, and the ids of its batches.
        done: The batches that a handler has returned from, or completed itself.
        wrong: What may not be; an error would be one more attempt that failed.
    """

    def __init__(self, source: random.Random, per_session: int) -> None:
        self.begun: list[tuple[str, tuple[str, ...]]] = []
        self.done: set[str] = set()
        self.wrong: list[str] = []
        self._source = source
        self._per_session = per_session
        self._running: Counter[str] = Counter()

    async def handle(self, store: tenure.Store, work: tenure.QueuedWork) -> None:
        session, batch_ids = str(work.session_id), work.claim.completion().batch_ids
        if self._running[session] >= self._per_session:
            self.wrong.append(f"more than {self._per_session} claims of {session} at once")
        if not self.done.isdisjoint(batch_ids):
            self.wrong.append(f"{batch_ids} of {session} was done before")
        self.begun.append((session, batch_ids))
        self._running[session] += 1
        act = self._source.choice(ACTS)
        try:
            await trio.sleep(self._source.choice((0.0, 0.1, 1.0, 20.0)))
            await self._act(store, work.claim, act)
        finally:
            self._running[session] -= 1
        if act != "give back":
            self.done.update(batch_ids)

    async def _act(self, store: tenure.Store, claim: tenure.QueuedWorkClaim, act: str) -> None:
        if "give back" in act:
            with suppress(QueuedWorkClaimExpired):  # the service was cancelled meanwhile
                await store.queue.abandon_queued_work_claim(claim)
        elif "complete" in act:
            await store.queue.complete_queued_work_claim(claim.completion())
            self.done.update(claim.completion().batch_ids)  # whatever comes after it
        elif act == "cancel":
            with trio.CancelScope() as scope:
                scope.cancel()
                await trio.sleep_forever()
        if "fail" in act:
            raise ValueError("careless")

    async def serve(self, supervisor: tenure.Supervisor) -> None:
        """One service after another, each for a while."""
        while True:
            with trio.move_on_after(self._source.choice((3.0, 30.0, 1_000.0))):
                await supervisor.serve_queue(
                    "",
                    partial(self.handle, supervisor.store),
                    concurrency=self._source.choice((1, 4)),
                    per_session=self._per_session,
                    restart=RETRY,
                    drain_s=self._source.choice((0.0, 2.0)),
                )
            await trio.sleep(self._source.random())

    async def rest(self, supervisor: tenure.Supervisor) -> None:
        """Drain the host, now and then, and end that."""
        while True:
            await trio.sleep(60 * self._source.random())
            with trio.move_on_after(self._source.choice((0.5, 1_000.0))):
                await supervisor.drain(drain_s=self._source.choice((0.0, 2.0, 30.0)))
            await trio.sleep(20 * self._source.random())
            await supervisor.undrain()

    async def stutter(self, gate: Gate) -> None:
        """Let the writer stand still, now and then."""
        try:
            while True:
                await trio.sleep(2 * self._source.random())
                gate.shut()
                await trio.sleep(self._source.choice((0.01, 0.2, 1.0)))
                gate.open()
        finally:
            gate.open()


async def left(store: tenure.Store) -> int:
    """How many batches wait that are not dead."""
    return sum(
        [
            len(await store.queue.list_queued_work(session)) - len(await store.queue.list_failed_queued_work(session))
            for session in SESSIONS
        ]
    )


@pytest.mark.parametrize("per_session", [1, 3])
@pytest.mark.parametrize("seed", share(range(20), 10))
async def test_whatever_handlers_do_with_their_claims_no_work_is_lost_doubled_or_out_of_order(
    database: Path, autojump_clock: MockClock, seed: int, per_session: int
) -> None:
    source = random.Random(seed)
    careless, gates = Careless(source, per_session), (Gate(), Gate())
    async with (
        host(database, {}, gate=gates[0], limits=LIMITS) as one,
        host(database, {}, gate=gates[1], limits=LIMITS) as other,
        trio.open_nursery() as nursery,
    ):
        beside: list[Callable[[], Coroutine[Any, Any, None]]] = [partial(careless.stutter, gate) for gate in gates]
        for each in (one, other):
            beside += [partial(careless.serve, each), partial(careless.rest, each)]
        for task in beside:
            nursery.start_soon(task)
        for number in range(source.randrange(10, 40)):
            await trio.sleep(source.random())
            await queue(source.choice((one, other)), f"{number}", session=source.choice(SESSIONS))
        with trio.fail_after(STUCK_S):
            while await left(one.store):  # noqa: ASYNC110 - as a user would ask
                await trio.sleep(5)
        nursery.cancel_scope.cancel()

    assert not careless.wrong
    for session in SESSIONS if per_session == 1 else ():
        first = list(dict.fromkeys(each for of, batch_ids in careless.begun if of == session for each in batch_ids))
        assert first == sorted(first, key=lambda batch_id: int(batch_id.partition(":")[2])), session
