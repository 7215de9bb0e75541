"""Items of LangGraph's stores as values of `store.state`, and the operations on them as coroutines.

What a value stands under says its namespace and its key (`addresses`); the value has the real text of both.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, groupby
from operator import attrgetter
from time import time
from typing import Any, Final, cast, final

import msgspec
import msgspec.structs
from langgraph.store.base import GetOp, Item, ListNamespacesOp, Op, PutOp, Result, SearchItem, SearchOp

from tenure.adapters import versioned
from tenure.adapters.checking import short_text
from tenure.adapters.fronts import Values
from tenure.errors import Corrupt, InvalidInput, ValueConflict

from .addresses import key_of, stem_of
from .matching import fits, matches, nearness

VERSION: Final = 1
NESTING: Final = 200
"""How deep a value may be nested: it is read on any stack that a program has left."""

_AFTER_ALL: Final = "\x7f"
"""Stands after every character of an encoded key."""

_READ_AT_ONCE: Final = 200
_NEW_AT_ONCE: Final = 1_000
"""So many keys a commit compares with what is expected under them."""

_SECONDS: Final = 60.0
"""LangGraph counts times to live in minutes."""

_NONE: Final[Mapping[Any, Any]] = {}


@final
class ItemRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An item as it is stored: its value as JSON, times in unix seconds, and a vector for each of its texts."""

    version: int
    namespace: tuple[str, ...]
    key: str
    value: bytes
    created_at: float
    updated_at: float
    ttl_minutes: float | None
    vectors: tuple[bytes, ...]


_encode: Final = msgspec.msgpack.Encoder().encode
_DECODER: Final = msgspec.msgpack.Decoder(ItemRecord)


def _plain(value: object) -> object:
    """A text or a number of a subclass, which the encoder does not know."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    message = f"an object of the type {type(value).__name__}"
    raise TypeError(message)


_TO_JSON: Final = msgspec.json.Encoder(enc_hook=_plain)
_ESCAPED: Final = re.compile(rb"\\.")
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_STEPS))
_FROM_JSON: Final = msgspec.json.Decoder(dict[str, Any])


def encode_value(value: Mapping[str, Any]) -> bytes:
    """The JSON of an item's value. Raises `InvalidInput` for what has none, and for what is nested deeper than `NESTING`."""
    try:
        data = _TO_JSON.encode(value)
    except Exception as exc:  # a caller's class may raise anything here; what is nested without end is a RecursionError
        raise InvalidInput(detail=f"it has no JSON form: {short_text(exc)}", field="value") from exc
    # As `count` of both, which looks at each byte and takes five times as long
    if len(data) - len(data.replace(b"{", b"").replace(b"[", b"")) > NESTING and _depth(data) > NESTING:
        raise InvalidInput(detail=f"it is nested deeper than {NESTING}", field="value")
    return data


def _depth(data: bytes) -> int:
    """How deep JSON is nested: what stands between its texts, and of that the brackets."""
    plain = _ESCAPED.sub(b"", data) if b"\\" in data else data
    marks = b"".join(plain.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, marks)))


@final
class Put(msgspec.Struct, frozen=True, gc=False):
    """A put as it is carried out.

    Attributes:
        key: What it is stored under.
        record: The item, as one that is new; None deletes.
        minutes: Its time to live.
    """

    key: str
    record: ItemRecord | None = None
    minutes: float | None = None


_PUTS: Final = frozenset({Put})
_KEY: Final = attrgetter("key")
_KEY_AND_RECORD: Final = attrgetter("key", "record")
_MINUTES: Final = attrgetter("minutes")


@final
class Prepared(msgspec.Struct, frozen=True):
    """Operations as they are carried out.

    Attributes:
        size: How many they are.
        reads: Those that read, each with its place.
        puts: The others, in their order.
        queries: Vectors of length 1, by query.
    """

    size: int
    reads: Sequence[tuple[int, Op]]
    puts: Sequence[Put]
    queries: Mapping[str, Sequence[float]]


