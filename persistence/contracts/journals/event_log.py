"""An open log: a state folded from a stream, and the events that are added to it.

Theory of operation: an append checks and encodes its events, folds them into the state, and keeps them as pending; the strategy
says whether it then writes. One commit writes all that is pending, at the cursor that the log last saw, with the facts that the
events refer to and, where it is due, the snapshot. Only what has landed leaves the pending ones, so an append that failed is
written by the next, and nothing is written twice: another writer of the stream makes the cursor another one.

What is folded is what a later open reads back: the decoded form of what was encoded, so that a state does not depend on whether
its log was closed in between.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, TypeVar, final

import trio
from attrs import field, frozen

from tenure.errors import Closed, CursorConflict, InvalidInput, NotFound, PayloadTooLarge
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.contracts.access import Backend
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.journal import facts, journal
from tenure.persistence.facets.journal.journal import AppendEvents, EventPage, SaveStreamSnapshot
from tenure.persistence.model.events.event_types import (
    EventTypes,
    decode_event,
    decode_log,
    encode_event,
)
from tenure.persistence.model.events.journal import (
    EncodedEvent,
    EncodedFact,
    FactRef,
    JournalSnapshot,
    StreamId,
    decode_value,
    fact_key,
)
from tenure.persistence.model.events.strategy import Rehydration, Strategy

from .following import Following

S = TypeVar("S")

LEAVE_S: Final = 5.0
"""Seconds that a cancelled log may take to write what is pending when it is left."""

VALUES_AT_ONCE: Final = 4 * 1024 * 1024
"""Bytes of facts that are put back at one time."""


@final
@frozen(kw_only=True, slots=True)
class Terms(Generic[S]):
    """How a log is opened; see `JournalContract.open`."""

    stream: StreamId
    fold: Callable[[S, Any], S]
    initial: S
    strategy: Strategy
    snapshot_every: int | None
    facts_above: int | None
    rehydration: Rehydration
    hot: Callable[[S], Iterable[FactRef]] | None
    first: Sequence[Any]
    types: EventTypes | None
    encode: Callable[[S], bytes]
    decode: Callable[[bytes], S]
    fence: int | None


@final
@frozen(kw_only=True, slots=True)
class _Stored:
    """What an open finds."""

    head: int | None
    snapshot: JournalSnapshot | None
    log: bytes | None = field(repr=False)


@final
class EventLog(Generic[S]):
    """A stream that is open for appends, with the state that its events make. Made by `store.journal.open`.

    Attributes:
        state: The state, with every event that was appended, also those that are not written yet.
        stored: The cursor up to which everything is on disk.
    """

    def __init__(self, store: Backend, following: Following, terms: Terms[S]) -> None:
        """Read nothing yet."""
        self.state = terms.initial
        self.stored = 0
        self._store = store
        self._following = following
        self._terms = terms
        self._pending: list[EncodedEvent] = []
        self._facts: dict[str, EncodedFact] = {}
        self._cache: dict[str, Any] = {}
        self._snapshot_at = 0
        self._cycles = 0
        self._writing = trio.Lock()
        self._left = False

    @property
    def cursor(self) -> int:
        """The cursor of the last event, with those that are not written yet."""
        return self.stored + len(self._pending)

    async def append(self, events: Iterable[Any]) -> int | None:
        """Add events, and write them where the strategy says so.

        Returns:
            The cursor on disk, or None where they are kept in memory: then nothing is acknowledged.

        Raises:
            InvalidInput: An event has no JSON form or does not fit its class. Nothing happened.
            PayloadTooLarge: An event or a value is larger than `Limits.payload_bytes`. Nothing happened.
            Exception: Whatever `fold` raises. No event was added; a state that `fold` changed in place is changed.
            Error: Of `flush`. The events are added and not written: `flush` tries again, and so does the next append.
            Closed: The log was left.

        Cancellation: the events are added all the same, and are written with what comes next, at the latest as the log is left.
        """
        if self._left:
            raise Closed(what="log")
        self._take(events)
        self._cycles += 1
        strategy = self._terms.strategy
        if strategy.cycles is None or self._cycles % strategy.cycles:
            await trio.lowlevel.checkpoint()
            return None
        return await self.flush()

    async def flush(self) -> int:
        """Write what is pending, in one commit; the cursor on disk.

        Raises:
            CursorConflict: Another writer appended. What is pending can never be written: open the log anew.
            Error: Of `Store.commit`. Nothing was written, and everything is still pending.

        Cancellation: that of `Store.commit`; what was withdrawn is still pending.
        """
        return await self._write(snapshot=False)

    async def snapshot(self) -> int:
        """Write what is pending, and a snapshot of the state with it. Raises and returns as `flush` does."""
        return await self._write(snapshot=True)

    def discard(self) -> int:
        """Leave without writing what is pending; how many events are forgotten. What was acknowledged is stored, and stays."""
        forgotten = len(self._pending)
        self._pending.clear()
        self._facts.clear()
        self._left = True
        return forgotten

    def value(self, reference: FactRef) -> Any:
        """The value of a reference that is in memory: a hot one, or one that is not written yet. Raises `NotFound`."""
        key = fact_key(reference.hash)
        if key in self._cache:
            return self._cache[key]
        if key in self._facts:
            pending = self._facts[key]
            return decode_value(pending.form, pending.value or b"", "fact", key)
        raise NotFound(what="fact in memory", key=key[2:])

    async def resolve(self, reference: FactRef) -> Any:
        """The value of a reference, from memory or from the store. Raises `NotFound`, `Corrupt`."""
        try:
            found = self.value(reference)
        except NotFound:
            key = fact_key(reference.hash)
            return await self._store.read(lambda statements: facts.value_of(statements, key))
        await trio.lowlevel.checkpoint()
        return found

    # What `open_log` calls

    async def recover(self) -> None:
        """Fold the state from the snapshot and the events after it; begin a stream that is not there."""
        while True:
            found = await self._store.read(self._find)
            self.state, self.stored, self._snapshot_at = self._initial(), 0, 0
            self._pending, self._facts = [], {}
            if found.snapshot is not None and found.snapshot.cursor <= (found.head or 0):
                self.state = self._terms.decode(found.snapshot.snapshot)
                self.stored = self._snapshot_at = found.snapshot.cursor
            if found.head is not None:
                await self._replay()
            try:
                await self._begin(found)
            except CursorConflict:
                continue  # another one has begun it meanwhile
            if self._terms.rehydration is Rehydration.HYBRID and self._terms.hot is not None:
                await self._load_hot(self._terms.hot(self.state))
            return

    async def leave(self) -> None:
        """Write what is pending, and take nothing more."""
        self._left = True
        if self._pending:
            await self.flush()

    def _find(self, statements: Statements) -> _Stored:
        stream = self._terms.stream
        head = journal.head(statements, stream)
        snapshot = None if head is None else journal.find_snapshot(statements, stream)
        log = journal.find_log(statements, stream) if head is None else None
        return _Stored(head=head, snapshot=snapshot, log=log)

    async def _replay(self) -> None:
        while True:
            page: EventPage = await self._store.read(
                partial(journal.page, stream_id=self._terms.stream, after=self.stored)
            )
            for events in _portions(page.events):
                values = await self._values(events)
                for sequence, event, _ in events:
                    self.state = self._terms.fold(self.state, self._seen(event, sequence, values))
                    self.stored = sequence
            if self.stored >= page.head:
                return

    async def _begin(self, found: _Stored) -> None:
        """The events that a new stream begins with: those of a whole log that stands under its id, else the caller's."""
        if found.head is not None:
            return
        if found.log is not None:
            self._pending = decode_log(found.log, self._terms.stream)
            for place, event in enumerate(self._pending, start=1):
                self.state = self._terms.fold(self.state, self._seen(event, place, {}))
        else:
            self._take(self._terms.first)
        await self.flush()

    def _take(self, events: Iterable[Any]) -> None:
        """Encode and fold events, and keep them as pending. What raises has added none."""
        terms, state = self._terms, self.state
        encoded: list[EncodedEvent] = []
        found: dict[str, EncodedFact] = {}
        for each in events:
            event, parts = encode_event(each, terms.types, facts_above=terms.facts_above, hash_of=_hash_of)
            self._check_size(event.payload, *[part.value or b"" for part in parts])
            encoded.append(event)
            found.update({part.key: part for part in parts})
            values = {part.key: decode_value(part.form, part.value or b"", "fact", part.key) for part in parts}
            state = terms.fold(state, self._seen(event, self.cursor + len(encoded), values))
        self.state = state
        self._pending += encoded
        self._facts |= found

    def _initial(self) -> S:
        """A copy of it: a fold may change it in place, and it is begun with again where another has begun the stream."""
        try:
            return copy.deepcopy(self._terms.initial)
        except Exception as exc:  # the caller's own object, in the caller's task
            raise InvalidInput(detail="it cannot be copied", field="initial") from exc

    async def _values(self, events: Sequence[tuple[int, EncodedEvent, float]]) -> dict[str, Any]:
        keys = {key for _, event, _ in events for _, key, _ in event.references}
        if not keys or self._terms.rehydration is not Rehydration.FULL:
            return {}
        return await self._store.read(lambda statements: {key: facts.value_of(statements, key) for key in keys})

    async def _load_hot(self, references: Iterable[FactRef]) -> None:
        keys = {fact_key(each.hash) for each in references}
        self._cache = await self._store.read(lambda statements: {key: facts.value_of(statements, key) for key in keys})

    def _seen(self, event: EncodedEvent, sequence: int, values: dict[str, Any]) -> Any:
        known = values if self._terms.rehydration is Rehydration.FULL else None
        return decode_event(event, self._terms.types, f"{self._terms.stream}:{sequence}", known)

    async def _write(self, *, snapshot: bool) -> int:
        async with self._writing:
            events, terms = tuple(self._pending), self._terms
            cursor = self.stored + len(events)
            changes: list[Change] = []
            if events:
                keys = {key: None for event in events for _, key, _ in event.references}
                declared = tuple([self._facts.get(key, EncodedFact(key=key)) for key in keys])
                changes.append(
                    AppendEvents(
                        stream=terms.stream,
                        events=events,
                        expected_cursor=self.stored,
                        facts=declared,
                        fence=terms.fence,
                    )
                )
            due = terms.snapshot_every is not None and cursor - self._snapshot_at >= terms.snapshot_every
            taken = snapshot or (due and bool(events))
            if taken:
                data = terms.encode(self.state)  # before the commit: what is appended meanwhile is not in it
                self._check_size(data)
                kept = JournalSnapshot(cursor=cursor, snapshot=data)
                changes.append(SaveStreamSnapshot(stream=terms.stream, snapshot=kept, fence=terms.fence))
            if not changes:
                await trio.lowlevel.checkpoint()
                return self.stored
            await self._store.commit(Commit(changes=tuple(changes)))
            self.stored = cursor
            del self._pending[: len(events)]
            self._drop_facts()
            if taken:
                self._snapshot_at = cursor
            self._following.stir(terms.stream)
            return self.stored

    def _drop_facts(self) -> None:
        wanted = {key for event in self._pending for _, key, _ in event.references}
        self._facts = {key: fact for key, fact in self._facts.items() if key in wanted}

    def _check_size(self, *parts: bytes) -> None:
        limit = self._store.limits.payload_bytes
        for part in parts:
            if len(part) > limit:
                raise PayloadTooLarge(size=len(part), limit=limit)


