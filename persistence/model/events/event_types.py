"""Events of a user's own classes: names and versions in the store, instances outside, by cattrs.

A class is registered under a name and a version. What was written in an older version is brought up, version by version, by
the hooks it was registered with, before it is made into an instance: stored events never change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, final

import attrs
import msgspec
from attrs import frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import make_converter

from tenure.errors import Corrupt, InvalidInput, Unsupported
from tenure.persistence.model.codec import decode, encode, is_object
from tenure.persistence.model.numbers import (
    INT_LIMIT,
)
from tenure.persistence.model.texts import text_of

from .journal import (
    EncodedEvent,
    EncodedFact,
    Fact,
    FactRef,
    encode_value,
    fact_key,
    hash_of_key,
)
from .lossless import take_without_loss

C = TypeVar("C")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes the JSON object of one version into that of the next; pure."""

HashOf = Callable[[bytes], str]
"""Names a value that is stored as a fact by its encoded bytes."""


@final
@frozen(kw_only=True, slots=True)
class _Registered:
    cls: type[Any]
    name: str
    version: int
    upcasts: Mapping[int, Upcast]


@final
class EventTypes:
    """The classes of the events of some streams.

    A registry of the caller's: nothing is registered at import, and none is needed for events that are plain JSON.
    """

    def __init__(self, converter: Converter | None = None) -> None:
        """Nothing is registered yet; `converter` is for hooks of the caller's own."""
        self._converter: Final = converter or _lossless_converter()
        self._by_name: dict[str, _Registered] = {}
        self._by_class: dict[type[Any], _Registered] = {}

    def add(
        self, cls: type[C], *, name: str | None = None, version: int = 1, upcast: Mapping[int, Upcast] | None = None
    ) -> type[C]:
        """Register a class (attrs, dataclass, or what cattrs can structure).

        Args:
            cls: The class; returned as it is.
            name: What is stored in its place; the name of the class for None. Keep it when the class is renamed.
            version: The version that is written now, from 1.
            upcast: For each older version that may be stored, what makes its object into that of the next version.

        Raises:
            InvalidInput: The name or the class is taken, or a version is none.
        """
        name = cls.__name__ if name is None else name
        if name in self._by_name or cls in self._by_class:
            raise InvalidInput(detail=f"{name} or its class is registered already", field="name")
        if isinstance(version, bool) or not 1 <= version < INT_LIMIT:
            raise InvalidInput(detail="a version is a whole number from 1", field="version")
        registered = _Registered(cls=cls, name=name, version=version, upcasts=dict(upcast or {}))
        self._by_name[name] = self._by_class[cls] = registered
        return cls

    def encode(self, event: object) -> tuple[str, int, dict[str, Any]]:
        """Name, version and JSON object of an event. Raises `InvalidInput` for what would not come back."""
        known = self._by_class.get(type(event))
        if known is None:
            raise InvalidInput(detail=f"{type(event).__name__} is not a registered class of events", field="events")
        try:
            value = self._converter.unstructure(event)
            again = decode(encode(value, "events"), "event", "given")
        except (TypeError, ValueError, AttributeError) as exc:
            raise InvalidInput(detail=text_of(exc), field="events") from exc
        if not is_object(again):
            raise InvalidInput(detail=f"an event of {known.name} is not a JSON object", field="events")
        self._structure(again, known)
        return known.name, known.version, again

    def decode(self, name: str, version: int, value: Any) -> Any:
        """The instance that is stored as `value`, brought up to the version of today.

        Raises:
            Unsupported: The name is not registered, the version is newer, or an upcast is missing.
            InvalidInput: It does not fit the class: an upcast is wrong.
        """
        known = self._by_name.get(name)
        if known is None or version > known.version:
            raise Unsupported(what=f"an event {name!r} of version {version}")
        for step in range(version, known.version):
            upcast = known.upcasts.get(step)
            if upcast is None:
                raise Unsupported(what=f"an event {name!r} of version {version}, without an upcast from {step}")
            value = upcast(value)
        return self._structure(value, known)

    def _structure(self, value: dict[str, Any], known: _Registered) -> Any:
        try:
            if any(isinstance(each, FactRef) for each in value.values()):
                return self._structure_with_references(value, known)
            return self._converter.structure(value, known.cls)
        except BaseValidationError as exc:
            raise InvalidInput(detail="; ".join(transform_error(exc, path="event")), field="events") from exc
        except Exception as exc:  # what a user's own hook or constructor raises; for this event it means the same
            raise InvalidInput(detail=f"{type(exc).__name__}: {text_of(exc)}", field="events") from exc

    def _structure_with_references(self, value: dict[str, Any], known: _Registered) -> Any:
        # Field by field: a reference stands where the class says that its value is.
        kinds = attrs.fields_dict(known.cls) if attrs.has(known.cls) else {}
        hints: dict[str, Any] = {name: kind.type for name, kind in kinds.items()}
        hints = hints or getattr(known.cls, "__annotations__", {})
        made = {
            name: each if isinstance(each, FactRef) else self._converter.structure(each, hints.get(name, Any))
            for name, each in value.items()
        }
        return known.cls(**made)


