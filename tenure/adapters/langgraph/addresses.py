"""Keys of `store.state` that items of LangGraph's stores stand under.

    langgraph.store:{label}.{label}.:{key}

The items below a namespace so share a prefix. Each part is percent-encoded, and one that is long is named by its digest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from tenure.adapters.keys import part
from tenure.errors import InvalidInput

_PREFIX: Final = "langgraph.store:"

_RESERVED: Final = "langgraph"
"""The label that no namespace of a put begins with."""

_LABEL_LIMIT: Final = 80
_KEY_LIMIT: Final = 500
_IS_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+:[A-Za-z0-9_.~-]*").fullmatch
"""Labels and a key that stand in a key of the store as they are."""

_IS_PLAIN_LABEL: Final = re.compile(rf"[A-Za-z0-9_~-]{{1,{_LABEL_LIMIT}}}").fullmatch
_IS_PLAIN_KEY: Final = re.compile(rf"[A-Za-z0-9_.~-]{{0,{_LABEL_LIMIT}}}").fullmatch

_STEMS: Final = 1_024
"""Of so many namespaces it is known what the keys of their items begin with."""

Address = tuple[tuple[str, ...], str]
"""Namespace and key of an item."""


def stem_of(namespace: Sequence[str]) -> str:
    """What the keys of the items of a namespace, and of those below it, begin with."""
    return _PREFIX + "".join([_part(label) + "." for label in namespace])


def key_of(address: Address) -> str:
    """The key of an item. Raises `InvalidInput` where its namespace is too deep."""
    namespace, key = address
    if namespace and len(text := ".".join(namespace) + ".:" + key) <= _LABEL_LIMIT and _IS_PLAIN(text) is not None:
        return _PREFIX + text  # as nearly all
    found = f"{stem_of(namespace)}:{_part(key)}"
    if len(found) > _KEY_LIMIT:
        raise InvalidInput(detail=f"its labels and its key have more than {_KEY_LIMIT} characters", field="namespace")
    return found


def plain_key_of(namespace: tuple[str, ...], key: str) -> str | None:
    """As `key_of`, of a namespace and a key that are texts and as nearly all; None for others, and where LangGraph refuses."""
    stem = _plain_stem_of(namespace)
    return None if stem is None or _IS_PLAIN_KEY(key) is None else stem + key


@lru_cache(maxsize=_STEMS)
def _plain_stem_of(namespace: tuple[str, ...]) -> str | None:
    if not namespace or namespace[0] == _RESERVED or None in map(_IS_PLAIN_LABEL, namespace):
        return None
    stem = f"{_PREFIX}{'.'.join(namespace)}.:"
    return stem if len(stem) <= _KEY_LIMIT - _LABEL_LIMIT else None


def _part(text: str) -> str:
    return part(text, "namespace", _LABEL_LIMIT)
