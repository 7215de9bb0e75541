"""Queued work against a model of dicts: one store, or two that write the same file, alone in a group and in a replayed one."""

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
from tenure.errors import Error, InvalidTransition, QueuedWorkClaimExpired
from tenure.persistence.model.contracts.queued_work import name_of_batch
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.shares import examples
from tests.persistence.contracts.test_model import REFUSED
from tests.persistence.contracts.test_queue import Clock, draft, texts

SESSIONS = ("s", "t")
TTL_MS = 10_000
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

    def look(self, store: int, session: str, held: list[str], now: float) -> None:
        before = self.seen.get((store, session), {})
        marks = [(claim_id, self.claims[claim_id].renewals) for claim_id in held]
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
        open_ = [each for each in self.batches.values() if each.session == session and each.claim not in held]
        if ids is not None:
            open_ = [each for each in open_ if each.seq >= ids[0]][: len(ids)]
        group = open_[:1]
        if group and group[0].merge is not None:
            for each in open_[1 : count if ids is None else len(ids)]:
                if (each.merge, each.early) != (group[0].merge, group[0].early):
                    break
                group.append(each)
        refused = not group or (within and not group[0].early)
        if refused or (ids is not None and [each.seq for each in group] != ids):
            self.look(store, session, held, now)
            return None
        for claim_id in {each.claim for each in group if each.claim is not None}:
            self.give_back(claim_id)
        name = f"qwc:{group[0].seq}:{group[0].fence + 1}"
        for each in group:
            each.claim, each.fence = name, each.fence + 1
        self.claims[name] = Claim(session, [each.seq for each in group])
        self.look(store, session, [*held, name], now)
        return name

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
        self.look(store, session, held, now)
        return won

    def pending(self, store: int, session: str, now: float) -> list[int]:
        held = self.held(store, session, now)
        self.look(store, session, held, now)
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
        opened = partial(tenure.open_store, target, durability="memory", seams=Seams(boot_clock=clock))
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        async with opened() as store:
            if target == ":memory:":
                self.stores = (store, store)
                await self._wait()
            else:
                async with opened() as other:
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
        """Call both; they must give the same answer, or refuse with the same class. A refusal changes nothing."""
        attempt = copy.deepcopy(self.model)
        expected: Any
        try:
            expected = model(attempt)
        except Error as refusal:
            expected = type(refusal)
        else:
            self.model = attempt
        try:
            answer = self.hosts.run(self.call, store, verb)
        except Error as error:
            answer = type(error)
        assert answer == expected, (answer, expected)
        return answer

    async def call(self, store: Store, verb: Callable[[], Awaitable[Any]]) -> Any:
        refused = ground_of(store).submit(REFUSED) if self.in_company else None
        try:
            return await verb()
        finally:
            if refused is not None:
                with pytest.raises(InvalidTransition):
                    await refused.wait()

    @rule(
        by=who,
        session=sessions,
        key=st.sampled_from((None, None, "k")),
        merge=st.sampled_from((None, "g", "g", "g", "h")),
        early=st.booleans(),
    )
    def enqueue(self, by: int, session: str, key: str | None, merge: str | None, *, early: bool) -> None:
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
        boundary = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT if within else QueuedWorkClaimBoundary.IDLE
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
        if not self.handed:
            return
        held = data.draw(st.sampled_from(self.handed), "claim")
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

    @rule(seconds=st.sampled_from((4.0, 10.0)))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def every_batch_is_in_its_place(self) -> None:
        if not hasattr(self, "hosts"):
            return

        async def look() -> dict[str, list[int]]:
            queue = self.hosts.stores[0].queue
            return {each: [batch.enqueue_seq for batch in await queue.list_queued_work(each)] for each in SESSIONS}

        assert self.hosts.run(look) == {
            name: [batch.seq for batch in self.model.batches.values() if batch.session == name] for name in SESSIONS
        }


QueueMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30)
TestQueue = QueueMachine.TestCase