def encode_event(
    event: object, types: EventTypes | None, *, facts_above: int | None = None, hash_of: HashOf | None = None
) -> tuple[EncodedEvent, tuple[EncodedFact, ...]]:
    """An event as it is stored, and the values that are stored as facts.

    Args:
        event: JSON, or an instance of a class of `types`.
        types: The classes; None for plain JSON.
        facts_above: Fields of an object whose encoded value is larger become facts; None for none.
        hash_of: Names them.

    Raises:
        InvalidInput: It has no JSON form, or does not fit its class.
    """
    kind, version, value = (None, 0, event) if types is None else types.encode(event)
    payload = encode(value, "events")
    if facts_above is None or hash_of is None or len(payload) <= facts_above:
        return EncodedEvent(kind=kind, version=version, payload=payload), ()
    plain = decode(payload, "event", "given")
    if not is_object(plain):
        return EncodedEvent(kind=kind, version=version, payload=payload), ()
    references: list[tuple[str, str, int]] = []
    facts: list[EncodedFact] = []
    for name, part in list(plain.items()):
        form, data = encode_value(part, "events")
        if len(data) > facts_above:
            key = fact_key(hash_of(data))
            references.append((name, key, len(data)))
            facts.append(EncodedFact(key=key, form=form, value=data))
            del plain[name]
    payload = encode(plain, "events") if references else payload
    return EncodedEvent(kind=kind, version=version, payload=payload, references=tuple(references)), tuple(facts)


def decode_event(
    event: EncodedEvent, types: EventTypes | None, key: str, values: Mapping[str, Any] | None = None
) -> Any:
    """The event again. Fields that are facts are taken from `values`, by the fact's key, and are `FactRef` elsewhere.

    Raises:
        Corrupt: It is not JSON.
        Unsupported, InvalidInput: See `EventTypes.decode`.
    """
    value = decode(event.payload, "event", key)
    if event.references:
        if not is_object(value):
            raise Corrupt(record="event", key=key, detail="it has references and is not an object")
        for name, fact, size in event.references:
            known = values is not None and fact in values
            value[name] = values[fact] if values is not None and known else FactRef(hash_of_key(fact), size)
    if types is None or event.kind is None:
        return value
    return types.decode(event.kind, event.version, value)


def declared(facts: tuple[Fact | str | bytes, ...]) -> tuple[EncodedFact, ...]:
    """What an append declares: facts to store, and hashes of facts that are stored. Raises `InvalidInput`."""
    return tuple([_declared(each) for each in facts])


def _declared(fact: Fact | str | bytes) -> EncodedFact:
    if not isinstance(fact, Fact):
        return EncodedFact(key=fact_key(fact))
    form, value = encode_value(fact.value, "facts")
    return EncodedFact(key=fact_key(fact.hash), form=form, value=value)


def encode_log(events: Iterable[EncodedEvent]) -> bytes:
    """A whole log as it is stored under one id."""
    return _log_encoder.encode([(each.kind, each.version, msgspec.Raw(each.payload)) for each in events])


def decode_log(data: bytes, stream: str) -> list[EncodedEvent]:
    """The events of a log that was saved whole. Raises `Corrupt`."""
    try:
        return [
            EncodedEvent(kind=kind, version=version, payload=bytes(payload))
            for kind, version, payload in _log_decoder.decode(data)
        ]
    except msgspec.DecodeError as exc:
        raise Corrupt(record="journal log", key=stream, detail=str(exc)) from exc


_log_encoder: Final = msgspec.json.Encoder()
_log_decoder: Final = msgspec.json.Decoder(list[tuple[str | None, int, msgspec.Raw]])


def _lossless_converter() -> Converter:
    converter = make_converter()
    take_without_loss(converter)
    return converter