def prepared(
    ops: Sequence[Op],
    vectors: Mapping[int, tuple[bytes, ...]] = _NONE,
    queries: Mapping[str, Sequence[float]] = _NONE,
) -> Prepared:
    """What can be done of operations before they are carried out, perhaps together with others.

    Args:
        ops: In their order.
        vectors: Of the texts of what is put, by place of the operation.
        queries: Vectors of length 1, by query.

    Raises:
        InvalidInput: A namespace is too deep, or a value has no JSON form.
    """
    reads: list[tuple[int, Op]] = []
    puts: list[Put] = []
    now = time()
    for place, op in enumerate(ops):
        if not isinstance(op, PutOp):
            reads.append((place, op))
            continue
        key, record, minutes = key_of((op.namespace, op.key)), None, None
        if op.value is not None:
            minutes = None if op.ttl is None else float(op.ttl)
            value, texts = encode_value(op.value), vectors.get(place, ())
            record = ItemRecord(VERSION, op.namespace, op.key, value, now, now, minutes, texts)
        puts.append(Put(key, record, minutes))
    return Prepared(len(ops), reads, puts, queries)


def prepared_put(stored: str, namespace: tuple[str, ...], key: str, value: Mapping[str, Any]) -> Put:
    """As `prepared`, of one value that lives for ever and has no texts, as most: what is put into `stored`."""
    now = time()
    return Put(stored, ItemRecord(VERSION, namespace, key, encode_value(value), now, now, None, ()))


def joined(batches: Sequence[Prepared | Put]) -> Prepared:
    """Operations of several as those of one, in the order of the batches. A put that is a batch by itself has no place."""
    if _PUTS.issuperset(map(type, batches)):  # as nearly all that are many
        return Prepared(0, (), cast("Sequence[Put]", batches), _NONE)
    size = 0
    reads: list[tuple[int, Op]] = []
    puts: list[Put] = []
    queries: dict[str, Sequence[float]] = {}
    for each in batches:
        if type(each) is Put:
            puts.append(each)
            continue
        if each.reads:
            reads += [(size + place, op) for place, op in each.reads]
            queries |= each.queries
        puts += each.puts
        size += each.size
    return Prepared(size, reads, puts, queries)


