"""What callers pass to an adapter, checked against the annotations of what they call.

Theory of operation: `checked` wraps the public verbs of a class, or one function. From the annotations of its parameters it
builds one test a parameter, at the first call. A value that fails is `InvalidInput` in the caller's task, before anything is
read or written: what the framework's own types would let pass, such as bytes for an id, would be stored and could not be read.
`Any`, type variables and protocols pass: what takes them checks them.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, cached_property, wraps
from types import FunctionType, NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, cast

from tenure.errors import InvalidInput

from .wording import in_words, one

_STRINGS: Final = frozenset({str})
_name_of: Final = vars(type)["__name__"].__get__  # whatever the class of a class says of that
_HOLDERS: Final = frozenset({list, tuple, set, frozenset, dict})
_NAMED: Final = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})

Test = Callable[[Any], bool]
"""Whether a value may be passed."""

CheckedT = TypeVar("CheckedT", bound=Callable[..., Any])


def checked(verb: CheckedT) -> CheckedT:
    """Decorate a function, or a class for all of its public methods: arguments are checked before the body runs."""
    if not isinstance(verb, type):
        return cast("CheckedT", _wrapped(cast("FunctionType", verb), skipped=0))
    for name, method in list(vars(verb).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(verb, name, _wrapped(method, skipped=1))
    return cast("CheckedT", verb)


def is_fit(value: object, annotation: Any) -> bool:
    """Whether a value is what an annotation says."""
    return _cached_test_of(annotation)(value)


def check_value(value: object, annotation: Any, field: str) -> None:
    """Raise `InvalidInput` for what an annotation does not let be."""
    if not is_fit(value, annotation):
        raise _wrong(value, field, annotation)


def check_text(value: object, field: str) -> None:
    """Raise `InvalidInput` for what is not text, or has a lone surrogate."""
    if not _is_text(value):
        raise InvalidInput(detail="it is a text without lone surrogates", field=field)


def text_from(value: object, field: str) -> str:
    """A value as text, as the frameworks make it of ids and keys. Raises `InvalidInput` where none can be made."""
    if type(value) is str:
        return value
    try:
        return str.__str__(str(value))  # a class may give one of a subclass
    except Exception as exc:  # of a value of any class
        raise InvalidInput(detail=f"no text can be made of it: {_name_of(type(value))}", field=field) from exc


def _wrapped(function: FunctionType, *, skipped: int) -> Callable[..., Any]:
    check = _Arguments(function, skipped).check
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def verb(*arguments: Any, **named: Any) -> Any:
            check(arguments, named)
            return await function(*arguments, **named)

        return verb

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        check(arguments, named)
        return function(*arguments, **named)

    return call


class _Arguments:
    """The arguments of one function, of which the first are not looked at."""

    def __init__(self, function: FunctionType, skipped: int) -> None:
        parameters = list(inspect.signature(function).parameters.values())[skipped:]
        self._function = function
        self._skipped = skipped
        self._names = [each.name for each in parameters if each.kind in _NAMED]
        self._places = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

    @cached_property
    def _hints(self) -> dict[str, Any]:  # at the first call: annotations may name what is defined later
        return typing.get_type_hints(self._function)

    @cached_property
    def _tests(self) -> dict[str, Test]:
        return {name: _test_of(self._hints.get(name, Any)) for name in self._names}

    @cached_property
    def _tests_by_place(self) -> tuple[Test, ...]:
        return (*[_is_given] * self._skipped, *[self._tests[name] for name in self._places])

    def check(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        for test, value in zip(self._tests_by_place, arguments, strict=False):
            if not test(value):
                self._check_named(dict(zip(self._places, arguments[self._skipped :], strict=False)))
        if named:
            self._check_named(named)

    def _check_named(self, named: Mapping[str, Any]) -> None:
        for name, value in named.items():
            if name in self._tests and not self._tests[name](value):
                raise _wrong(value, name, self._hints[name])


def _wrong(value: object, field: str, annotation: Any) -> InvalidInput:
    # Cases: a text that cannot be stored, or one in it; a list, a dict or their like with something else in it; another class.
    if _has_odd_text(value):
        return InvalidInput(detail="a text has no lone surrogate", field=field)
    wanted, origin = in_words(annotation), typing.get_origin(annotation)
    if isinstance(origin, type) and _is(value, origin) and not _is_string(value):
        return InvalidInput(detail=f"something in it does not fit: it is {wanted}", field=field)
    given = "None" if value is None else one(_name_of(type(value)))
    return InvalidInput(detail=f"{given} is not {wanted}", field=field)


def _has_odd_text(value: object, depth: int = 2) -> bool:
    """Whether it, or what stands so far down in it, is a text with a lone surrogate."""
    if _is(value, str):
        return not _is_text(value)
    if not depth or type(value) not in _HOLDERS:
        return False
    holder = cast("Collection[object]", value)
    items = [*holder, *cast("dict[object, object]", value).values()] if type(value) is dict else holder
    return any(_has_odd_text(each, depth - 1) for each in items)


# One test for each form of annotation


@cache
def _cached_test_of(annotation: Any) -> Test:
    return _test_of(annotation)


def _test_of(annotation: Any) -> Test:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin in (typing.Union, UnionType):
        return _test_of_either(
            list(dict.fromkeys(_test_of(each) for each in arguments if each is not NoneType)), arguments
        )
    if origin is Literal:
        return lambda value: any(type(value) is type(word) and value == word for word in arguments)
    if hasattr(annotation, "__required_keys__"):  # a TypedDict, which `typing_extensions` may have made
        return _is_named
    if isinstance(origin, type):
        return _test_of_items(origin, arguments)
    return _test_of_class(annotation) if isinstance(annotation, type) else _is_given


def _test_of_either(tests: Sequence[Test], arguments: Sequence[Any]) -> Test:
    if len(tests) == 1:
        (test,) = tests
        return (lambda value: value is None or test(value)) if NoneType in arguments else test
    optional = NoneType in arguments
    return lambda value: (optional and value is None) or any(test(value) for test in tests)


def _test_of_class(kind: type[Any]) -> Test:
    if getattr(kind, "_is_protocol", False):
        return _is_given
    if hasattr(kind, "_fields"):  # a named tuple
        fields = [_test_of(each) for each in typing.get_type_hints(kind).values()]
        return lambda value: _is(value, kind) and _all_fit(fields, value)
    return lambda value: _is(value, kind)


def _test_of_items(origin: type[Any], arguments: tuple[Any, ...]) -> Test:
    if origin is cast("Any", Callable):
        return callable
    if issubclass(origin, Mapping):
        return _test_of_mapping(cast("type[Any]", origin), _test_of(arguments[0]), _test_of(arguments[1]))
    if issubclass(origin, tuple) and arguments[-1] is not ...:
        tests = [_test_of(each) for each in arguments]
        return lambda value: _is(value, tuple | list) and _all_fit(tests, value)
    if issubclass(origin, Sequence):
        item = _test_of(arguments[0])
        return lambda value: _is_sequence(value) and all(map(item, value))
    if origin.__module__ == Iterable.__module__:  # one that can be gone through once
        return lambda value: type(value) is list or (_is(value, origin) and not _is_string(value))
    return _test_of_class(origin)


def _test_of_mapping(kind: type[Any], key: Test, entry: Test) -> Test:
    if key is _is_text and entry is _is_given:
        return lambda value: _is(value, kind) and _is_named(value)
    return lambda value: _is(value, kind) and all(map(key, value)) and all(map(entry, value.values()))


def _all_fit(tests: Sequence[Test], values: Any) -> bool:
    return len(tests) == len(values) and all(test(value) for test, value in zip(tests, values, strict=True))


def _is_string(value: Any) -> bool:
    return _is(value, str | bytes | bytearray)


def _is(value: Any, kind: Any) -> bool:
    """As `isinstance`, which asks a caller's object for its class: that may raise, and a StopIteration would end a `map`."""
    try:
        return isinstance(value, kind)
    except Exception:  # noqa: BLE001 - what cannot say what it is is none of them
        return False


