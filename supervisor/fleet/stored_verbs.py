"""Verbs as requests have them: a name, and arguments in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.codec import decode, encode
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent

from .own_states import SetValues
from .verbs import Apply, Cancel, ChangeLabels, Doing, Drop, Reread, Resume, Retry, Settle, Verb

EVENTS: Final = frozenset(
    {
        LifecycleEvent.RETIRE,
        LifecycleEvent.RESET,
        LifecycleEvent.STOP,
        LifecycleEvent.RECYCLE,
        LifecycleEvent.DESTROY,
    }
)
"""Lifecycle events that a caller can ask for."""

_VERBS: Final[Mapping[str, type[Verb[Any]]]] = {
    each.name: each for each in (Reread, Resume, Settle, Cancel, Retry, Drop, ChangeLabels, SetValues, Doing)
}


def write_verb(verb: Verb[Any]) -> str:
    """The arguments of a verb, as JSON. Raises `InvalidInput` where one has no JSON form."""
    return encode(verb, "arguments").decode()


def read_verb(name: str, arguments: str, request_id: str) -> Verb[Any]:
    """A verb that was stored.

    Raises:
        InvalidInput: The verb is not known, or has other arguments: the asking host is of another version.
        Corrupt: The arguments are no JSON.
    """
    read = decode_object(arguments, request_id)
    try:
        if name in EVENTS:
            return msgspec.convert({**read, "event": name}, Apply)
        verb: Verb[Any] = msgspec.convert(read, _VERBS[name])
    except (KeyError, TypeError, msgspec.ValidationError) as exc:
        raise InvalidInput(detail=f"no such verb here: {name} {arguments}", field="verb") from exc
    return verb


def decode_object(text: str, key: str) -> dict[str, Any]:
    """A JSON object of a request. Raises `Corrupt`."""
    found = decode(text.encode(), "request", key)
    if not isinstance(found, dict):
        raise Corrupt(record="request", key=key, detail="it is not a JSON object")
    return cast("dict[str, Any]", found)