@final
class Items:
    """Carries out operations over `store.state`."""

    def __init__(self, values: Values) -> None:
        """Bind to the values of an open store."""
        self._values = values
        self._seem_new = True  # what is put is found to be new by its commit; else it is read before

    async def batch(self, prepared: Prepared) -> list[Result]:
        """Carry out operations: first what reads, in its order, and then all that is put, the last of each key."""
        results: list[Result] = [None] * prepared.size
        if prepared.reads:
            await self._gets(prepared.reads, results)
            for place, op in prepared.reads:
                if isinstance(op, SearchOp):
                    results[place] = await self._search(op, prepared.queries.get(op.query or ""))
                elif isinstance(op, ListNamespacesOp):
                    results[place] = await self._list(op)
        by_time: dict[float | None, list[Put]] = {}
        last = dict(zip(map(_KEY, prepared.puts), prepared.puts, strict=True))
        for minutes, alike in groupby(last.values(), _MINUTES):
            by_time.setdefault(minutes, []).extend(alike)
        for minutes, puts in by_time.items():
            await self._put(puts, minutes)
        return results

    async def sweep(self) -> int:
        """Delete what has expired in the whole store; how many values went."""
        return await self._values.sweep()

    async def _gets(self, reads: Sequence[tuple[int, Op]], results: list[Result]) -> None:
        gets = {place: op for place, op in reads if isinstance(op, GetOp)}
        keys = {place: key_of((op.namespace, op.key)) for place, op in gets.items()}
        found = await self._read(set(keys.values()))
        read: list[ItemRecord] = []
        for place, op in gets.items():
            record = found.get(keys[place])
            results[place] = None if record is None else _item(record)
            if record is not None and op.refresh_ttl:
                read.append(record)
        await self._refresh(read)

    async def _read(self, keys: Iterable[str]) -> dict[str, ItemRecord]:
        wanted, found = sorted(keys), dict[str, bytes]()
        for start in range(0, len(wanted), _READ_AT_ONCE):
            found |= await self._values.get_all(wanted[start : start + _READ_AT_ONCE])
        return {key: decode(data, key) for key, data in found.items()}

    async def _refresh(self, read: Iterable[ItemRecord]) -> None:
        """Begin the times to live anew; what was put meanwhile with a longer one keeps it."""
        keys = defaultdict[float, list[str]](list)
        for record in read:
            if record.ttl_minutes is not None:
                keys[record.ttl_minutes].append(key_of((record.namespace, record.key)))
        for minutes, each in keys.items():
            await self._values.renew(each, minutes * _SECONDS)

    async def _search(self, op: SearchOp, query: Sequence[float] | None) -> list[SearchItem]:
        found: list[tuple[float | None, ItemRecord]] = []
        after: str | None = None
        stem = stem_of(op.namespace_prefix)
        while rows := await self._values.items(stem, after=after, limit=_READ_AT_ONCE):
            for key, data in rows:
                record = decode(data, key)
                score = None if query is None else nearness(query, record.vectors)
                if (query is None or score is not None) and fits(_value(record), op.filter):
                    found.append((score, record))
            after = rows[-1][0]
            if len(rows) < _READ_AT_ONCE:
                break
        found.sort(key=lambda pair: (pair[0] or 0.0, pair[1].updated_at), reverse=True)
        chosen = found[op.offset : op.offset + op.limit]
        if op.refresh_ttl:
            await self._refresh([record for _, record in chosen])
        return [_search_item(record, score) for score, record in chosen]

    async def _list(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        begins = [tuple(each.path) for each in conditions if each.match_type == "prefix" and "*" not in each.path]
        stem = stem_of(max(begins, key=len, default=()))
        found: set[tuple[str, ...]] = set()
        after: str | None = None
        # One read for each namespace, and on after its last key.
        while rows := await self._values.items(stem, after=after, limit=1):
            key, data = rows[0]
            namespace = decode(data, key).namespace
            if all(matches(namespace, each) for each in conditions):
                found.add(namespace if op.max_depth is None else namespace[: op.max_depth])
            after = key.rpartition(":")[0] + ":" + _AFTER_ALL
        return sorted(found)[op.offset : op.offset + op.limit]

    async def _put(self, puts: Sequence[Put], minutes: float | None) -> None:
        """Put what has one time to live, in one commit. An item that is there keeps the time when it was made.

        Whether it is there is asked by the commit itself, where the last puts made new items: then nothing is read before.
        """
        keys = [put.key for put in puts if put.record is not None]
        ttl = None if minutes is None else minutes * _SECONDS
        if self._seem_new and len(keys) <= _NEW_AT_ONCE:
            try:
                await self._values.write(_encoded(puts, {}), ttl, expected=dict.fromkeys(keys))
            except ValueConflict:
                self._seem_new = False
            else:
                return
        known = await self._read(keys)
        if keys:  # a delete says nothing of it
            self._seem_new = not known
        await self._values.write(_encoded(puts, known), ttl)


def _encoded(puts: Iterable[Put], known: Mapping[str, ItemRecord]) -> dict[str, bytes | None]:
    """What is stored of puts, by key: None where an item is deleted."""
    records: dict[str, ItemRecord | None] = dict(map(_KEY_AND_RECORD, puts))
    for key, there in known.items():
        if (record := records[key]) is not None:
            records[key] = msgspec.structs.replace(record, created_at=there.created_at)
    return {key: None if record is None else _encode(record) for key, record in records.items()}


def decode(data: bytes, key: str) -> ItemRecord:
    """An item as it was stored under a key. Raises `Corrupt`."""
    return versioned.decode(_DECODER, data, VERSION, record="LangGraph item", key=key)


def _value(record: ItemRecord) -> dict[str, Any]:
    try:
        value: dict[str, Any] = _FROM_JSON.decode(record.value)
    except msgspec.MsgspecError as exc:
        key = key_of((record.namespace, record.key))
        raise Corrupt(record="LangGraph item", key=key, detail=f"its value: {exc}") from exc
    return value


def _item(record: ItemRecord) -> Item:
    return Item(
        namespace=record.namespace,
        key=record.key,
        value=_value(record),
        created_at=datetime.fromtimestamp(record.created_at, UTC),
        updated_at=datetime.fromtimestamp(record.updated_at, UTC),
    )


def _search_item(record: ItemRecord, score: float | None) -> SearchItem:
    return SearchItem(
        namespace=record.namespace,
        key=record.key,
        value=_value(record),
        created_at=datetime.fromtimestamp(record.created_at, UTC),
        updated_at=datetime.fromtimestamp(record.updated_at, UTC),
        score=score,
    )
