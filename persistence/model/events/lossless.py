"""What cattrs would change without a word is refused: a text for a flag, a part of a number, None as the word "None".

By itself it calls `str`, `int`, `float` and `bool` with whatever is there, and makes a list of the letters of a text. So a
field whose type a deploy has changed, or that a peer fills wrongly, would come as another value than was given.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, MutableSequence, MutableSet, Sequence, Set as AbstractSet
from contextvars import ContextVar
from typing import Any, Final, get_origin

from cattrs import Converter

_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON writes one. Keys of objects are texts there, so a text of a number is one."""

_COLLECTIONS: Final = (list, tuple, set, frozenset, deque, Sequence, MutableSequence, AbstractSet, MutableSet)


_MAKING: Final[ContextVar[tuple[Any, ...]]] = ContextVar("tenure.lossless", default=())
"""Collections whose hook is being made: of this thread alone, as another one may ask for the same meanwhile."""


def take_without_loss(converter: Converter) -> None:
    """Have a converter of JSON take what its classes say and nothing that it would have to change.

    Taken as well: a whole number for a float, and a float without a part for a whole number, as JSON knows no difference; and
    the text of a number, as it stands in the keys of an object.
    """
    converter.register_structure_hook(bool, _flag)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(str, _text)

    def is_collection(cls: Any) -> bool:
        making = _MAKING.get()
        if making and making[-1] is cls:
            _MAKING.set(making[:-1])  # once: the hook that cattrs has by itself is asked for
            return False
        return (get_origin(cls) or cls) in _COLLECTIONS

    def collection(cls: Any) -> Callable[[Any, Any], Any]:
        _MAKING.set((*_MAKING.get(), cls))
        make = converter.get_structure_hook(cls, cache_result=False)

        def checked(value: Any, wanted: Any) -> Any:
            if _is_no_list(value):
                raise _misfit(value, "a list")
            return make(value, wanted)

        return checked

    converter.register_structure_hook_factory(is_collection, collection)


def _flag(value: Any, cls: type[bool]) -> bool:
    if isinstance(value, bool):
        return cls(value)
    raise _misfit(value, "true or false")


def _whole(value: Any, cls: type[int]) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (is_number and value == value // 1) or (isinstance(value, str) and _is_whole(value)):
        return cls(value)
    raise _misfit(value, "a whole number")


def _float(value: Any, cls: type[float]) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (is_number and float(value) == value) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        return cls(value)
    raise _misfit(value, "a number")


def _text(value: Any, cls: type[str]) -> str:
    if isinstance(value, str):
        return value if cls is str else cls(value)
    raise _misfit(value, "a text")


def _is_no_list(value: object) -> bool:
    return isinstance(value, str | bytes | Mapping)


def _is_whole(text: str) -> bool:
    found = _NUMBER.fullmatch(text)
    return found is not None and found[2] is None and found[3] is None


def _misfit(value: object, wanted: str) -> TypeError:
    kind = "null" if value is None else type(value).__name__
    return TypeError(f"{wanted} is wanted, and there is {kind}")
