"""What a user's class is made of, and whether an instance of it came back as it was given (design §3, §19).

cattrs looks at some parts of a class only when their first value comes: what is one of several classes, or a member of a
tuple. So a class is walked when its behaviour is made. And a class may write less than it holds, as pydantic does with
secrets, or a subclass where its base is said: so what was given is compared with what comes back, before it is on disk.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache, reduce
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

import attrs

from tenure.errors import InvalidInput
from tenure.persistence.model.codec import decode, encode, is_model
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
        return int in map(keys_of, parts_of(cls))


@lru_cache(maxsize=1_000)
def _hides_keys(cls: Any) -> bool:
    return not inspect.isclass(cls) and int in map(keys_of, parts_of(cls))


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
    """Raises `InvalidInput` where something of an instance that was given is not in the one that comes back for it."""
    try:
        if given == back or not is_lost(given, back):
            return
    except Exception as exc:  # a caller's class may raise anything here, in the caller's own task
        raise InvalidInput(detail=f"it cannot be compared: {text_of(exc)}", field=field) from exc
    raise InvalidInput(detail="its JSON does not hold all of it; give its class a form that does", field=field)


def is_lost(given: Any, back: Any) -> bool:
    """Whether something of an instance that was given is not in the one that comes back for it.

    A list for a tuple is not lost, nor is what a class makes of another value by itself: a text of a number, say.
    """
    kind: Any = given.__class__
    if back is _MISSING:
        return True
    if issubclass(kind, list | tuple) and issubclass(back.__class__, list | tuple):
        return len(given) != len(back) or any(map(is_lost, given, back))
    if kind is not back.__class__ and not _is_base(back.__class__, kind):
        return isinstance(back, str) and not issubclass(kind, str | Enum | int | float)
    if issubclass(kind, dict):
        # A key that is a text may be one that the class does not know, or one that it makes another of.
        return any(
            is_lost(value, back[key]) if key in back else not isinstance(key, str) for key, value in given.items()
        )
    if (names := _compared(kind)) is None:
        return bool(given != back)
    return any(is_lost(getattr(given, name, None), getattr(back, name, _MISSING)) for name in names)


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
