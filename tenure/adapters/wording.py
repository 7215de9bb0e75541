"""Annotations in words, for the error that an argument does not fit: a list of which each is a dict."""

from __future__ import annotations

import typing
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Final, Literal, cast

_WORDS: Final[dict[Any, str]] = {
    Any: "anything",
    None: "None",
    NoneType: "None",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def in_words(annotation: Any) -> str:
    """What an annotation asks for: ``a text or None``, ``a function``, ``a Store``."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        return " or ".join(dict.fromkeys([in_words(each) for each in arguments]))
    if origin is Literal:
        return f"one of {', '.join([repr(word) for word in arguments])}"
    if hasattr(annotation, "__required_keys__"):  # a TypedDict
        return "a dict"
    if isinstance(origin, type):
        return _of_origin(origin, arguments)
    return one(getattr(annotation, "__name__", str(annotation)))


def _of_origin(origin: type[Any], arguments: tuple[Any, ...]) -> str:
    if origin is cast("Any", Callable):
        return "a function"
    if origin is tuple and arguments[-1] is not ...:
        return f"a tuple of ({', '.join([in_words(each) for each in arguments])})"
    items = arguments[0] if arguments[-1] is ... else arguments[-1]
    each = "" if items is Any else f" of which each is {in_words(items)}"
    return f"{one(origin.__name__.lower())}{each}"


def one(name: str) -> str:
    """The name of a class as one of its kind: a dict, an object."""
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"
