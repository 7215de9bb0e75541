"""Two hosts at a time that serve one queue and die, freeze and end; one who queues work, and looks after what is dead."""

from __future__ import annotations

import random
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from tenure import errors
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.store import ground_of

from .judge import MAX_ATTEMPTS, PER_S, STARTS, Call, Judge, Piece, names_of, now_ms
from .mortal import Outside

SESSIONS: Final = ("work/a", "work/b", "work/c")
PREFIX: Final = "work/"
PIECES: Final = 40
EVERY_S: Final = 2.5
"""Mean seconds between two pieces."""

LIFE_S: Final = (40.0, 9.0)
"""Mean seconds of a life, in the even seeds and in the odd ones."""

MAX_CRASHES: Final = (3, 2)

WORK_S: Final = 5.0
FAILS: Final = 0.15
JOINS: Final = 0.3
DELAYED: Final = 0.15
FILED: Final = 0.7
CANCELLED: Final = 0.1
FROZEN_S: Final = 40.0
"""So long a frozen host stands still: longer than its lease, and its claims."""

LONGEST_S: Final = 20_000.0
"""Virtual seconds in which everything must have ended."""

LIMITS: Final = tenure.Limits(busy_s=1.0, poll_s=1.0)


class NotToday(Exception):
    """An attempt fails, as attempts do."""


async def play(seed: int, file: Path) -> str:
    """One seed: its result, in a line. Raises `Broken`."""
    fleet = Fleet(seed, file)
    with trio.move_on_after(LONGEST_S) as scope:
        await fleet.play()
    if scope.cancelled_caught:
        raise Broken(f"stuck: {fleet.left or 'a host'}")
    fleet.judge.judge(fleet.filed)
    ends = ", ".join(f"{count} {how}" for how, count in sorted(fleet.ends.items()))
    return f"{len(fleet.judge.starts)} calls, {ends}, {trio.current_time():.0f} s"


