"""What callers pass in, checked against the annotations of what they call (design §3, "At the door").

Theory of operation: `checked` wraps every public method of a class. From the annotations of its parameters it builds, at the
first call, one function a parameter (`annotations`), which returns the value in its plain form or raises `InvalidInput`. A
value that is stored therefore has its declared type. All of it happens in the caller's task.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from functools import cache, wraps
from types import FunctionType
from typing import Any, Final, TypeVar, cast

from tenure.errors import InvalidInput

from .annotations import Check, carry_out, check_of, plain_text
from .numbers import not_a

KEY_LIMIT: Final = 500
"""Most characters of an idempotency key, a supersession key or a correlation id."""

Checked = TypeVar("Checked", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)


def checked(verb: Checked) -> Checked:
    """Decorate a method, or a class for all of its public methods: arguments are checked before the body runs.

    A method whose name begins with an underscore is left alone, and so is a property.
    """
    if not isinstance(verb, type):
        return cast("Checked", _wrapped(cast("FunctionType", verb)))
    for name, method in list(vars(verb).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(verb, name, _wrapped(method))
    return cast("Checked", verb)


def names_verbs(kind: Class) -> Class:
    """Decorate a class that users hold: an error of the arguments of a verb that it inherits names it, as its caller does.

    Of a base that several such classes have, the last one is named.
    """
    for base in kind.__mro__[1:-1]:
        for name, verb in vars(base).items():
            function = None if name.startswith("_") else verb
            while isinstance(function, FunctionType):
                function.__qualname__ = f"{kind.__name__}.{name}"
                function = vars(function).get("__wrapped__")  # whose arguments they are
    return kind


def check_value(value: Any, annotation: Any, field: str) -> Any:
    """One value against one annotation. Returns it in its plain form. Raises `InvalidInput`, naming the field."""
    return check_of(annotation)(value, field)


def check_class(value: Any, kind: type[Any], field: str) -> None:
    """Raises `InvalidInput` for what is not an instance of a final class itself; its fields were checked when it was made."""
    if type(value) is not kind:
        raise not_a(value, f"a {kind.__name__}", field)


def check_key(value: Any, field: str) -> str | None:
    """A key as plain text of 1 to `KEY_LIMIT` characters, or None for none. Raises `InvalidInput`."""
    if value is None:
        return None
    plain = plain_text(value, field)
    if not 0 < len(plain) <= KEY_LIMIT:
        raise InvalidInput(detail=f"it is text of 1 to {KEY_LIMIT} characters", field=field)
    return plain


def _wrapped(method: FunctionType) -> Callable[..., Any]:
    parameters = list(inspect.signature(method).parameters.values())[1:]  # without self
    places = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    rest = next((each.name for each in parameters if each.kind is inspect.Parameter.VAR_POSITIONAL), "")

    @cache
    def checks() -> tuple[dict[str, Check], list[Check]]:
        # At the first call: annotations may name what is defined later. By name, and those of `places` in their order.
        hints = typing.get_type_hints(method)
        named = [each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD]
        known = {name: check_of(hints.get(name, Any)) for name in named}
        return known, [known[name] for name in places]

    def plain(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        known, by_place = checks()
        if not named and len(arguments) <= len(places):
            return list(map(carry_out, by_place, arguments, places)), named
        given: list[Any] = []
        for place, value in enumerate(arguments):
            name = places[place] if place < len(places) else rest  # one too many is Python's own TypeError
            given.append(known[name](value, name) if name else value)
        return given, {name: known[name](value, name) if name in known else value for name, value in named.items()}

    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def verb(self: Any, *arguments: Any, **named: Any) -> Any:
            if len(arguments) == 1 and not named and places:  # as most: no list of one, and no call for it
                return await method(self, checks()[1][0](arguments[0], places[0]))
            given, by_name = plain(arguments, named)
            return await method(self, *given, **by_name)

        return verb

    @wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        given, by_name = plain(arguments, named)
        return method(self, *given, **by_name)

    return call