@asynccontextmanager
async def open_log(store: Backend, following: Following, terms: Terms[S]) -> AsyncGenerator[EventLog[S]]:
    """Open a log, and write what is pending when the body ends, however it ends."""
    log = EventLog(store, following, terms)
    await log.recover()
    try:
        yield log
    except BaseException as exc:
        # Also where it was cancelled: what was appended has happened, and is written.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LEAVE_S) as scope:
            await log.leave()
        if scope.cancelled_caught:
            exc.add_note(
                f"{log.cursor - log.stored} events of the log {terms.stream} that were pending are not written"
            )
        raise
    await log.leave()


def check_terms(terms: Terms[Any]) -> None:
    """Raises `InvalidInput` for numbers that make no sense, and for what would have no effect."""
    for name, number in (("snapshot_every", terms.snapshot_every), ("facts_above", terms.facts_above)):
        if number is not None and number < 1:
            raise InvalidInput(detail="it is a whole number from 1", field=name)
    if terms.hot is not None and terms.rehydration is not Rehydration.HYBRID:
        raise InvalidInput(detail="only the rehydration 'hybrid' asks what is hot", field="hot")


def _hash_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _portions(
    events: Sequence[tuple[int, EncodedEvent, float]],
) -> Iterator[Sequence[tuple[int, EncodedEvent, float]]]:
    """Events whose facts are loaded at one time: a page may refer to far more than it holds."""
    begin = size = 0
    for place, (_, event, _) in enumerate(events):
        own = sum([each for _, _, each in event.references])
        if size + own > VALUES_AT_ONCE and place > begin:
            yield events[begin:place]
            begin, size = place, 0
        size += own
    yield events[begin:]
