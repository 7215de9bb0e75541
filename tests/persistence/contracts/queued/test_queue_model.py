"""Queued work and its workers against a model: one store, or two on the same file, alone in a group and in a replayed one.

Two stores also write at once: then the answers must be those of one order.
"""

from __future__ import annotations

import copy
import tempfile
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, final

import attrs
import pytest
import trio
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tenure
from tenure import MergeKey, QueuedWorkClaim, QueuedWorkClaimBoundary, Seams, Store
from tenure.errors import Error, QueuedWorkClaimExpired
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.rates import SetRate
from tenure.persistence.facets.queue.serving import ServeNext
from tenure.persistence.model.contracts.queued_work import NEVER_MS, key_of_batch, name_of_batch
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.models import call, keeping, side_by_side
from tests.kit.shares import examples
from tests.persistence.contracts.queued.test_queue import Clock, draft, texts

SESSIONS = ("s", "t")
TTL_MS = 10_000
IDLE = QueuedWorkClaimBoundary.IDLE
at_once = st.sampled_from(("claim", "claim", "claim", "cancel", "enqueue", "end"))
sessions, who = st.sampled_from(("s", "s", "s", "t")), st.integers(0, 1)


@attrs.define
class Batch:
    seq: int
    session: str
    key: str | None
    early: bool
    merge: str | None
    fence: int = 0
    claim: str | None = None
    until: float | None = None
    failure: Failure | None = None

    def comes(self, now: float) -> bool:
        """Whether it stands in the queue now, or would at the next claim."""
        return self.until is None or self.until <= now


@attrs.define
class Failure:
    attempts: int
    failed_at: float
    retry_at: float | None

    def waits(self, now: float) -> bool:
        return self.retry_at is not None and now < self.retry_at


@attrs.define
class Rate:
    """How many start in how many seconds, and which starts are still known, by their places."""

    starts: int
    per_s: float
    known: dict[int, float] = attrs.field(factory=dict[int, float])

    def until(self, now: float) -> float | None:
        oldest = self.known.get(max(self.known, default=0) - self.starts + 1)
        return None if oldest is None or oldest + self.per_s <= now else oldest + self.per_s

    def start(self, now: float) -> None:
        place = max(self.known, default=0) + 1
        self.known[place] = now
        self.known = {
            each: at for each, at in self.known.items() if each > place - self.starts or at > now - self.per_s
        }


@attrs.define
class Claim:
    session: str
    batches: list[int]
    renewals: int = 0


