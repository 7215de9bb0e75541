"""Labels: names with values that a caller gives runtimes, and by which lists and verbs choose them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from unicodedata import category

from tenure.errors import InvalidInput

from .numbers import shown

MAX_LABELS: Final = 32
"""Most labels of one runtime, and of one selector."""

MAX_NAME: Final = 63
"""Most characters of the name of a label."""

MAX_VALUE: Final = 200
"""Most characters (code points) of the value of a label; it may be empty."""

Labels = tuple[tuple[str, str], ...]
"""Names and values, by name, each name once."""

Relabelling = tuple[tuple[str, str | None], ...]
"""What becomes of labels: a name with its new value, or with None where it goes; by name, each name once."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_UNFIT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_labels(given: Mapping[str, str] | None, field: str = "labels") -> Labels:
    """Labels as they are stored; of None, none.

    A name has 1 to `MAX_NAME` characters: ASCII letters, digits and ``. _ - /``, of which the first is a letter or a digit. A
    value is text of at most `MAX_VALUE` characters without control characters and line separators.

    Raises:
        InvalidInput: One of them cannot be, or there are more than `MAX_LABELS`.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - of callers without types
        raise InvalidInput(detail="labels are a mapping of names to values", field=field)
    if len(given) > MAX_LABELS:
        raise InvalidInput(detail=f"{len(given)} labels, of at most {MAX_LABELS}", field=field)
    return tuple(sorted([(check_label_name(name, field), _check_value(value, field)) for name, value in given.items()]))


def check_relabelling(labels: Mapping[str, str], remove: Iterable[str]) -> Relabelling:
    """What becomes of the labels of a runtime. Raises `InvalidInput`, also where a name is to be set and removed."""
    changed: dict[str, str | None] = dict(check_labels(labels))
    if isinstance(remove, str):
        raise InvalidInput(detail="names, and not one text", field="remove")
    for name in remove:
        if check_label_name(name, "remove") in changed:
            raise InvalidInput(detail=f"{shown(name)} is to be set, and to be removed", field="remove")
        changed[name] = None
    if not changed:
        raise InvalidInput(detail="give labels to set, or names to remove", field="labels")
    return tuple(sorted(changed.items()))


def check_label_name(name: object, field: str = "labels") -> str:
    """Return the name of a label, checked. Raises `InvalidInput`."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise InvalidInput(detail=f"a name is text of 1 to {MAX_NAME} characters: {shown(name)}", field=field)
    if _NAME.match(name) is None:
        detail = f"a name has letters, digits and . _ - / only, and begins with a letter or a digit: {shown(name)}"
        raise InvalidInput(detail=detail, field=field)
    return name


def _check_value(value: object, field: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_VALUE:
        raise InvalidInput(detail=f"a value is text of at most {MAX_VALUE} characters: {shown(value)}", field=field)
    if any(category(each) in _UNFIT for each in value):
        raise InvalidInput(detail=f"a value has no control characters: {shown(value)}", field=field)
    return value