@final
class Fleet:
    """The hosts of one seed.

    Attributes:
        judge: Hears of everything.
        ends: How lives ended, and how often.
        filed: By session, the names that its turns have filed, in order.
        left: What is still queued.
    """

    def __init__(self, seed: int, file: Path) -> None:
        """No host yet."""
        self._life_s, max_crashes = LIFE_S[seed % 2], MAX_CRASHES[seed % 2]
        self._policy = tenure.RestartPolicy(max_attempts=MAX_ATTEMPTS, backoff_s=4.0, max_crashes=max_crashes)
        self.judge = Judge(max_crashes)
        self.ends: dict[str, int] = {}
        self.filed: dict[str, list[str]] = {}
        self.left: list[str] = []
        self._seed = seed
        self._file = file
        self._over = trio.Event()
        self._thaw = trio.Event()
        self._desk: tenure.Store

    async def play(self) -> None:
        """Queue and serve until all is done."""
        async with self._host(Outside("desk", self._seed)) as desk, trio.open_nursery() as nursery:
            self._desk = desk.store
            for place in ("left", "right"):
                nursery.start_soon(self._lives, place, nursery)
            await self._queue_all(desk.store)
            self._over.set()
            last = Outside("last", self._seed)
            async with self._host(last) as supervisor, trio.open_nursery() as serving:
                serving.start_soon(partial(self._serve, supervisor, last))
                await self._until_empty(desk.store)
                serving.cancel_scope.cancel()
            await self._read(desk.store)
            self._thaw.set()

    def _host(self, outside: Outside) -> AbstractAsyncContextManager[tenure.Supervisor]:
        return tenure.open_supervisor(
            self._file, behaviours={}, durability="os", limits=LIMITS, seams=outside.seams, drain_s=0
        )

    # Who queues, and looks after what is dead

    async def _queue_all(self, store: tenure.Store) -> None:
        source = random.Random(f"{self._seed}/desk")
        for number in range(PIECES):
            await trio.sleep(source.expovariate(1 / EVERY_S))
            await self._queue(store, source, f"p{number}")
            if source.random() < CANCELLED:
                await self._cancel(store, source.choice(sorted(self.judge.pieces)))
            await self._care(store, source)

    async def _queue(self, store: tenure.Store, source: random.Random, name: str) -> None:
        due_ms = now_ms() + int(source.expovariate(1 / 20_000)) if source.random() < DELAYED else 0
        joins = source.random() < JOINS
        piece = Piece(session=source.choice(SESSIONS), due_ms=due_ms, filed=source.random() < FILED)
        self.judge.pieces[name] = piece
        draft = tenure.QueuedWorkBatchDraft(
            session_id=piece.session,
            delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=tenure.SlotPolicy.JOIN if joins else tenure.SlotPolicy.EXCLUSIVE,
            payloads=(tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=name.encode()),),
            source_key=name,
            merge_key=tenure.MergeKey.group(f"filed: {piece.filed}") if joins else tenure.MergeKey.never(),
            available_at_ms=due_ms,
        )
        while True:
            try:
                return self.judge.queued(name, await store.queue.enqueue_queued_work(draft))
            except NOT_NOW:
                await trio.sleep(1.0)

    async def _cancel(self, store: tenure.Store, name: str) -> None:
        piece = self.judge.pieces[name]
        try:
            gone = await store.queue.cancel_queued_work_batch(piece.session, f"qwb:{piece.place}")
        except NOT_NOW:
            return
        if gone is not None:
            self.judge.cancelled(name)

    async def _care(self, store: tenure.Store, source: random.Random) -> None:
        """Try again what is dead, or cancel it; and judge so far. Raises `Broken`."""
        self.judge.so_far()
        for session in SESSIONS:
            for failure in await store.queue.list_failed_queued_work(session):
                if not failure.is_dead:
                    continue
                name = self._name_of(failure.batch_id)
                if source.random() < 1 / 2:
                    await self._cancel(store, name)
                elif await store.queue.retry_queued_work_batch(session, failure.batch_id) is not None:
                    self.judge.tried_again(name)

    async def _until_empty(self, store: tenure.Store) -> None:
        source, bell = random.Random(f"{self._seed}/end"), ground_of(store).queue_bell
        while True:
            rung = bell.next
            await self._care(store, source)
            found = [each for session in SESSIONS for each in await store.queue.list_queued_work(session)]
            self.left = [each.batch_id for each in found]
            if not found:
                return
            with trio.move_on_after(5.0):
                await rung.wait()

    async def _read(self, store: tenure.Store) -> None:
        for session in SESSIONS:
            read = await store.sessions.load_session(session, tenure.ActivePath())
            self.filed[session] = [] if read is None else [str(node.node_id) for node in read.graph.nodes]

    # Who serves

    async def _lives(self, place: str, nursery: trio.Nursery) -> None:
        source, life = random.Random(f"{self._seed}/{place}"), 0
        while not self._over.is_set():
            life += 1
            outside = Outside(f"{place} {life}", self._seed)
            how = source.choices(("died", "froze", "ended"), (3, 1, 2))[0]
            gone = trio.Event()
            nursery.start_soon(self._live, outside, how, source.expovariate(1 / self._life_s), gone)
            await gone.wait()
            self.ends[how] = self.ends.get(how, 0) + 1

    async def _live(self, outside: Outside, how: str, life_s: float, gone: trio.Event) -> None:
        try:
            async with self._host(outside) as supervisor, trio.open_nursery() as nursery:  # owned by this life
                nursery.start_soon(partial(self._serve, supervisor, outside))
                try:
                    await self._until_end(outside, how, life_s, gone)
                finally:
                    outside.gate.open()  # so that it can be closed: what one that died writes now is a lost host's
                nursery.cancel_scope.cancel()
        finally:
            gone.set()

    async def _until_end(self, outside: Outside, how: str, life_s: float, gone: trio.Event) -> None:
        with trio.move_on_after(life_s):
            await self._over.wait()
        if how == "froze" and not self._over.is_set():
            outside.gate.shut()
            await trio.sleep(FROZEN_S)
            outside.gate.open()
            await trio.sleep(life_s)
        if how == "died":
            outside.die()
            self.judge.died(outside)
            gone.set()
            await self._thaw.wait()

    async def _serve(self, supervisor: tenure.Supervisor, outside: Outside) -> None:
        await supervisor.serve_queue(
            PREFIX,
            partial(self._work, supervisor.store, outside),
            concurrency=3,
            rate=(STARTS, PER_S),
            restart=self._policy,
        )

    async def _work(self, store: tenure.Store, outside: Outside, work: tenure.QueuedWork) -> None:
        if outside.dead:
            await trio.sleep_forever()
        call = self.judge.begin(work, outside)
        try:
            if call.passed:
                self.judge.passed(call, await self._dead_of_crashes(work.session_id))
            await self._carry_out(store, outside, call)
        except NOT_NOW as exc:
            self.judge.failing(call)
            raise NotToday from exc
        except errors.Error as exc:
            self.judge.broke(f"the handler of {names_of(work)} met {exc!r}")
            raise
        finally:
            if not outside.dead:
                self.judge.over(call)

    async def _dead_of_crashes(self, session: str) -> dict[str, int]:
        """The names of what is dead, and of how many crashes, as one sees it whom no gate keeps."""
        dead = [each for each in await self._desk.queue.list_failed_queued_work(session) if each.is_dead]
        return {self._name_of(each.batch_id): each.crashes for each in dead}

    def _name_of(self, batch_id: str) -> str:
        return next(name for name, piece in self.judge.pieces.items() if f"qwb:{piece.place}" == batch_id)

    async def _carry_out(self, store: tenure.Store, outside: Outside, call: Call) -> None:
        source = random.Random(f"{self._seed}/{names_of(call.work)}/{call.work.claim.claim_id}")
        await trio.sleep(source.expovariate(1 / WORK_S))
        await outside.gate.passed()
        if outside.dead:
            await trio.sleep_forever()
        if source.random() < FAILS:
            self.judge.failing(call)
            raise NotToday(names_of(call.work))
        if self.judge.pieces[names_of(call.work)[0]].filed:
            await self._turn(store, call)
        self.judge.returned(call)

    async def _turn(self, store: tenure.Store, call: Call) -> None:
        """Complete the claim with a turn that files each piece."""
        session, work = store.sessions.bind(call.work.session_id), call.work
        read = await session.load_session(tenure.ActivePath())
        parent = None if read is None else read.graph.leaf_node_id
        nodes: list[tenure.SessionNodeRecord] = []
        for name in names_of(work):
            nodes.append(tenure.SessionNodeRecord(node_id=name, parent_node_id=parent, payload=b"done"))
            parent = name
        self.judge.ending(call)
        try:
            await session.commit_runtime_state(
                tenure.RuntimeCommit(
                    session_id=work.session_id,
                    expected_head_revision=0 if read is None else read.head_revision,
                    nodes=tuple(nodes),
                    completed_queue_claims=(work.claim.completion(),),
                )
            )
        except errors.HeadRevisionConflict as exc:
            self.judge.failing(call)  # one that was frozen has filed its own meanwhile
            raise NotToday from exc
        except errors.QueuedWorkClaimExpired:
            await trio.sleep_forever()  # another has it: this handler is stopped with the next renewal
