"""The checks that annotations stand for: one for each form of them (design §3, "At the door").

A check takes a value and returns it in its plain form, or raises `InvalidInput`: a word of an enum is the member, a subclass of
`str` is a `str`, a number is finite and fits 64 bits, a text has neither NUL nor lone surrogates, a frozen value is checked
field by field, an instance of a final class is one. No method that a caller's class could override is called, but for the
iteration of an iterable.

`Any`, callables and classes without a known form are passed on as they are: their verbs check them.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from itertools import compress, repeat
from operator import attrgetter, call, is_
from types import NoneType, UnionType
from typing import Any, Final, Literal, NewType, TypeGuard, cast

import attrs

from tenure.errors import InvalidInput

from .numbers import INT_LIMIT, is_a, not_a, plain_bytes, plain_float, plain_int, shown
from .texts import text_of

ID_LIMIT: Final = 500
"""Most characters (code points) of an id, so that an index of any engine can hold it. Runtime ids have a limit below it."""

_UNIONS: Final = (typing.Union, UnionType)

_TEXT: Final = frozenset({id(str)})
_NO_TYPES: Final = frozenset[int]()

_SHAPES: Final = 64
"""Of a class, so many combinations are known of the types of its values and of those that are its own defaults."""

Check = Callable[[Any, str], Any]
"""Takes a value and the name of its field; returns the plain value, or raises `InvalidInput`."""

carry_out: Final = cast("Callable[[Check, Any, str], Any]", call)
"""Carries out a check of a value, for `map`: checks, values and names of fields."""

_Left = tuple[list[bool], list[str], list[Check]]
"""What is left to look at in an instance: of each field whether, and of those the names and the checks."""


def check_of(annotation: Any) -> Check:
    """The check of an annotation, for what is checked often; see `check_value`."""
    try:
        return _cached_check_of(annotation)
    except TypeError:  # an annotation that has no hash
        return _make_check(annotation)


@cache
def _cached_check_of(annotation: Any) -> Check:
    return _make_check(annotation)


def _make_check(annotation: Any) -> Check:  # noqa: PLR0911 - one return for each form
    plain = _PLAIN.get(annotation) if isinstance(annotation, type) else None
    if plain is not None:
        return plain
    if isinstance(annotation, NewType):
        return _text_id if annotation.__supertype__ is str else check_of(annotation.__supertype__)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS:
        return _union(arguments)
    if origin is Literal:
        return _one_of(arguments)
    if origin is Callable:
        return _callable
    if origin is tuple and arguments[1:] == (...,):
        return _items(check_of(arguments[0]), (list, tuple))
    if origin is Mapping:
        return _entries(*arguments)
    if isinstance(origin, type) and issubclass(origin, Iterable) and not issubclass(origin, dict | tuple):
        return _items(check_of(arguments[0]), None) if len(arguments) == 1 else _as_given
    return _of_class(annotation) if isinstance(annotation, type) else _as_given


def _of_class(kind: type[Any]) -> Check:
    if issubclass(kind, Enum):
        return _member(kind)
    if attrs.has(kind):
        return _instance(kind)
    return _exactly(kind) if getattr(kind, "__final__", False) else _as_given


def _as_given(value: Any, _: str) -> Any:
    return value


def _callable(value: Any, field: str) -> Any:
    if not callable(value):
        raise not_a(value, "a function", field)
    return value


def _none(value: Any, field: str) -> None:
    if value is not None:
        raise not_a(value, "None", field)


def _bool(value: Any, field: str) -> bool:
    if value is True or value is False:
        return value is True
    raise not_a(value, "True or False", field)


def plain_text(value: Any, field: str) -> str:
    """A text as plain `str`, with neither NUL nor lone surrogates. Raises `InvalidInput`."""
    if type(value) is str and value.isascii() and "\0" not in value:
        return value  # as nearly all
    if not is_a(value, str):
        raise not_a(value, "text", field)
    plain = str.__str__(value)
    if "\0" in plain:
        raise InvalidInput(detail="a text has no NUL character", field=field)
    if not plain.isascii():
        try:
            plain.encode()
        except UnicodeEncodeError:
            raise InvalidInput(detail="a text has no lone surrogate", field=field) from None
    return plain


def _text_id(value: Any, field: str) -> str:
    if type(value) is str and value.isascii() and "\0" not in value and 0 < len(value) <= ID_LIMIT:
        return value  # as nearly all
    plain = plain_text(value, field)
    if not 0 < len(plain) <= ID_LIMIT:
        raise InvalidInput(detail=f"an id has 1 to {ID_LIMIT} characters, not {len(plain)}", field=field)
    return plain


def _time(value: Any, field: str) -> datetime:
    if not _is_of(value, (datetime,)):
        raise not_a(value, "a datetime", field)
    try:
        plain: datetime = datetime.__add__(value, timedelta(0))  # the zone is the caller's: it may raise anything
    except Exception as exc:
        raise InvalidInput(detail=f"not a datetime: {text_of(exc)}", field=field) from exc
    return plain


def _length(value: Any, field: str) -> timedelta:
    if not is_a(value, timedelta):
        raise not_a(value, "a timedelta", field)
    return timedelta.__pos__(value)


_PLAIN: Final[dict[Any, Check]] = {
    datetime: _time,
    timedelta: _length,
    NoneType: _none,
    bool: _bool,
    int: plain_int,
    float: plain_float,
    str: plain_text,
    bytes: plain_bytes,
}


def _union(members: tuple[Any, ...]) -> Check:
    # Text beside an id or an enum means its word: the narrower check holds. A value of a class is checked as that class.
    narrow = [
        each for each in members if isinstance(each, NewType) or (isinstance(each, type) and issubclass(each, Enum))
    ]
    kinds = [each for each in members if each is not NoneType and not (each is str and narrow)]
    # By identity: the class of a caller's value may raise where it is asked for its hash.
    exact = {id(each): check_of(each) for each in kinds if isinstance(each, type) and attrs.has(each)}
    others = [check_of(each) for each in kinds if id(each) not in exact]
    wanted = " or ".join(getattr(each, "__name__", str(each)) for each in kinds)
    optional = NoneType in members
    if len(others) == 1 and not exact:
        only = others[0]
        return (lambda value, field: None if value is None else only(value, field)) if optional else only

    def check(value: Any, field: str) -> Any:
        if value is None and optional:
            return None
        if (own := exact.get(id(type(cast("object", value))))) is not None:
            return own(value, field)
        wrong: InvalidInput | None = None
        for each in others:
            try:
                return each(value, field)
            except InvalidInput as exc:
                wrong = wrong or exc
        raise wrong or not_a(value, wanted, field)

    return check


def _one_of(words: tuple[Any, ...]) -> Check:
    def check(value: Any, field: str) -> Any:
        for word in words:
            if type(value) is type(word) and value == word:
                return word
        raise not_a(value, f"one of {', '.join(map(str, words))}", field)

    return check


def _member(kind: type[Enum]) -> Check:
    by_word = {each.value: each for each in kind}

    def check(value: Any, field: str) -> Enum:
        if is_a(value, kind):
            return cast("Enum", value)
        word = str.__str__(value) if is_a(value, str) else None
        if word not in by_word:
            raise not_a(value, f"one of {', '.join(map(str, by_word))}", field)
        return by_word[word]

    return check


def _items(item: Check, kinds: tuple[type[Any], ...] | None) -> Check:
    def check(value: Any, field: str) -> tuple[Any, ...]:
        if _is_tuple(value):  # itself, where nothing in it has to be changed: what holds it need not be made anew
            plain = list(map(item, value, repeat(field)))
            return value if all(map(is_, plain, value)) else tuple(plain)
        if _is_of(value, (str, bytes, bytearray)) or not _is_of(value, kinds or (Iterable,)):
            raise not_a(value, "a list or another iterable", field)
        try:
            items = list(value)
        except Exception as exc:  # the caller's own iterable, in the caller's task
            raise InvalidInput(detail=f"it cannot be iterated: {text_of(exc)}", field=field) from exc
        return tuple([item(each, field) for each in items])

    return check


def _is_of(value: object, kinds: tuple[type[Any], ...]) -> bool:
    """As `isinstance`, which asks a caller's object for its class: that may raise, and a StopIteration would end a `map`."""
    try:
        return isinstance(value, kinds)
    except Exception:  # noqa: BLE001 - what cannot say what it is is none of them
        return False


