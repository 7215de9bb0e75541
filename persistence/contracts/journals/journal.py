"""`store.journal`: streams of events, the older whole logs beside them, snapshots and facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, TypeVar, final

from tenure.errors import CursorConflict, InvalidInput, NotFound, PayloadTooLarge
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.contracts.access import Backend
from tenure.persistence.facets.journal import facts as stored_facts, journal
from tenure.persistence.facets.journal.facts import SaveFact
from tenure.persistence.facets.journal.journal import (
    AppendEvents,
    BindStream,
    ClearStream,
    DeleteStream,
    SaveLog,
    SaveStreamSnapshot,
)
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.events.event_types import (
    EventTypes,
    declared,
    decode_event,
    decode_log,
    encode_event,
    encode_log,
)
from tenure.persistence.model.events.journal import (
    EncodedEvent,
    EncodedFact,
    Fact,
    FactRef,
    JournalSnapshot,
    StreamId,
    check_stream,
    encode_value,
    fact_key,
)
from tenure.persistence.model.events.strategy import (
    Rehydration,
    Strategy,
    decode_state,
    encode_state,
)
from tenure.persistence.model.values import LogicalRuntimeId, check_runtime_id

from .event_log import (
    EventLog,
    Terms,
    check_terms,
    open_log,
)
from .event_reader import EventReader
from .following import Following

S = TypeVar("S")

CLEARED_AT_ONCE: Final = 2_000
"""Events of a deleted stream that one commit deletes."""

IDS_AT_ONCE: Final = 500
"""Ids that one read of `list` gives."""


@final
@checked
class JournalContract:
    """The verbs of `store.journal`.

    Every verb that writes is all or nothing, and what it wrote is on disk when it returns. `fence` is the token of the runtime
    that the stream is bound to; without a binding there is none to give. Ids are text of 1 to 200 characters. Cancellation is
    that of `Store.commit` and `Store.read`.
    """

    def __init__(self, store: Backend) -> None:
        """Bind to an open store."""
        self._store = store
        self._following = Following(store)

    @property
    def supports_stream(self) -> bool:
        """Whether there is `append` and `stream`: always. The documents ask this of a store before they rely on it."""
        return True

    # Streams

    async def append(
        self,
        stream: str,
        events: Iterable[Any],
        expected_cursor: int | None = None,
        facts: Iterable[Fact | str | bytes] = (),
        *,
        types: EventTypes | None = None,
        fence: int | None = None,
    ) -> int:
        """Append events; a stream that is not there is made. An empty batch changes nothing.

        Args:
            stream: Which stream.
            events: JSON values, or instances of the classes of `types`.
            expected_cursor: Where the stream has to end; 0 for one without events. None appends wherever it ends.
            facts: What the events refer to: a `Fact` is stored with them, the hash of one has to be stored already.
            types: Classes of events.
            fence: See the class.

        Returns:
            The new cursor: the sequence of the last event, from 1.

        Raises:
            CursorConflict: The stream ends elsewhere.
            InvalidInput: An event has no JSON form or does not fit its class, or a hash is none.
            FactConflict: A hash is that of another value.
            NotFound: A hash without a value is that of no fact.
            PayloadTooLarge: An event or a value is larger than `Limits.payload_bytes`.
            StaleFence, RuntimeDestroyed: Of the runtime that the stream is bound to.
        """
        target = check_stream(stream)
        encoded = tuple([encode_event(each, types)[0] for each in events])
        known = declared(tuple(facts))
        self._check_sizes(encoded, known)
        if not encoded:
            return await self._check_cursor(target, expected_cursor)
        change = AppendEvents(stream=target, events=encoded, expected_cursor=expected_cursor, facts=known, fence=fence)
        cursor: int = await self._write(change)
        self._following.stir(target)
        return cursor

    def stream(self, stream: str, after: int = 0, *, types: EventTypes | None = None) -> EventReader:
        """The events after a cursor, in order, up to where the stream ends when it is asked last.

        ``async for stored in store.journal.stream("orders")``. Read in pages, so that a long stream costs little memory; no
        view of the store stays open between two pages.

        Args:
            stream: Which stream.
            after: The cursor after which to begin.
            types: Classes of events; None gives the JSON that is stored.

        Raises:
            NotFound: At the first event: nothing was ever appended, or the stream was deleted meanwhile.
            Corrupt: An event is missing or damaged. Those before it were given.
            Unsupported: An event of a class or version that `types` does not know.
        """
        return EventReader(self._store, None, check_stream(stream), _cursor(after, "after"), types)

    def follow(self, stream: str, after: int = 0, *, types: EventTypes | None = None) -> EventReader:
        """The events after a cursor, and then each that comes, from any process. It does not end by itself.

        A stream that is not there is waited for. What this process appends is seen at once; what others append within
        `Limits.poll_s`. A slow reader holds nothing up.

        Raises:
            NotFound: The stream was deleted.
            Corrupt, Unsupported: See `stream`.
            StoreBroken, Closed: The store has stopped.
        """
        return EventReader(self._store, self._following, check_stream(stream), _cursor(after, "after"), types)

    def open(  # noqa: PLR0913 - each is a keyword with a default
        self,
        stream: str,
        fold: Callable[[S, Any], S],
        initial: S,
        *,
        strategy: Strategy | str = Strategy.every_cycle,
        snapshot_every: int | None = None,
        facts_above: int | None = None,
        rehydration: Rehydration | str = Rehydration.FULL,
        hot: Callable[[S], Iterable[FactRef]] | None = None,
        first: Iterable[Any] = (),
        types: EventTypes | None = None,
        encode: Callable[[S], bytes] | None = None,
        decode: Callable[[bytes], S] | None = None,
        fence: int | None = None,
    ) -> AbstractAsyncContextManager[EventLog[S]]:
        """Open a stream as a log: ``async with store.journal.open("flow", fold, {}) as log``.

        The state is folded from the snapshot and the events after it; one beyond the end of the stream is discarded. A stream
        that is not there begins with the whole log that was saved under its id, or with `first`. Leaving the block writes what
        is pending, however the block ends, and raises what fails.

        Args:
            stream: Which stream.
            fold: Makes the next state of a state and an event; pure and sync. It sees an event as it is read back.
            initial: The state before the first event; each open begins with a copy of it.
            strategy: When appended events are written; see `Strategy`.
            snapshot_every: Events after which the next write takes a snapshot along; None for never.
            facts_above: Fields of an event that encode to more bytes are stored as facts; None for never.
            rehydration: What becomes of such fields when they are read; see `Rehydration`.
            hot: For ``hybrid``: the references of a state whose values are needed at once.
            first: Events that a stream begins with, written when it is opened; none of them where it is there.
            types: Classes of events.
            encode: Makes the bytes of a snapshot; JSON, with references, for None.
            decode: The reverse of `encode`.
            fence: The token of the runtime that the stream is bound to.

        Raises:
            InvalidInput: At the call, for numbers that make no sense, an unknown word, or `hot` without ``hybrid``.
            Corrupt, Unsupported, NotFound: On entering: what is stored cannot be folded; nothing is left out in silence.
            Error: On leaving, of `EventLog.flush`.
        """
        terms = Terms(
            stream=check_stream(stream),
            fold=fold,
            initial=initial,
            strategy=Strategy.of(strategy) if isinstance(strategy, str) else strategy,
            snapshot_every=snapshot_every,
            facts_above=facts_above,
            rehydration=_rehydration(rehydration),
            hot=hot,
            first=tuple(first),
            types=types,
            encode=encode or encode_state,
            decode=decode or (lambda data: decode_state(data, stream)),
            fence=fence,
        )
        check_terms(terms)
        return open_log(self._store, self._following, terms)

    async def bind(self, stream: str, runtime_id: LogicalRuntimeId | str, *, fence: int | None = None) -> None:
        """Bind a stream to a runtime, whose fence guards it from then on; one that is not there is made, without events.

        Raises:
            NotFound: There is no such runtime.
            StaleFence: Another token than the runtime's, or none where it is owned.
            InvalidInput: The stream is bound to another runtime.
        """
        target = check_runtime_id(runtime_id)
        change = BindStream(stream=check_stream(stream), runtime_id=target)
        await self._store.commit(Commit(runtime_id=target, fence_token=fence, changes=(change,)))

    # Whole logs, as they were before there were streams

    async def save(
        self, stream: str, log: Iterable[Any], *, types: EventTypes | None = None, fence: int | None = None
    ) -> None:
        """Keep a whole log under an id, in place of the one before. The stream of that id is another thing, and stays.

        Raises:
            InvalidInput: An event has no JSON form or does not fit its class.
            PayloadTooLarge: The log is larger than `Limits.payload_bytes`.
            StaleFence, RuntimeDestroyed: Of the runtime that the stream is bound to.
        """
        target = check_stream(stream)
        events = [encode_event(each, types)[0] for each in log]
        data = encode_log(events)
        self._check_size(data)
        await self._write(SaveLog(stream=target, log=data, fence=fence))

    async def checkpoint(
        self, stream: str, log: Iterable[Any], *, types: EventTypes | None = None, fence: int | None = None
    ) -> None:
        """The same as `save`, under the name that a worker calls on its way."""
        await self.save(stream, log, types=types, fence=fence)

    async def load(self, stream: str, *, types: EventTypes | None = None) -> Sequence[Any]:
        """The log that was saved last; never the stream's events. Raises `NotFound`, `Corrupt`, `Unsupported`."""
        target = check_stream(stream)
        data = await self._store.read(lambda statements: journal.find_log(statements, target))
        if data is None:
            raise NotFound(what="log", key=target)
        return [decode_event(each, types, target) for each in decode_log(data, target)]

    async def delete(self, stream: str, *, fence: int | None = None) -> None:
        """Forget everything under an id: stream, log and snapshot. Facts stay, until `Store.prune`. A new append begins at 1.

        No read finds any of it after the first commit; the events then go in slices. Where that is cut short, `Store.prune`
        takes the rest.

        Raises:
            StaleFence, RuntimeDestroyed: Of the runtime that the stream is bound to.
        """
        target = check_stream(stream)
        row: int | None = await self._write(DeleteStream(stream=target, fence=fence))
        self._following.stir(target)
        while row is not None:
            if (await self._write(ClearStream(stream=row, count=CLEARED_AT_ONCE))).gone:
                return

    async def exists(self, stream: str) -> bool:
        """Whether anything is stored under an id: a stream, a log, a snapshot or a binding."""
        target = check_stream(stream)
        return await self._store.read(lambda statements: statements.one("journal.exists", stream_id=target) is not None)

    # Snapshots

    async def save_snapshot(
        self,
        stream: str,
        cursor: int,
        snapshot: bytes,
        facts: Iterable[Fact | str | bytes] = (),
        *,
        fence: int | None = None,
    ) -> bool:
        """Keep the state of a stream at a cursor, unless a newer snapshot is kept; an equal one is replaced.

        Args:
            stream: Which stream.
            cursor: The last event that it holds.
            snapshot: The bytes.
            facts: What it refers to; see `append`.
            fence: See the class.

        Returns:
            Whether it is kept.

        Raises:
            FactConflict, NotFound: See `append`.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
            StaleFence, RuntimeDestroyed: Of the runtime that the stream is bound to.
        """
        target, known = check_stream(stream), declared(tuple(facts))
        self._check_size(snapshot)
        self._check_sizes((), known)
        kept_at = JournalSnapshot(cursor=_cursor(cursor, "cursor"), snapshot=snapshot)
        kept: bool = await self._write(SaveStreamSnapshot(stream=target, snapshot=kept_at, facts=known, fence=fence))
        return kept

    async def load_snapshot(self, stream: str) -> JournalSnapshot:
        """The snapshot that is kept; who recovers discards one beyond the end. Raises `NotFound`, `Corrupt`."""
        target = check_stream(stream)
        found = await self._store.read(lambda statements: journal.find_snapshot(statements, target))
        if found is None:
            raise NotFound(what="snapshot", key=target)
        return found

    # Facts

    async def save_fact(self, fact_hash: str | bytes, value: Any) -> None:
        """Store a value under its content hash. The same value again is not an error.

        A fact that nothing refers to is pruned by its age, so declare it with the append that refers to it.

        Raises:
            FactConflict: The hash is that of another value.
            InvalidInput: The value is neither JSON nor bytes.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
        """
        key = fact_key(fact_hash)
        form, data = encode_value(value, "value")
        self._check_size(data)
        await self._write(SaveFact(fact=EncodedFact(key=key, form=form, value=data)))

    async def load_fact(self, fact_hash: str | bytes) -> Any:
        """The value under a hash; None is a value. Raises `NotFound`, `Corrupt`."""
        key = fact_key(fact_hash)
        return await self._store.read(lambda statements: stored_facts.value_of(statements, key))

    async def list(self) -> Sequence[str]:
        """Every id under which anything is stored, sorted."""
        found: list[str] = []
        while page := await self._store.read(partial(journal.ids, after=found[-1] if found else "", count=IDS_AT_ONCE)):
            found += page
        return found

    async def _check_cursor(self, stream: StreamId, expected: int | None) -> int:
        cursor = await self._store.read(lambda statements: journal.head(statements, stream)) or 0
        if expected is not None and cursor != expected:
            raise CursorConflict(stream=stream, expected=expected, actual=cursor)
        return cursor

    def _check_sizes(self, events: Iterable[EncodedEvent], facts: Iterable[EncodedFact]) -> None:
        for event in events:
            self._check_size(event.payload)
        for fact in facts:
            self._check_size(fact.value or b"")

    def _check_size(self, data: bytes) -> None:
        if len(data) > self._store.limits.payload_bytes:
            raise PayloadTooLarge(size=len(data), limit=self._store.limits.payload_bytes)

    async def _write(self, change: Change) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]


def _cursor(value: int, field: str) -> int:
    if not 0 <= value < 2**63:
        raise InvalidInput(detail="a cursor is a whole number from 0", field=field)
    return value


def _rehydration(word: str) -> Rehydration:
    try:
        return Rehydration(word)
    except ValueError as exc:
        raise InvalidInput(detail=f"it is one of {', '.join(Rehydration)}", field="rehydration") from exc
