"""Queued work of a host that is about to be killed, and what its parent holds against the database.

Work is queued one after another in a few sessions, and served. The handler files each piece as a node of its session, by the
turn that completes its claim: so each is filed once, in the order of its session, or still queued.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, final

import apsw
import trio
from attrs import define, field

import tenure
from tenure.persistence.store import ground_of

DESKS: Final = ("desk 0", "desk 1", "desk 2")
PREFIX: Final = "desk "
PIECES: Final = 30
"""New pieces that each life queues."""

FAILS: Final = 0.1
POLICY: Final = tenure.RestartPolicy(max_attempts=50, backoff_s=0.01, max_crashes=10_000)


def desk_of(number: int) -> str:
    """The session of a piece."""
    return DESKS[number % len(DESKS)]


def name_of(number: int) -> str:
    """Source key of its batch, and id of its node."""
    return f"w-{number}"


@final
class Desk:
    """The queued work of one life. `say` writes to the parent, `passed` may be the end."""

    def __init__(self, say: Callable[..., None], passed: Callable[[str], None], source: random.Random) -> None:
        """Serve nothing yet."""
        self._say = say
        self._passed = passed
        self._random = source

    async def live(self, supervisor: tenure.Supervisor, numbers: list[int], *, to_the_end: bool) -> None:
        """Queue these pieces while they are served; `to_the_end`: until none is queued any more."""
        async with trio.open_nursery() as nursery:  # owned by this life
            await nursery.start(
                partial(supervisor.serve_queue, PREFIX, partial(self._file, supervisor), concurrency=4, restart=POLICY)
            )
            for number in numbers:
                await self._queue(supervisor, number)
            if to_the_end:
                await _emptied(supervisor.store)
            nursery.cancel_scope.cancel()

    async def _queue(self, supervisor: tenure.Supervisor, number: int) -> None:
        draft = tenure.QueuedWorkBatchDraft(
            session_id=desk_of(number),
            delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=tenure.SlotPolicy.EXCLUSIVE,
            payloads=(tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=str(number).encode()),),
            source_key=name_of(number),
        )
        await supervisor.store.queue.enqueue_queued_work(draft)
        self._say("queued", number)

    async def _file(self, supervisor: tenure.Supervisor, work: tenure.QueuedWork) -> None:
        (batch,) = work.batches
        number = int(batch.items[0].payload.body)
        self._say("begun", number)
        self._passed("work")
        if self._random.random() < FAILS:
            raise RuntimeError(f"{number} fails")
        session = supervisor.store.sessions.bind(work.session_id)
        read = await session.load_session(tenure.ActivePath())
        head = None if read is None else read.graph.leaf_node_id
        node = tenure.SessionNodeRecord(node_id=name_of(number), parent_node_id=head, payload=b"filed")
        await session.commit_runtime_state(
            tenure.RuntimeCommit(
                session_id=work.session_id,
                expected_head_revision=0 if read is None else read.head_revision,
                nodes=(node,),
                completed_queue_claims=(work.claim.completion(),),
            )
        )
        self._say("filed", number)


async def _emptied(store: tenure.Store) -> None:
    """Wait until no work is queued."""
    bell = ground_of(store).queue_bell
    while True:
        rung = bell.next
        if not any([await store.queue.list_queued_work(desk) for desk in DESKS]):
            return
        await rung.wait()


@final
@define(slots=True)
class WorkSaid:
    """What hosts have said of queued work, over all lives.

    Attributes:
        given: Pieces that were about to be queued.
        queued: Those whose queueing was acknowledged.
        filed: Those whose turn was acknowledged.
        begun: How often a handler was called.
    """

    given: set[int] = field(factory=set[int])
    queued: set[int] = field(factory=set[int])
    filed: set[int] = field(factory=set[int])
    begun: int = 0

    def hear(self, kind: str, number: int) -> None:
        """Take in what is said of one piece."""
        match kind:
            case "queued":
                self.queued.add(number)
            case "filed":
                self.filed.add(number)
            case _:
                self.begun += 1

    def problems(self, database: apsw.Connection) -> Iterator[str]:
        """What differs between all that was said and what a host left."""
        waiting = {key for (key,) in database.execute(_WAITING)}
        filed: list[tuple[str, int]] = [(desk, int(name[2:])) for desk, name in database.execute(_FILED)]
        for desk in DESKS:
            mine = [number for where, number in filed if where == desk]
            if mine != sorted(set(mine)):
                yield f"{desk} has {mine}, which is not its order, or one twice"
        there = {number for _, number in filed}
        for number in sorted(self.queued):
            if number not in there and name_of(number) not in waiting:
                yield f"piece {number} was queued, and is neither there nor done"
        for number in sorted(self.filed):
            if number not in there or name_of(number) in waiting:
                yield f"piece {number} was filed, and is not, or waits still"
        if there - self.given:
            yield f"{sorted(there - self.given)} were filed, and never queued"


_WAITING: Final = "SELECT source_key FROM queue_batches WHERE session_id LIKE 'desk %'"
_FILED: Final = """
SELECT s.session_id, n.node_id FROM nodes n JOIN sessions s ON s.session = n.session
WHERE s.session_id LIKE 'desk %' AND n.tombstoned_at IS NULL ORDER BY n.node
"""