def _is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return type(value) is tuple


def _entries(of_key: Any, of_value: Any) -> Check:
    """The check of a mapping: a dictionary is plain, another one is read as its caller's code says."""
    key, value = check_of(of_key), check_of(of_value)
    sure = frozenset(map(id, _sure(of_value))) if of_key is str else _NO_TYPES

    def check(given: Any, field: str) -> Mapping[Any, Any]:
        if type(given) is not dict and not _is_of(given, (Mapping,)):
            raise not_a(given, "a mapping", field)
        try:
            entries: dict[Any, Any] = dict(given)  # pyright: ignore[reportUnknownArgumentType]
        except Exception as exc:  # the caller's own mapping, in the caller's task
            raise InvalidInput(detail=f"it cannot be read: {text_of(exc)}", field=field) from exc
        if sure and sure.issuperset(map(id, map(type, entries.values()))) and _are_plain(entries):
            return entries  # as nearly all of bytes by key: a few calls of C for however many there are
        try:
            return {key(name, field): value(entry, field) for name, entry in entries.items()}
        except InvalidInput:  # as it rarely is: once more, with the name of each entry
            return {key(name, field): value(entry, f"{field}[{shown(name)}]") for name, entry in entries.items()}

    return check


def _are_plain(texts: Mapping[Any, Any]) -> bool:
    """Whether all are texts that `_text` gives back as they are, because they are ASCII without NUL."""
    if not _TEXT.issuperset(map(id, map(type, texts))):
        return False
    joined = "".join(texts)
    return joined.isascii() and "\0" not in joined


