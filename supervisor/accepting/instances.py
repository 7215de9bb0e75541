"""What a user's class is made of, and whether an instance of it came back as it was given (design §3, §19).

cattrs looks at some parts of a class only when their first value comes: what is one of several classes, or a member of a
tuple. So a class is walked when its behaviour is made. And a class may write less than it holds, as pydantic does with
secrets, or a subclass where its base is said: so what was given is compared with what comes back, before it is on disk.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache, reduce
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

import attrs

from tenure.errors import InvalidInput
from tenure.persistence.model.codec import decode, encode, is_model
from tenure.persistence.model.numbers import shown
from tenure.persistence.model.texts import text_of

_NO_KEYS: Final = (float, bool, tuple, frozenset)
_FORMS_OF_JSON: Final = (str, bool, int, float, NoneType)
_ANY_NUMBER: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_MISSING: Final = object()


def parts_of(cls: Any) -> Iterator[Any]:
    """A class and all that its instances are made of, each once; what a model has inside, it knows itself."""
    found: list[Any] = [cls]
    seen: list[Any] = []
    for each in found:  # grows while it is walked
        if each not in seen:
            seen.append(each)
            yield each
            found += [part for part in _inside(each) if part not in (None, type(None), ..., Any)]


def _inside(cls: Any) -> list[Any]:
    if get_origin(cls) is Literal:
        return []
    if arguments := get_args(cls):
        # Of a generic class, its fields are of its parameters.
        return [arguments[0]] if get_origin(cls) is Annotated else [*arguments, *_beside_plain(cls, arguments)]
    if not inspect.isclass(cls) or is_model(cls):
        return []
    fields: list[str] = []
    if attrs.has(cls):
        fields = [field.name for field in attrs.fields(cls) if field.init]
    elif dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init]
    elif is_typeddict(cls) or hasattr(cls, "_fields"):
        fields = [*cls.__annotations__]
    said = get_type_hints(cls) if fields else {}
    return [said[name] for name in fields if name in said]


def _beside_plain(cls: Any, arguments: tuple[Any, ...]) -> list[Any]:
    """The rest of a union beside None and plain values, for which JSON has forms: cattrs looks at it at a value."""
    if get_origin(cls) not in (Union, UnionType):
        return []
    left = [each for each in arguments if each not in _FORMS_OF_JSON and get_origin(each) is not Literal]
    return [reduce(_either, left)] if 1 < len(left) < len(arguments) else []


def _either(first: Any, second: Any) -> Any:
    return first | second


def resolve(cls: Any) -> None:
    """Say the classes of fields that are named by text within another one (``list["Node"]``): cattrs reads no such name."""
    if not inspect.isclass(cls):
        return
    if attrs.has(cls):
        attrs.resolve_types(cls)
    elif dataclasses.is_dataclass(cls):
        said = get_type_hints(cls, include_extras=True)
        for each in dataclasses.fields(cls):
            each.type = said.get(each.name, each.type)


def check_made(cls: Any) -> None:
    """Raises `TypeError` for a class that takes what no field holds, or an enum with a member that JSON has no form for."""
    if not inspect.isclass(cls):
        return
    if issubclass(cls, Enum):
        for member in cls:
            if not _comes_back(member):
                raise TypeError(f"{cls.__name__}.{member.name} does not come back from JSON")
    elif dataclasses.is_dataclass(cls) and not attrs.has(cls):
        held = {field.name for field in dataclasses.fields(cls) if field.init}
        for name, taken in inspect.signature(cast("Any", cls)).parameters.items():
            if name not in held and taken.default is taken.empty and taken.kind not in _ANY_NUMBER:
                raise TypeError(f"{cls.__name__} takes {name}, and none of its fields has it")


def _comes_back(member: Enum) -> bool:
    try:
        return type(member)(decode(encode(member.value, "value"), "value", "given")) is member
    except (ValueError, InvalidInput):
        return False


def keys_of(cls: Any) -> Any:
    """What the keys of a mapping are, where it says that; else None."""
    origin, arguments = get_origin(cls), get_args(cls)
    return arguments[0] if inspect.isclass(origin) and issubclass(origin, Mapping) and arguments else None


def hides_keys(cls: Any) -> bool:
    """Whether it says of a mapping that its keys are numbers, where no instance of a class says so: JSON has text there."""
    try:
        return _hides_keys(cls)
    except TypeError:  # it has no hash, and is asked for anew each time
        return int in [keys_of(each) for each in parts_of(cls)]


@lru_cache(maxsize=1_000)
def _hides_keys(cls: Any) -> bool:
    return not inspect.isclass(cls) and int in [keys_of(each) for each in parts_of(cls)]


def check_keys(cls: Any) -> None:
    """Raises `TypeError` for a mapping whose keys JSON has no form for, as far as its class says."""
    keys = keys_of(cls)
    plain = get_origin(keys) or keys
    if not inspect.isclass(plain):
        return
    if issubclass(plain, Enum):
        has_form = all(isinstance(each.value, str) for each in plain)
    else:
        has_form = not (issubclass(plain, _NO_KEYS) or attrs.has(plain) or is_model(plain))
    if not has_form:
        raise TypeError(f"the keys of a JSON object are text, and {plain.__name__} has no such form")


def check_whole(given: Any, back: Any, field: str) -> None:
    """Raises `InvalidInput`, which names it, where something that was given is not in what comes back for it."""
    try:
        lost = None if given == back else _find_lost(given, back, field)
    except Exception as exc:  # a caller's class may raise anything here, in the caller's own task
        raise InvalidInput(detail=f"it cannot be compared: {text_of(exc)}", field=field) from exc
    if lost is not None:
        raise InvalidInput(
            detail=f"its JSON does not hold all of it: {lost}; give its class a form that does", field=field
        )


def _find_lost(given: Any, back: Any, path: str) -> str | None:
    """What of an instance that was given is not in the one that comes back for it, without the value of it; or None.

    A list for a tuple is not lost, nor is what a class makes of another value by itself: a text of a number, say.
    """
    kind: Any = given.__class__
    if back is _MISSING:
        return f"{path} is not there again"
    if issubclass(kind, list | tuple) and issubclass(back.__class__, list | tuple):
        return _find_lost_item(given, back, path)
    if kind is not back.__class__ and not _is_base(back.__class__, kind):
        is_lost = isinstance(back, str) and not issubclass(kind, str | Enum | int | float)
        return f"{path} was of class {kind.__name__}, and comes back as a text" if is_lost else None
    if issubclass(kind, dict):
        # A key that is a text may be one that the class does not know, or one that it makes another of.
        known = {key: value for key, value in given.items() if key in back or not isinstance(key, str)}
        return _first_lost((value, back.get(key, _MISSING), f"{path}[{shown(key)}]") for key, value in known.items())
    if (names := _compared(kind)) is None:
        return f"{path}, of class {kind.__name__}, has another value" if given != back else None
    return _first_lost((getattr(given, each, None), getattr(back, each, _MISSING), f"{path}.{each}") for each in names)


def _find_lost_item(given: Sequence[Any], back: Sequence[Any], path: str) -> str | None:
    if len(given) != len(back):
        return f"{path} has another length"
    pairs = enumerate(zip(given, back, strict=True))
    return _first_lost((one, other, f"{path}[{at}]") for at, (one, other) in pairs)


def _first_lost(parts: Iterable[tuple[Any, Any, str]]) -> str | None:
    return next((lost for part in parts if (lost := _find_lost(*part)) is not None), None)


def _is_base(base: Any, kind: Any) -> bool:
    return issubclass(kind, base) and _compared(base) is not None


def _compared(kind: Any) -> list[str] | None:
    if is_model(kind):
        return [name for name, field in kind.model_fields.items() if not field.exclude]
    if attrs.has(kind):
        return [field.name for field in attrs.fields(kind) if field.init and field.eq]
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.init and field.compare]
    return None
