"""Operations of LangGraph's stores with plain texts in them, whatever a class of a caller's says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    NamespacePath,
    PutOp,
    SearchOp,
)

from tenure.adapters.checking import is_fit
from tenure.errors import InvalidInput


def labels_of(given: object) -> tuple[str, ...]:
    """Labels as plain texts. Raises `InvalidInput`, or `InvalidNamespaceError` where a label is not text."""
    if not isinstance(given, tuple | list):
        raise InvalidInput(detail="a namespace, and a condition of one, is a tuple of texts", field="namespace")
    labels = tuple(cast("Iterable[object]", given))
    for label in labels:
        if not isinstance(label, str):
            message = f"Namespace labels must be strings, but got {type(label).__name__}."
            raise InvalidNamespaceError(message)
    return tuple([str.__str__(cast("str", label)) for label in labels])


def path_of(given: NamespacePath | None) -> NamespacePath | None:
    """Labels of a condition, as `labels_of`, or None."""
    return None if given is None else labels_of(given)


def with_plain_texts(op: Any) -> Any:
    """An operation whose labels, key and conditions are of no subclass. Raises `InvalidInput`, `InvalidNamespaceError`."""
    if isinstance(op, PutOp | GetOp):
        key: Any = op.key
        plain_key = str.__str__(key) if isinstance(key, str) else key
        return op._replace(namespace=labels_of(op.namespace), key=plain_key)
    if isinstance(op, SearchOp):
        wanted: Any = op.filter
        plain: Any = dict(wanted) if issubclass(type(wanted), dict) else wanted
        return op._replace(namespace_prefix=labels_of(op.namespace_prefix), filter=plain)
    if isinstance(op, ListNamespacesOp) and is_fit(op.match_conditions, tuple[MatchCondition, ...] | None):
        conditions = [MatchCondition(each.match_type, labels_of(each.path)) for each in op.match_conditions or ()]
        return op._replace(match_conditions=tuple(conditions))
    return op