@final
@attrs.define
class Model:
    """What the queue holds, and what each store has seen of its claims and when."""

    last: int = 0
    batches: dict[int, Batch] = attrs.field(factory=dict[int, Batch])
    claims: dict[str, Claim] = attrs.field(factory=dict[str, Claim])
    rate: Rate | None = None
    seen: dict[tuple[int, str], dict[tuple[str, int], float]] = attrs.field(factory=dict[Any, Any])

    def enqueue(self, session: str, key: str | None, merge: str | None, *, early: bool) -> int:
        for batch in self.batches.values():
            if key is not None and (batch.session, batch.key) == (session, key):
                return batch.seq
        self.last += 1
        self.batches[self.last] = Batch(self.last, session, key, early, merge)
        return self.last

    def holds(self, store: int, claim_id: str, now: float) -> bool:
        claim = self.claims[claim_id]
        first = self.seen.get((store, claim.session), {}).get((claim_id, claim.renewals))
        return first is None or now - first < TTL_MS / 1000

    def look(self, store: int, session: str, now: float) -> None:
        before = self.seen.get((store, session), {})
        marks = [(name, claim.renewals) for name, claim in self.claims.items() if claim.session == session]
        self.seen[store, session] = {mark: before.get(mark, now) for mark in marks}

    def held(self, store: int, session: str, now: float) -> list[str]:
        return [
            claim_id
            for claim_id, claim in self.claims.items()
            if claim.session == session and self.holds(store, claim_id, now)
        ]

    def give_back(self, claim_id: str) -> None:
        for seq in self.claims.pop(claim_id).batches:
            self.batches[seq].claim = None

    def take(
        self, store: int, session: str, count: int, now: float, ids: list[int] | None, *, within: bool
    ) -> str | None:
        held = self.held(store, session, now)
        self.let_come(session, now)
        open_ = self.open(session, held)
        if ids is not None:
            open_ = [each for each in open_ if each.seq >= ids[0]][: len(ids)]
        group = self.group(open_, count if ids is None else len(ids))
        refused = not group or (within and not group[0].early)
        if refused or (ids is not None and [each.seq for each in group] != ids):
            self.look(store, session, now)
            return None
        for claim_id in {each.claim for each in group if each.claim is not None}:
            self.give_back(claim_id)
        name = self.claim(session, group)
        self.look(store, session, now)
        return name

    def let_come(self, session: str, now: float) -> None:
        for each in self.batches.values():
            if each.session == session and each.comes(now):
                each.until = None

    def open(self, session: str, held: list[str]) -> list[Batch]:
        found = self.batches.values()
        return [each for each in found if each.session == session and each.claim not in held and each.until is None]

    def group(self, found: list[Batch], count: int) -> list[Batch]:
        group = found[:1]
        if group and group[0].merge is not None:
            for each in found[1:count]:
                if (each.merge, each.early) != (group[0].merge, group[0].early):
                    break
                group.append(each)
        return group

    def claim(self, session: str, group: list[Batch]) -> str:
        name = f"qwc:{group[0].seq}:{group[0].fence + 1}"
        for each in group:
            each.claim, each.fence = name, each.fence + 1
        self.claims[name] = Claim(session, [each.seq for each in group])
        return name

    # Workers

    def ready(self, store: int, now: float, per_session: int) -> list[str]:
        """The sessions with work for a worker."""
        found: list[str] = []
        for session in SESSIONS:
            held = self.held(store, session, now)
            if any(claim.session == session for claim in self.claims.values()):
                self.look(store, session, now)
            heads = [
                each
                for each in self.batches.values()
                if each.session == session and each.claim not in held and each.comes(now)
            ]
            if heads and len(held) + self.waiting(session, now) < per_session:
                found.append(session)
        return found

    def waiting(self, session: str, now: float) -> int:
        return sum(
            each.failure is not None and each.failure.waits(now)
            for each in self.batches.values()
            if each.session == session
        )

    def serve(
        self, store: int, session: str, count: int, now: float, per_session: int, rate: tuple[int, float] | None
    ) -> tuple[str | None, int, float | None]:
        """What was claimed, the attempts that failed before, and until when the rate is in the way."""
        self.let_come(session, now)
        held = self.held(store, session, now)
        for claim_id in [each for each, claim in self.claims.items() if claim.session == session and each not in held]:
            self.give_back(claim_id)
        self.look(store, session, now)
        if len(held) + self.waiting(session, now) >= per_session:
            return None, 0, None
        group = self.group(self.open(session, held), count)
        for place, each in enumerate(group):
            if each.failure is not None:
                group = group[: max(place, 1)]
                break
        if not group:
            return None, 0, None
        if rate is not None:
            self.rate = self.rate or Rate(*rate)
            until = self.rate.until(now)
            if until is not None:
                return None, 0, until
            self.rate.start(now)
        name = self.claim(session, group)
        self.look(store, session, now)
        failure = group[0].failure
        return name, failure.attempts if failure is not None else 0, None

    def complete_and_serve(self, store: int, claim_id: str, session: str, count: int, now: float) -> tuple[Any, ...]:
        """What was claimed, and what follows it."""
        self.ended(claim_id, done=True)
        name, attempts, _ = self.serve(store, session, count, now, 1, None)
        free = [each for each in self.batches.values() if each.session == session and each.claim is None]
        following = next((each.seq for each in free if each.until is None), None)
        return name, attempts, None if name is None else following

    def fail(self, claim_id: str, now: float, wait_s: float | None) -> None:
        if claim_id not in self.claims:
            raise QueuedWorkClaimExpired(session_id="", claim_id=claim_id)
        seqs = self.claims[claim_id].batches
        self.give_back(claim_id)
        for each in map(self.batches.__getitem__, seqs):
            attempts = 1 + (each.failure.attempts if each.failure is not None else 0)
            each.failure = Failure(attempts, now, None if wait_s is None else now + wait_s)
            each.until = NEVER_MS / 1000 if wait_s is None else now + wait_s

    def retry(self, session: str, seq: int) -> bool:
        batch = self.batches.get(seq)
        if batch is None or batch.session != session or batch.claim is not None or batch.failure is None:
            return False
        batch.failure = batch.until = None
        return True

    def set_rate(self, starts: int, per_s: float) -> None:
        known = {} if self.rate is None else self.rate.known
        self.rate = Rate(starts, per_s, known)

    def prune(self, now: float) -> int:
        if self.rate is None or any(at > now or at + self.rate.per_s > now for at in self.rate.known.values()):
            return 0
        self.rate = None
        return 1

    def ended(self, claim_id: str, *, done: bool) -> None:
        if claim_id not in self.claims:
            raise QueuedWorkClaimExpired(session_id="", claim_id=claim_id)
        seqs = self.claims[claim_id].batches
        self.give_back(claim_id)
        for seq in seqs if done else ():
            del self.batches[seq]

    def cancel(self, store: int, session: str, seq: int, now: float) -> bool:
        held, batch = self.held(store, session, now), self.batches.get(seq)
        won = batch is not None and batch.session == session and batch.claim not in held
        if won and batch is not None:
            if batch.claim is not None:
                self.give_back(batch.claim)
            del self.batches[seq]
        self.look(store, session, now)
        return won

    def pending(self, store: int, session: str, now: float) -> list[int]:
        held = self.held(store, session, now)
        self.look(store, session, now)
        return [each.seq for each in self.batches.values() if each.session == session and each.claim not in held]


