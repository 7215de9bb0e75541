"""Items of LangGraph's stores as keys and values of `store.state`, and the operations on them as coroutines.

    langgraph.store:{label}.{label}.:{key}

The items below a namespace so share a prefix. Each part is percent-encoded, and one that is long is named by its
digest; the value under the key has its real text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, final

import msgspec
from attrs import field, frozen
from langgraph.store.base import GetOp, Item, ListNamespacesOp, Op, PutOp, Result, SearchItem, SearchOp

from tenure.adapters.fronts import Values
from tenure.adapters.keys import part
from tenure.errors import Corrupt, InvalidInput

from .matching import fits, matches, nearness

PREFIX: Final = "langgraph.store:"
VERSION: Final = 1
_LABEL_LIMIT: Final = 80
_KEY_LIMIT: Final = 500
_AFTER_ALL: Final = "\x7f"
"""Stands after every character of an encoded key."""

_READ_AT_ONCE: Final = 200
_SECONDS: Final = 60.0
"""LangGraph counts times to live in minutes."""

Address = tuple[tuple[str, ...], str]
"""Namespace and key of an item."""


@final
class ItemRecord(msgspec.Struct, array_like=True, frozen=True):
    """An item as it is stored: its value as JSON, times in unix seconds, and a vector for each of its texts."""

    version: int
    namespace: tuple[str, ...]
    key: str
    value: bytes
    created_at: float
    updated_at: float
    ttl_minutes: float | None
    vectors: tuple[bytes, ...]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(ItemRecord)
_TO_JSON: Final = msgspec.json.Encoder()
_FROM_JSON: Final = msgspec.json.Decoder(dict[str, Any])


def stem_of(namespace: Sequence[str]) -> str:
    """What the keys of the items of a namespace, and of those below it, begin with."""
    return PREFIX + "".join([_part(label) + "." for label in namespace])


def key_of(address: Address) -> str:
    """The key of an item. Raises `InvalidInput` where its namespace is too deep."""
    namespace, key = address
    found = f"{stem_of(namespace)}:{_part(key)}"
    if len(found) > _KEY_LIMIT:
        raise InvalidInput(detail=f"its labels and its key have more than {_KEY_LIMIT} characters", field="namespace")
    return found


def _part(text: str) -> str:
    return part(text, "namespace", _LABEL_LIMIT)


def encode_value(value: Mapping[str, Any]) -> bytes:
    """The JSON of an item's value. Raises `InvalidInput` for what has none."""
    try:
        return _TO_JSON.encode(value)
    except (TypeError, ValueError, msgspec.MsgspecError) as exc:
        raise InvalidInput(detail=f"it has no JSON form: {exc}", field="value") from exc


@final
@frozen(kw_only=True, slots=True)
class Prepared:
    """Operations with what was made for them beforehand, for it may take a model.

    Attributes:
        ops: In their order.
        vectors: Of the texts of what is put, by place of the operation.
        queries: Vectors of length 1, by query.
    """

    ops: Sequence[Op]
    vectors: Mapping[int, tuple[bytes, ...]] = field(factory=dict[int, tuple[bytes, ...]])
    queries: Mapping[str, Sequence[float]] = field(factory=dict[str, Sequence[float]])


@final
class Items:
    """Carries out operations over `store.state`."""

    def __init__(self, values: Values) -> None:
        """Bind to the values of an open store."""
        self._values = values

    async def batch(self, prepared: Prepared) -> list[Result]:
        """Carry out operations: first what reads, in its order, and then all that is put, the last of each key."""
        results: list[Result] = [None] * len(prepared.ops)
        await self._gets(prepared.ops, results)
        for place, op in enumerate(prepared.ops):
            if isinstance(op, SearchOp):
                results[place] = await self._search(op, prepared.queries.get(op.query or ""))
            elif isinstance(op, ListNamespacesOp):
                results[place] = await self._list(op)
        await self._puts(prepared)
        return results

    async def sweep(self) -> int:
        """Delete what has expired in the whole store; how many values went."""
        return await self._values.sweep()

    async def _gets(self, ops: Sequence[Op], results: list[Result]) -> None:
        gets = {place: op for place, op in enumerate(ops) if isinstance(op, GetOp)}
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

    async def _puts(self, prepared: Prepared) -> None:
        puts = {
            key_of((op.namespace, op.key)): (place, op)
            for place, op in enumerate(prepared.ops)
            if isinstance(op, PutOp)
        }
        known = await self._read([key for key, (_, op) in puts.items() if op.value is not None])
        now = datetime.now(UTC).timestamp()
        by_time: dict[float | None, dict[str, bytes | None]] = {}
        for key, (place, op) in puts.items():
            data = None
            if op.value is not None:
                record = ItemRecord(
                    version=VERSION,
                    namespace=op.namespace,
                    key=op.key,
                    value=encode_value(op.value),
                    created_at=known[key].created_at if key in known else now,
                    updated_at=now,
                    ttl_minutes=None if op.ttl is None else float(op.ttl),
                    vectors=prepared.vectors.get(place, ()),
                )
                data = _ENCODER.encode(record)
            by_time.setdefault(None if data is None else op.ttl, {})[key] = data
        for minutes, values in by_time.items():
            await self._values.write(values, None if minutes is None else minutes * _SECONDS)


def decode(data: bytes, key: str) -> ItemRecord:
    """An item as it was stored under a key. Raises `Corrupt`."""
    try:
        found = _DECODER.decode(data)
    except msgspec.MsgspecError as exc:
        raise Corrupt(record="LangGraph item", key=key, detail=str(exc)) from exc
    if found.version != VERSION:
        raise Corrupt(record="LangGraph item", key=key, detail=f"its version is {found.version}")
    return found


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
