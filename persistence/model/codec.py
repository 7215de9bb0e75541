"""Payloads, messages and results as stored: JSON, by msgspec, encoded once and outside the writer."""

from __future__ import annotations

import hashlib
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from itertools import accumulate
from types import NoneType
from typing import Any, Final, TypeGuard
from uuid import UUID

import attrs
import msgspec

from tenure.errors import Corrupt, InvalidInput

from .numbers import (
    shown,
    with_article,
)
from .texts import refuse_sealed, text_of

_decoder: Final = msgspec.json.Decoder()
_PLAIN: Final = frozenset((str, int, bool, NoneType))
_TEXT: Final = frozenset((str,))
_LOST: Final = (bytes, bytearray, memoryview, set, frozenset)
_AS_ELSE: Final = "{} would come back as something else; encode it, or use a payload class"

_TEXTS: Final = (Decimal, UUID, timedelta, date, time)
"""What the encoder makes a text of. In an instance of a class the class makes it again; elsewhere it would stay a text."""

NESTING: Final = 200
"""How deep JSON may be nested. Every decoder bears it, on any stack that a program has left."""


def is_model(cls: object) -> bool:
    """Whether a class is a pydantic model. pydantic is not imported: where it was not imported there is none."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def dump_model(model: Any) -> Any:
    """A pydantic model as the JSON value of which it can be made again."""
    return model.model_dump(mode="json", by_alias=True, round_trip=True)


def _form(value: object) -> object:
    if is_model(type(value)):
        return dump_model(value)
    if inspect.iscoroutine(value):
        raise TypeError("it is a coroutine, whose result was not awaited")
    raise TypeError(f"nothing is known of the class {type(value).__name__}; make it a dict, or use a payload class")


_encoder: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_form)

encode_text: Final = _encoder.encode
"""`encode` of a text, without a call between: for each token of a model. Raises `UnicodeEncodeError` for half a character."""


def encode(value: object, field: str, hook: Callable[[Any], Any] | None = None) -> bytes:
    """Encode a JSON value (also attrs classes, dataclasses, pydantic models and enums); keys of objects are sorted.

    A tuple comes back as a list, an enum as its value. An instance of a class comes back as an object, unless it is known
    what to make of it: a payload of the behaviour's class, the result of a step whose function names its class.

    Args:
        value: The value.
        field: What it is, for errors.
        hook: Gives the form of an instance that has none.

    Raises:
        InvalidInput: The value has no JSON form; `field` names it. So have NaN and infinity, which the encoder would make
            null; bytes, sets, decimals, dates and UUIDs, and keys of an object that are not text: they would come back as
            something else; and what is nested deeper than `NESTING`.
    """
    try:
        if type(value) is str:  # nearly all of what is emitted, and no text is lost or nested
            return _encoder.encode(value)
        _refuse_bytes(value)  # before they are encoded: there may be many
        if hook is None:
            form, data = _form, _encoder.encode(value)
        else:
            form = partial(_form_by, hook)
            data = msgspec.json.Encoder(order="deterministic", enc_hook=form).encode(value)
        if not _is_plain(value):  # what is plain is not nested either
            _refuse_lost(value, form)
            if len(data) > NESTING:
                check_nesting(data)
    except InvalidInput:
        raise
    except Exception as exc:  # a caller's class may raise anything here, in the caller's own task
        said = text_of(exc)
        if isinstance(exc, UnicodeEncodeError):
            said = "a text has no lone surrogate"
        detail = "the keys of an object are text" if said.startswith(_NO_KEYS) else said
        raise InvalidInput(detail=f"no JSON form: {detail}", field=field) from exc
    return data


_NO_KEYS: Final = "Only dicts with str keys"
"""What the encoder says of others where it sorts them."""


def _is_plain(value: Any) -> bool:
    """Whether nothing can be lost of it: a flat list, as most arguments of steps, or a flat object, as most payloads."""
    kind: Any = value.__class__
    if kind is dict:
        return _TEXT.issuperset(map(type, value)) and _PLAIN.issuperset(map(type, value.values()))
    return kind is list and _PLAIN.issuperset(map(type, value))


def _form_by(hook: Callable[[Any], Any], value: object) -> object:
    return dump_model(value) if is_model(type(value)) else hook(value)


def check_nesting(data: bytes) -> None:
    """Raises `ValueError` where JSON is nested deeper than `NESTING`."""
    if (deepest := _depth(data)) > NESTING:
        raise ValueError(f"it is nested {deepest} deep, and {NESTING} is the limit")


def _depth(data: bytes) -> int:
    """How deep JSON is nested; 0 where its brackets are too few to go beyond `NESTING`."""
    if len(data) <= NESTING or data.count(b"[") + data.count(b"{") <= NESTING:
        return 0
    plain = _ESCAPED.sub(b"", data) if b"\\" in data else data
    # What stands between its texts, and of that the brackets.
    marks = b"".join(plain.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, marks)), default=0)


_ESCAPED: Final = re.compile(rb"\\.", re.DOTALL)
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_STEPS))


def _refuse_lost(value: object, form: Callable[[object], object]) -> None:
    """Find what would not come back as what it is, though it was encoded. The encoder has been there: there is no cycle."""
    found: list[Any] = [value]
    for each in found:  # grows while it is walked
        kind: type[Any] = each.__class__
        if kind in _PLAIN:
            continue
        if kind is dict or issubclass(kind, Mapping):
            _check_keys(each)
            found += each.values()
        elif issubclass(kind, list | tuple):
            found += each
        elif issubclass(kind, _LOST):
            raise TypeError(_AS_ELSE.format(with_article(kind.__name__)))
        elif issubclass(kind, _TEXTS):
            raise TypeError(
                f"{with_article(kind.__name__)} would come back as text; make it text, or use a payload class"
            )
        elif issubclass(kind, float):
            if not math.isfinite(each):
                raise ValueError(f"{each} is not a JSON number")
        elif not issubclass(kind, Enum):
            found += _parts(each, kind, form)


def _refuse_bytes(value: object) -> None:
    kind = value.__class__
    if issubclass(kind, _LOST):
        raise TypeError(_AS_ELSE.format(with_article(kind.__name__)))


def _parts(value: object, kind: type[Any], form: Callable[[object], object]) -> list[Any]:
    names = _field_names(kind)
    if names is None:
        return [form(value)]
    parts = [getattr(value, name, None) for name in names]
    return [part for part in parts if not isinstance(part, _TEXTS)]


def _check_keys(value: Mapping[Any, Any]) -> None:
    if _TEXT.issuperset(map(type, value)):
        return
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"the key {shown(key)} of an object is not text")


def _field_names(kind: type[Any]) -> Iterable[str] | None:
    """What the encoder has written of an instance of an attrs class, a dataclass or a struct; None of anything else."""
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in attrs.fields(kind)]
    names: Iterable[str] | None = getattr(kind, "__dataclass_fields__", None)
    return names if names is not None else getattr(kind, "__struct_fields__", None)


def decode(data: bytes, record: str, key: str) -> Any:
    """Decode stored JSON. Raises `Corrupt`, naming the record and its key, where it is none."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as exc:
        refuse_sealed(data)
        raise Corrupt(record=record, key=key, detail=str(exc)) from exc


def decode_brought(data: bytes, field: str, what: str) -> Any:
    """Decode bytes that a caller has stored, and that are what their digest says.

    Raises:
        InvalidInput: They are not JSON, or nested deeper than `NESTING`, which is how they were given: nothing was damaged.
            How deep a decoder goes by itself depends on the version of Python and on the stack.
    """
    try:
        check_nesting(data)
        return _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        refuse_sealed(data)
        raise InvalidInput(detail=f"{what} was stored as bytes that are not JSON: {exc}", field=field) from exc


def message_of(data: bytes) -> Any:
    """A message as it was appended: what its JSON says, or, where it is not JSON, the bytes.

    JSON that is nested deeper than `NESTING` is bytes too, on every stack: who decodes it may have none left for it.
    """
    if _depth(data) > NESTING:
        return data
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        refuse_sealed(data)
        return data


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether decoded JSON is an object."""
    return isinstance(value, dict)


def digest(data: bytes) -> bytes:
    """SHA-256 of encoded data."""
    return hashlib.sha256(data).digest()