def _is_exactly(value: Any, kind: type[Any]) -> bool:
    """As `_is`, for the class itself, which asks no abstract class."""
    return type(value) is kind


def _is_sequence(value: Any) -> bool:
    return _is_exactly(value, list) or (_is(value, Sequence) and not _is_string(value))


def _is_given(_: Any) -> bool:
    return True


def _is_named(value: Any) -> bool:
    if not _is_exactly(value, dict) and not _is(value, Mapping):
        return False
    # One call of C, where they are strings; those of subclasses are looked at one by one.
    return _STRINGS.issuperset(map(type, value)) or all(_is(name, str) for name in value)


def short_text(error: Exception) -> str:
    """The beginning of what an exception says; its class where it says nothing, for it may be a caller's own."""
    try:
        return f"{error!s:.200}"
    except Exception:  # noqa: BLE001 - the text of a caller's exception may raise anything, and is only a text
        return cast("str", _name_of(type(error)))


def _is_text(value: Any) -> bool:
    if not _is(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_whole(value: Any) -> bool:
    return _is(value, int) and type(value) is not bool


_PLAIN: Final[dict[Any, Test]] = {
    Any: _is_given,
    None: lambda value: value is None,
    NoneType: lambda value: value is None,
    bool: lambda value: type(value) is bool,
    int: _is_whole,
    float: lambda value: _is(value, float) or _is_whole(value),
    str: _is_text,
}
