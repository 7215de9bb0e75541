"""A host that was killed beside stores with no supervisor: who meets what it left finds out that it is dead."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import pytest
import trio

from proof.seeded.mortal import MortalLocks
from tenure import QueuedWorkClaimBoundary, Seams, Store
from tenure.errors import NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.facets.attachments.attachments import BeginRemoval
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.queued.test_queue import draft, put
from tests.persistence.contracts.test_attachments import NEVER, digest

pytestmark = pytest.mark.sqlite("a death is proven by a lock file")

HOUR_MS: Final = 3_600_000


@attrs.frozen
class Pair:
    """Two stores of one file, of which one dies, and the clock of the other."""

    store: Store
    other: Store
    locks: MortalLocks
    clock: Clock

    def kill_other(self) -> None:
        self.locks.die()
        self.clock.now += 1.0  # a look at a host stands for a moment


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncGenerator[Pair]:
    async with _pair(tmp_path / "a.db") as opened:
        yield opened


@asynccontextmanager
async def _pair(path: Path) -> AsyncGenerator[Pair]:
    clock, locks = Clock(), MortalLocks()
    async with (
        open_seen_store(path, seams=Seams(boot_clock=clock)) as store,
        open_seen_store(path, seams=Seams(engine=SqliteOptions(locks=locks))) as other,
    ):
        yield Pair(store, other, locks, clock)


async def test_work_that_a_dead_host_had_claimed_is_pending(pair: Pair) -> None:
    await put(pair.store, draft("one"), draft("two"))
    await pair.other.queue.claim_ready_queued_work("s", "w", QueuedWorkClaimBoundary.IDLE, HOUR_MS, 1)
    assert [each.batch_id for each in await pair.store.queue.list_pending_queued_work("s")] == ["qwb:2"]

    pair.kill_other()

    assert [each.batch_id for each in await pair.store.queue.list_pending_queued_work("s")] == ["qwb:1", "qwb:2"]


async def test_each_host_that_is_in_the_way_is_looked_at_by_itself(pair: Pair, tmp_path: Path) -> None:
    await put(pair.store, draft("one"), draft("other", session="t"))
    await pair.other.queue.claim_ready_queued_work("t", "w", QueuedWorkClaimBoundary.IDLE, HOUR_MS, 1)
    async with open_seen_store(tmp_path / "a.db") as third:
        await third.queue.claim_ready_queued_work("s", "w", QueuedWorkClaimBoundary.IDLE, HOUR_MS, 1)
        pair.kill_other()
        for session, free in (("s", False), ("t", True)):
            claim = await pair.store.queue.claim_ready_queued_work(
                session, "w", QueuedWorkClaimBoundary.IDLE, HOUR_MS, 1
            )
            assert (claim is not None) == free


async def test_what_a_dead_host_has_only_meant_is_collected(pair: Pair) -> None:
    orphan, own = await pair.other.attachments.put("s", b"orphan"), await pair.store.attachments.put("s", b"own")
    assert await pair.store.attachments.collect(NEVER) == 0

    pair.kill_other()

    assert await pair.store.attachments.collect(NEVER) == 1
    assert await pair.store.attachments.get("s", own) == b"own"
    with pytest.raises(NotFound):
        await pair.store.attachments.get("s", orphan)


async def test_a_removal_that_a_dead_host_had_begun_is_in_the_way_of_no_writer(pair: Pair) -> None:
    await pair.other.commit(Commit(changes=(BeginRemoval(attachment_id=digest(b"report")),)))
    pair.kill_other()

    with trio.fail_after(30):
        attachment_id = await pair.store.attachments.put("s", b"report")

    assert await pair.store.attachments.get("s", attachment_id) == b"report"
