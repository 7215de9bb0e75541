"""`TenureStore`: LangGraph's long-term memory over a store."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, final

from langgraph.store.base import (
    NOT_PROVIDED,
    BaseStore,
    Embeddings,
    IndexConfig,
    Item,
    ListNamespacesOp,
    NamespacePath,
    NotProvided,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    ensure_embeddings,
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)

from tenure.adapters.checking import check_value, is_fit, text_from
from tenure.adapters.fronts import AnyStore, Caller
from tenure.errors import InvalidInput

from .addresses import plain_key_of
from .gathering import Gathering
from .items import Items, prepared, prepared_put
from .matching import check_conditions, check_filter, packed, unit
from .plain import labels_of, path_of, with_plain_texts

_WHOLE: Final = "$"
_STRINGS: Final = frozenset({str})
_IS_LABEL: Final = re.compile(r"[^.\x00]+").fullmatch


@final
class TenureStore(BaseStore):
    """Keeps items by namespace and key in a store: `builder.compile(store=TenureStore(store))`.

    The verbs are those of LangGraph's `BaseStore`. What they put is on disk when they return. Of one batch, what reads sees the
    store as it was before the batch; what is put lands in one commit, and in one more for each further time to live. An item
    that has expired is never given again, with or without a sweep.

    Attributes:
        supports_ttl: True.
        ttl_config: As it was given. `default_ttl` and `refresh_on_read` hold; expired items are always omitted, and for
            `sweep_interval_minutes` there is nothing to do: writes with a time to live, `Store.prune` and `sweep_ttl` delete
            what has expired.
        index_config: As it was given.
        embeddings: What makes vectors of texts, or None.
    """

    supports_ttl = True

    def __init__(self, store: AnyStore, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None) -> None:
        """Bind to an open store.

        Args:
            store: As for `TenureSaver`.
            index: How texts become vectors, for searches with a query. Without it a query chooses nothing.
            ttl: Times to live in minutes.

        Raises:
            InvalidInput: As for `TenureSaver`.
        """
        self._caller = Caller(store)
        self._items = Items(self._caller.values)
        self._gathering = Gathering(self._items, self._caller.loop)
        self.ttl_config = ttl
        self.index_config = index
        self.embeddings: Embeddings | None = None if index is None else ensure_embeddings(index.get("embed"))
        self._fields = (None if index is None else index.get("fields")) or [_WHOLE]

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, from a thread. Raises `InvalidNamespaceError`, `ValueError` for a filter, `InvalidInput`."""
        checked, embeddings = _checked(ops), self.embeddings
        texts, queries = ({}, []) if embeddings is None else (self._texts(checked), _queries(checked))
        if embeddings is None or not (texts or queries):
            return self._caller.waited(self._items.batch(prepared(checked)))
        made = embeddings.embed_documents(_flat(texts)) if texts else []
        asked = {query: unit(embeddings.embed_query(query)) for query in queries}
        return self._caller.waited(self._items.batch(prepared(checked, _by_place(texts, made), asked)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, from a loop, together with those of other tasks that wait. Raises as `batch`."""
        checked, embeddings = _checked(ops), self.embeddings
        texts, queries = ({}, []) if embeddings is None else (self._texts(checked), _queries(checked))
        if embeddings is None or not (texts or queries):
            found = prepared(checked)
        else:
            made = await embeddings.aembed_documents(_flat(texts)) if texts else []
            asked = {query: unit(await embeddings.aembed_query(query)) for query in queries}
            found = prepared(checked, _by_place(texts, made), asked)
        if self._caller.is_on_its_loop:
            return list(await self._gathering.batch(found))
        return await self._caller.awaited(self._items.batch(found))

    async def aput(
        self,
        namespace: tuple[str, ...],
        key: str,
        value: Mapping[str, Any],
        index: Literal[False] | list[str] | None = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Put one item; see `abatch`. A key is made text, as the framework does. Raises as `batch`."""
        is_as_most = ttl is NOT_PROVIDED and index is None and self.ttl_config is None and self.embeddings is None
        stored = plain_key_of(namespace, key) if is_as_most and _are_plain(namespace, key, value) else None
        if stored is not None and self._caller.is_on_its_loop:
            await self._gathering.batch(prepared_put(stored, namespace, key, value))
        else:
            await super().aput(labels_of(namespace), text_from(key, "key"), value, index, ttl=ttl)

    # The framework looks at what these are given before it makes an operation of it: it is made plain before

    def put(
        self,
        namespace: tuple[str, ...],
        key: str,
        value: Mapping[str, Any],
        index: Literal[False] | list[str] | None = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Put one item; see `batch`."""
        super().put(labels_of(namespace), text_from(key, "key"), value, index, ttl=ttl)

    def get(self, namespace: tuple[str, ...], key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """One item, or None; see `batch`."""
        return super().get(labels_of(namespace), text_from(key, "key"), refresh_ttl=refresh_ttl)

    async def aget(self, namespace: tuple[str, ...], key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """One item, or None; see `abatch`."""
        return await super().aget(labels_of(namespace), text_from(key, "key"), refresh_ttl=refresh_ttl)

    def delete(self, namespace: tuple[str, ...], key: str) -> None:
        """Delete one item; see `batch`."""
        super().delete(labels_of(namespace), text_from(key, "key"))

    async def adelete(self, namespace: tuple[str, ...], key: str) -> None:
        """Delete one item; see `abatch`."""
        await super().adelete(labels_of(namespace), text_from(key, "key"))

    def search(
        self,
        namespace_prefix: tuple[str, ...],
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """Items below a prefix; see `batch`."""
        return super().search(
            labels_of(namespace_prefix), query=query, filter=filter, limit=limit, offset=offset, refresh_ttl=refresh_ttl
        )

    async def asearch(
        self,
        namespace_prefix: tuple[str, ...],
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """Items below a prefix; see `abatch`."""
        return await super().asearch(
            labels_of(namespace_prefix), query=query, filter=filter, limit=limit, offset=offset, refresh_ttl=refresh_ttl
        )

    def list_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[tuple[str, ...]]:
        """Namespaces of items; see `batch`."""
        return super().list_namespaces(
            prefix=path_of(prefix), suffix=path_of(suffix), max_depth=max_depth, limit=limit, offset=offset
        )

    async def alist_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[tuple[str, ...]]:
        """Namespaces of items; see `abatch`."""
        return await super().alist_namespaces(
            prefix=path_of(prefix), suffix=path_of(suffix), max_depth=max_depth, limit=limit, offset=offset
        )

    def sweep_ttl(self) -> int:
        """Delete what has expired in the whole store, from a thread; how many values went."""
        return self._caller.waited(self._items.sweep())

    async def asweep_ttl(self) -> int:
        """Delete what has expired in the whole store, from a loop; how many values went."""
        return await self._caller.awaited(self._items.sweep())

    def _texts(self, ops: Sequence[Op]) -> dict[int, list[str]]:
        """The texts of what is put that become vectors, by place."""
        found: dict[int, list[str]] = {}
        for place, op in enumerate(ops):
            if not isinstance(op, PutOp) or op.value is None or op.index is False:
                continue
            for path in self._fields if op.index is None else op.index:
                texts = get_text_at_path(op.value, _WHOLE if path == _WHOLE else tokenize_path(path))
                if texts:
                    found.setdefault(place, []).extend(texts)
        return found


def _checked(ops: Iterable[Op]) -> list[Op]:
    if not isinstance(ops, list):
        check_value(ops, Iterable[Op], "ops")
    found = list(ops)
    for place, given in enumerate(found):
        if type(given) is PutOp and _is_plain(given):
            continue
        op = found[place] = with_plain_texts(given)
        _check_types(op)
        if isinstance(op, SearchOp | ListNamespacesOp) and (op.limit < 0 or op.offset < 0):
            raise InvalidInput(detail="a limit and an offset are 0 or more", field="limit")
        if isinstance(op, SearchOp):
            check_filter(op.filter)
        elif isinstance(op, PutOp) and op.ttl is not None and not 0 < op.ttl < math.inf:
            raise InvalidInput(detail=f"{op.ttl} is not a number of minutes above 0", field="ttl")
    return found


def _check_types(op: Op) -> None:
    """Raises `InvalidNamespaceError` for a label, `ValueError` for a condition, `InvalidInput` for what is not an operation."""
    try:
        validate_op_namespace(op)
        if isinstance(op, ListNamespacesOp):
            check_conditions(op.match_conditions)
    except (TypeError, AttributeError) as exc:
        raise InvalidInput(
            detail="a namespace, and a condition of one, is a tuple of texts", field="namespace"
        ) from exc
    if not (_is_put(op) if isinstance(op, PutOp) else is_fit(op, Op)):
        raise _not_an_operation(op)


def _not_an_operation(op: Op) -> InvalidInput:
    return InvalidInput(detail=f"this is not an operation with fields of their types: {type(op).__name__}", field="ops")


def _is_plain(op: PutOp) -> bool:
    """Whether a put is as nearly all are: nothing is wrong with it, which takes longer to find out of the others."""
    return (
        op.ttl is None
        and op.index is None
        and _are_plain(op.namespace, op.key, op.value)
        and None not in map(_IS_LABEL, op.namespace)
    )


def _are_plain(namespace: object, key: object, value: object) -> bool:
    """Whether they are of the types that nearly all have."""
    return (
        type(namespace) is tuple
        and isinstance(value, dict)
        and _STRINGS.issuperset(map(type, (key, *namespace, *value)))  # pyright: ignore[reportUnknownArgumentType]
    )


def _is_put(op: PutOp) -> bool:
    """As `is_fit`, which takes longer than all else that is done with a put before it is stored."""
    value = op.value
    return (
        type(op.namespace) in {tuple, list}
        and type(op.key) is str
        and (value is None or is_fit(value, Mapping[str, Any]))
        and (op.ttl is None or type(op.ttl) in {int, float})
        and (op.index is None or op.index is False or is_fit(op.index, list[str]))
    )


def _queries(ops: Sequence[Op]) -> list[str]:
    return list(dict.fromkeys(op.query for op in ops if isinstance(op, SearchOp) and op.query))


def _flat(texts: Mapping[int, Sequence[str]]) -> list[str]:
    return [text for each in texts.values() for text in each]


def _by_place(texts: Mapping[int, Sequence[str]], made: Sequence[Sequence[Any]]) -> dict[int, tuple[bytes, ...]]:
    if len(made) != sum(map(len, texts.values())):
        raise InvalidInput(detail="the embeddings are not as many as the texts", field="index")
    left = iter(made)
    return {place: tuple([packed(next(left)) for _ in each]) for place, each in texts.items()}
