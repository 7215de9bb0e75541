"""What the filters and conditions of LangGraph's stores match, and how near vectors are."""

from __future__ import annotations

import math
import operator
import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from langgraph.store.base import MatchCondition

from tenure.errors import InvalidInput

_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]+")
_MISSING: Final = object()
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def check_filter(wanted: Mapping[str, Any] | None) -> None:
    """Raises `ValueError`, as the stores that ship do, for a name or an operator that none of them knows."""
    for name, value in (wanted or {}).items():
        if not _NAME.fullmatch(name):
            message = f"Invalid filter key: {name!r}: it has letters, digits, underscores, dots and hyphens"
            raise ValueError(message)
        for sign in _operators(value):
            if sign not in {*_ORDER, "$eq", "$ne"}:
                message = f"Unsupported operator: {sign}"
                raise ValueError(message)


def fits(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether an item's value is what a filter wants; a name with dots means what is nested."""
    return all(_matches(_at(value, name), each) for name, each in (wanted or {}).items())


def _operators(wanted: Any) -> dict[Any, Any]:
    """What a wanted value compares by, and with what; none for a plain one."""
    named: dict[Any, Any] = wanted if issubclass(type(wanted), dict) else {}
    return named if any(isinstance(name, str) and name.startswith("$") for name in named) else {}


def _at(value: Mapping[str, Any], name: str) -> Any:
    if name in value:
        return value[name]
    found: Any = value
    for step in name.split("."):
        found = cast("Mapping[str, Any]", found).get(step, _MISSING) if isinstance(found, Mapping) else _MISSING
    return found


def _matches(value: Any, wanted: Any) -> bool:
    operators = _operators(wanted)
    if not operators:
        return _equal(value, wanted)
    return all(_compares(value, sign, operand) for sign, operand in operators.items())


def _compares(value: Any, sign: str, operand: Any) -> bool:
    if sign in {"$eq", "$ne"}:
        return _equal(value, operand) is (sign == "$eq")
    numbers = all(isinstance(each, int | float) for each in (value, operand))
    texts = all(isinstance(each, str) for each in (value, operand))
    return (numbers or texts) and _ORDER[sign](value, operand)


def _equal(value: Any, wanted: Any) -> bool:
    if value is _MISSING or wanted is None:
        return value in (_MISSING, None) and wanted is None
    if isinstance(value, bool) is not isinstance(wanted, bool):
        return False
    return bool(value == (list(cast("Iterable[Any]", wanted)) if isinstance(wanted, tuple) else wanted))


def check_conditions(conditions: Iterable[MatchCondition] | None) -> None:
    """Raises `ValueError` for a condition that is not of a prefix or a suffix."""
    for condition in conditions or ():
        if condition.match_type not in {"prefix", "suffix"}:
            message = f"Unsupported match type: {condition.match_type}"
            raise ValueError(message)


def matches(namespace: Sequence[str], condition: MatchCondition) -> bool:
    """Whether a namespace begins, or ends, with a path, in which ``*`` stands for any one label."""
    path = tuple(condition.path)
    if len(path) > len(namespace):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(step in ("*", label) for step, label in zip(path, part, strict=True))


def packed(vector: Sequence[float]) -> bytes:
    """A vector as it is stored: that of length 1 in its direction, in single precision."""
    return array("f", unit(vector)).tobytes()


def nearness(vector: Sequence[float], stored: Iterable[bytes]) -> float | None:
    """The cosine of the angle between a vector of length 1 and the nearest of the stored ones, None where there is none.

    Raises:
        InvalidInput: A stored one has more numbers, or fewer: it was made in another way than this one.
    """
    best: float | None = None
    for each in stored:
        other = array("f")
        other.frombytes(each)
        if len(other) != len(vector):
            detail = f"a vector of {len(vector)} numbers is near to none of {len(other)}, as an item below the prefix has one"
            raise InvalidInput(detail=detail, field="query")
        near = sum(map(operator.mul, vector, other))
        best = near if best is None else max(best, near)
    return best


def unit(vector: Sequence[float]) -> list[float]:
    """A vector of the same direction and of length 1; itself where it has none."""
    length = math.sqrt(sum(each * each for each in vector))
    return [each / length for each in vector] if length else list(vector)