@final
class Hosts:
    """Stores on one file, or one in memory, in a trio loop of their own."""

    def __init__(self, target: str, clock: Clock) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve, target, clock))
        self._thread.start()
        self._ready.wait()

    async def _serve(self, target: str, clock: Clock) -> None:
        seams = Seams(boot_clock=clock, wall_clock=clock)
        opened = partial(tenure.open_store, target, durability="memory")
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        async with opened(seams=seams) as store:
            if target == ":memory:":
                self.stores = (store, store)
                await self._wait()
            else:
                # The other one keeps the rows of every group for a while, as groups of many commits do.
                async with opened(seams=attrs.evolve(seams, engine=keeping(target).engine)) as other:
                    self.stores = (store, other)
                    await self._wait()

    async def _wait(self) -> None:
        self._ready.set()
        await self._stop.wait()

    def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return trio.from_thread.run(function, *arguments, trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self._stop.set, trio_token=self._token)
        self._thread.join()


class QueueMachine(RuleBasedStateMachine):
    """The stores beside their model. The clock stands still but for `wait`, well within what a host's lease bears."""

    @initialize(on_file=st.booleans(), in_company=st.booleans())
    def open(self, *, on_file: bool, in_company: bool) -> None:
        self.in_company, self.on_file = in_company, on_file
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.hosts = Hosts(str(Path(self.folder.name) / "agents.db") if on_file else ":memory:", self.clock)
        self.model = Model()
        self.handed: list[QueuedWorkClaim] = []
        self.workers = [Serving(ground_of(store)) for store in self.hosts.stores[: 2 if on_file else 1]]

    def teardown(self) -> None:
        if not hasattr(self, "hosts"):
            return
        try:
            problems = self.hosts.run(verify_part, self.hosts.stores[0], "queue").problems
            assert not problems, problems
        finally:
            self.hosts.close()
            self.folder.cleanup()

    def store(self, number: int) -> tuple[int, Store]:
        return (number if self.on_file else 0), self.hosts.stores[number]

    def both(self, store: Store, verb: Callable[[], Awaitable[Any]], model: Callable[[Model], Any]) -> Any:
        """See `side_by_side`."""
        act = partial(self.hosts.run, partial(call, store, verb, in_company=self.in_company))
        return side_by_side(self, model, act)

    @rule(
        by=who,
        session=sessions,
        key=st.sampled_from((None, None, "k")),
        merge=st.sampled_from((None, "g", "g", "g", "h")),
        early=st.sampled_from((True, True, False)),
        times=st.integers(1, 3),
    )
    def enqueue(self, by: int, session: str, key: str | None, merge: str | None, times: int, *, early: bool) -> None:
        for _ in range(times):
            self.enqueue_one(by, session, key, merge, early=early)

    def enqueue_one(self, by: int, session: str, key: str | None, merge: str | None, *, early: bool) -> None:
        _, store = self.store(by)
        new = draft(
            session=session,
            key=key,
            early=early,
            join=merge is not None,
            merge=(merge and MergeKey.group(merge)) or None,
        )

        async def verb() -> int:
            return (await store.queue.enqueue_queued_work(new)).enqueue_seq

        self.both(store, verb, lambda model: model.enqueue(session, key, merge, early=early))

    @rule(by=who, session=sessions, count=st.integers(1, 3), within=st.booleans(), data=st.data())
    def claim(self, by: int, session: str, count: int, data: st.DataObject, *, within: bool) -> None:
        number, store = self.store(by)
        boundary = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT if within else IDLE
        ids: list[int] | None = None
        if data.draw(st.booleans(), "by ids"):
            ids = data.draw(st.lists(st.integers(1, self.model.last + 1), min_size=1, max_size=2), "ids")

        async def verb() -> str | None:
            if ids is None:
                found = await store.queue.claim_ready_queued_work(session, "w", boundary, TTL_MS, count)
            else:
                names = [name_of_batch(seq) for seq in ids]
                found = await store.queue.claim_ready_queued_work_by_batch_ids(session, "w", boundary, TTL_MS, names)
            self.handed += [] if found is None else [found]
            return None if found is None else found.claim_id

        now = self.clock.now
        self.both(store, verb, lambda model: model.take(number, session, count, now, ids, within=within))

    @rule(by=who, done=st.booleans(), data=st.data())
    def end(self, by: int, data: st.DataObject, *, done: bool) -> None:
        if self.handed:
            self.end_claim(data.draw(st.sampled_from(self.handed), "claim"), by, done=done)

    def end_claim(self, held: QueuedWorkClaim, by: int, *, done: bool) -> None:
        _, store = self.store(by)
        if done:
            self.both(
                store,
                lambda: store.queue.complete_queued_work_claim(held.completion()),
                lambda model: model.ended(held.claim_id, done=True),
            )
        else:
            self.both(
                store,
                lambda: store.queue.abandon_queued_work_claim(held),
                lambda model: model.ended(held.claim_id, done=False) if held.claim_id in model.claims else None,
            )

    @rule(by=who, session=sessions, count=st.integers(1, 3), data=st.data())
    def complete_and_serve(self, by: int, session: str, count: int, data: st.DataObject) -> None:
        if not self.handed:
            return
        held = data.draw(st.sampled_from(self.handed), "claim")
        number, store = self.store(by)

        async def verb() -> tuple[str | None, int, int | None]:
            served = await self.workers[number].complete_and_claim(
                held,
                ServeNext(
                    session_id=session,
                    owner_id="w",
                    ttl_ms=TTL_MS,
                    count=count,
                    per_session=1,
                    max_crashes=3,
                    name_following=True,
                ),
            )
            self.handed += [] if served.claim is None else [served.claim]
            following = None if served.following is None else served.following.batch
            return None if served.claim is None else served.claim.claim_id, served.attempts, following

        now = self.clock.now
        self.both(store, verb, lambda model: model.complete_and_serve(number + 2, held.claim_id, session, count, now))

    @rule(by=who, data=st.data())
    def renew(self, by: int, data: st.DataObject) -> None:
        if not self.handed:
            return
        held = data.draw(st.sampled_from(self.handed), "claim")
        _, store = self.store(by)

        async def verb() -> list[str]:
            return texts(await store.queue.renew_queued_work_claim(held, TTL_MS))

        def model(model: Model) -> list[str]:
            if held.claim_id not in model.claims:
                raise QueuedWorkClaimExpired(session_id="", claim_id=held.claim_id)
            model.claims[held.claim_id].renewals += 1
            return texts(held)

        self.both(store, verb, model)

    @rule(by=who, session=sessions, data=st.data())
    def cancel(self, by: int, session: str, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, self.model.last + 1), "batch")
        number, store = self.store(by)

        async def verb() -> bool:
            return await store.queue.cancel_queued_work_batch(session, name_of_batch(seq)) is not None

        now = self.clock.now
        self.both(store, verb, lambda model: model.cancel(number, session, seq, now))

    @rule(by=who, session=sessions)
    def pending(self, by: int, session: str) -> None:
        number, store = self.store(by)

        async def verb() -> list[int]:
            return [batch.enqueue_seq for batch in await store.queue.list_pending_queued_work(session)]

        now = self.clock.now
        self.both(store, verb, lambda model: model.pending(number, session, now))

    # Two writers at once

    @rule(session=sessions, verbs=st.tuples(at_once, at_once), data=st.data())
    def both_write_at_once(self, session: str, verbs: tuple[str, str], data: st.DataObject) -> None:
        """Two stores write at the same time: the answers are those of one order of the two."""
        if not self.on_file:
            return
        for _ in range(data.draw(st.integers(0, 2), "queued before")):
            self.enqueue_one(0, session, None, data.draw(st.sampled_from((None, "g")), "merge"), early=True)
        tried = [self.writing(by, verb, session, data) for by, verb in enumerate(verbs)]
        answers = self.hosts.run(self.together, [verb for verb, _ in tried])
        orders = [self.in_order(tried, order) for order in ((0, 1), (1, 0))]
        right = next((model for found, model in orders if found == answers), None)
        assert right is not None, (verbs, answers, [found for found, _ in orders])
        self.model = right
        for by in (0, 1):  # in either order both have seen the same claims by now
            self.pending(by, session)

    def writing(
        self, by: int, what: str, session: str, data: st.DataObject
    ) -> tuple[Callable[[], Awaitable[Any]], Callable[[Model], Any]]:
        """A verb of one store, and what the model says of it."""
        store, now = self.hosts.stores[by], self.clock.now
        if what == "end" and self.handed:
            held = data.draw(st.sampled_from(self.handed), "claim")
            return (
                lambda: store.queue.complete_queued_work_claim(held.completion()),
                lambda model: model.ended(held.claim_id, done=True),
            )
        if what == "cancel":
            seq = data.draw(st.integers(1, self.model.last + 1), "batch")

            async def cancel() -> bool:
                return await store.queue.cancel_queued_work_batch(session, name_of_batch(seq)) is not None

            return cancel, lambda model: model.cancel(by, session, seq, now)
        if what == "enqueue":

            async def enqueue() -> int:
                return (await store.queue.enqueue_queued_work(draft(session=session, early=True))).enqueue_seq

            return enqueue, lambda model: model.enqueue(session, None, None, early=True)
        count = data.draw(st.integers(1, 3), "count")

        async def claim() -> tuple[str, list[int]] | None:
            found = await store.queue.claim_ready_queued_work(session, "w", IDLE, TTL_MS, count)
            self.handed += [] if found is None else [found]
            return None if found is None else (found.claim_id, [batch.enqueue_seq for batch in found.batches])

        def take(model: Model) -> tuple[str, list[int]] | None:
            name = model.take(by, session, count, now, None, within=False)
            return None if name is None else (name, model.claims[name].batches)

        return claim, take

    async def together(self, verbs: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
        answers: list[Any] = [None] * len(verbs)

        async def one(place: int) -> None:
            try:
                answers[place] = await verbs[place]()
            except Error as error:
                answers[place] = type(error)

        async with trio.open_nursery() as nursery:
            for place in range(len(verbs)):
                nursery.start_soon(one, place)
        return answers

    def in_order(
        self, tried: list[tuple[Any, Callable[[Model], Any]]], order: tuple[int, ...]
    ) -> tuple[list[Any], Model]:
        """What the model answers where they come in this order, and the model after them."""
        model, answers = copy.deepcopy(self.model), list[Any](tried)
        for place in order:
            attempt = copy.deepcopy(model)
            try:
                answers[place] = tried[place][1](attempt)
            except Error as refusal:
                answers[place] = type(refusal)
            else:
                model = attempt
        return answers, model

    # Workers, whose watch is not that of the store's own verbs

    @rule(
        by=who,
        session=sessions,
        count=st.integers(1, 3),
        per_session=st.integers(1, 2),
        rate=st.sampled_from((None, None, (1, 8.0), (2, 10.0))),
        outcome=st.sampled_from(("held", "fails", "waits", "dies", "done")),
    )
    def serve(
        self, by: int, session: str, count: int, per_session: int, rate: tuple[int, float] | None, outcome: str
    ) -> None:
        number, now = by if self.on_file else 0, self.clock.now
        terms = None if rate is None else SetRate(name="r", starts=rate[0], per_ms=int(rate[1] * 1000))

        async def verb() -> tuple[str | None, int, float | None]:
            served = await self.workers[number].claim(
                ServeNext(
                    session_id=session,
                    owner_id="w",
                    ttl_ms=TTL_MS,
                    count=count,
                    per_session=per_session,
                    max_crashes=3,
                    rate=terms,
                )
            )
            self.handed += [] if served.claim is None else [served.claim]
            until = None if served.rate_wait_ms is None else now + served.rate_wait_ms / 1000
            return None if served.claim is None else served.claim.claim_id, served.attempts, until

        model = partial(
            Model.serve, store=number + 2, session=session, count=count, now=now, per_session=per_session, rate=rate
        )
        claim_id, _, _ = self.both(self.hosts.stores[number], verb, model)
        if claim_id is not None and outcome == "done":
            self.end_claim(self.handed[-1], by, done=True)
        elif claim_id is not None and outcome != "held":
            self.fail_claim(self.handed[-1], by, {"fails": 0.0, "waits": 6.0, "dies": None}[outcome])

    @rule(by=who, session=sessions, wait_s=st.sampled_from((0.0, 6.0)))
    def fail_and_go_on(self, by: int, session: str, wait_s: float) -> None:
        """Two that join fail together; what a worker gets next says how they stand in the queue."""
        self.enqueue(by, session, None, "g", 2, early=True)
        for outcome in ("waits" if wait_s else "fails", "done"):
            self.serve(by, session, 3, 1, None, outcome)

    @rule(by=who, per_session=st.integers(1, 2))
    def look(self, by: int, per_session: int) -> None:
        number, now = by if self.on_file else 0, self.clock.now

        async def verb() -> list[str]:
            return sorted([head.session_id for head in (await self.workers[number].look("", per_session)).ready])

        self.both(self.hosts.stores[number], verb, lambda model: model.ready(number + 2, now, per_session))

    @rule(by=who, wait_s=st.sampled_from((None, 0.0, 4.0, 20.0)), data=st.data())
    def fail(self, by: int, wait_s: float | None, data: st.DataObject) -> None:
        if self.handed:
            self.fail_claim(data.draw(st.sampled_from(self.handed), "claim"), by, wait_s)

    def fail_claim(self, held: QueuedWorkClaim, by: int, wait_s: float | None) -> None:
        number, now = by if self.on_file else 0, self.clock.now
        self.both(
            self.hosts.stores[number],
            lambda: self.workers[number].fail(held, "no", wait_s),
            lambda model: model.fail(held.claim_id, now, wait_s),
        )

    @rule(by=who, session=sessions, data=st.data())
    def retry(self, by: int, session: str, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, self.model.last + 1), "batch")
        _, store = self.store(by)

        async def verb() -> bool:
            return await store.queue.retry_queued_work_batch(session, name_of_batch(seq)) is not None

        self.both(store, verb, lambda model: model.retry(session, seq))

    @rule(by=who, starts=st.integers(1, 2), per_s=st.sampled_from((5.0, 10.0)))
    def set_rate(self, by: int, starts: int, per_s: float) -> None:
        number = by if self.on_file else 0
        rate = SetRate(name="r", starts=starts, per_ms=int(per_s * 1000))
        self.both(
            self.hosts.stores[number],
            lambda: self.workers[number].set_rate(rate),
            lambda model: model.set_rate(starts, per_s),
        )

    @rule(by=who)
    def prune(self, by: int) -> None:
        _, store = self.store(by)

        async def verb() -> int:
            return (await store.prune(0)).rates

        now = self.clock.now
        self.both(store, verb, lambda model: model.prune(now))

    @rule(seconds=st.sampled_from((4.0, 10.0)))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def every_batch_is_in_its_place(self) -> None:
        if not hasattr(self, "hosts"):
            return

        async def look(session: str) -> tuple[list[int], list[tuple[Any, ...]]]:
            queue = self.hosts.stores[0].queue
            failed = [
                (key_of_batch(each.batch_id), each.attempts, each.crashes, each.failed_at_ms, each.retry_at_ms)
                for each in await queue.list_failed_queued_work(session)
            ]
            return [batch.enqueue_seq for batch in await queue.list_queued_work(session)], failed

        for name in SESSIONS:
            mine = [batch for batch in self.model.batches.values() if batch.session == name]
            failed = [
                (batch.seq, each.attempts, 0, each.failed_at * 1000, each.retry_at and each.retry_at * 1000)
                for batch, each in [(batch, batch.failure) for batch in mine]
                if each is not None
            ]
            assert self.hosts.run(look, name) == ([batch.seq for batch in mine], failed)


QueueMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30)
TestQueue = pytest.mark.slow(QueueMachine.TestCase)