def _instance(kind: type[Any]) -> Check:
    fields = attrs.fields(kind)
    read = attrgetter(*[each.name for each in fields], "__class__", "__class__")  # of one name it gives no tuple
    defaults = [object() if each.default is attrs.NOTHING else each.default for each in fields]
    # By the identities of the types, which are kept beside: a class of a caller's may say that it equals any other. Then, of
    # each value, whether it is what the class gives itself, also where it says that there is none yet.
    known: dict[tuple[int, ...], tuple[tuple[type, ...], _Left]] = {}

    @cache
    def all_checks() -> list[tuple[list[Any], str, Check]]:
        hints = typing.get_type_hints(kind)
        return [(_sure(hints[each.name]), each.name, check_of(hints[each.name])) for each in fields]

    def left(values: tuple[Any, ...], shape: tuple[int, ...]) -> _Left:
        """What is looked at in values of this shape. As nearly all instances have the same: kept for some."""
        kinds = tuple(map(type, values))
        of_class = list(map(is_, values, defaults))
        looked_at = [
            not own and not any(given is each for each in sure)
            for (sure, _, _), given, own in zip(all_checks(), kinds, of_class, strict=False)
        ]
        checks = [
            (name, partial(_fits, check) if issubclass(given, int) else check)
            for (_, name, check), given in compress(zip(all_checks(), kinds, strict=False), looked_at)
        ]
        found = looked_at, [name for name, _ in checks], [check for _, check in checks]
        if len(known) < _SHAPES:
            known[shape] = kinds, found
        return found

    def check(value: Any, field: str) -> Any:
        if type(value) is not kind:
            raise not_a(value, f"a {kind.__name__}", field)
        values = read(value)
        shape = (*map(id, map(type, values)), *map(is_, values, defaults))
        found = known.get(shape)
        at, names, checks = left(values, shape) if found is None else found[1]
        if not names:
            return value
        given = list(compress(values, at))
        plain = list(map(carry_out, checks, given, names))
        if all(map(is_, plain, given)):
            return value
        return attrs.evolve(
            value, **{name: new for name, new, old in zip(names, plain, given, strict=True) if new is not old}
        )

    return check


def _fits(check: Check, value: Any, field: str) -> Any:
    """A field: it may be stored. An argument of a look-up that is larger finds nothing, which is an answer."""
    plain = check(value, field)
    if type(plain) is int and not -INT_LIMIT <= plain < INT_LIMIT:
        raise InvalidInput(detail="a whole number fits 64 bits", field=field)
    return plain


def _sure(annotation: Any) -> list[Any]:
    """Types of which every value is passed on as it is."""
    members = typing.get_args(annotation) if typing.get_origin(annotation) in _UNIONS else (annotation,)
    kinds = [each for each in members if each is not NoneType]
    alone = len(kinds) == 1 and (
        kinds[0] in (bool, bytes) or (isinstance(kinds[0], type) and issubclass(kinds[0], Enum))
    )
    return [each for each in members if alone or each is NoneType]


def _exactly(kind: type[Any]) -> Check:
    """The check of a class that may not be derived from."""

    def check(value: Any, field: str) -> Any:
        if type(value) is not kind:
            raise not_a(value, f"an instance of {kind.__name__}", field)
        return value

    return check
