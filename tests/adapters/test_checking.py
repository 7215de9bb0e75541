"""What is passed to an adapter, where a class of the caller's ends an iteration that looks at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from tenure.adapters.checking import is_fit
from tenure.errors import InvalidInput


def run_dry(_: object) -> Any:
    raise StopIteration


Dry = type("Dry", (), {"__class__": property(run_dry)})
"""Ends an iteration where an instance is asked for its class."""


class Pair(NamedTuple):
    """Of two texts."""

    one: str
    other: str


@pytest.mark.parametrize("kind", [str, int, float, bool, bytes, Pair, Mapping[str, str], Sequence[str], InvalidInput])
def test_what_cannot_say_what_it_is_does_not_fit(kind: Any) -> None:
    assert not is_fit(Dry(), kind)
    for given, annotation in [
        ([Dry(), 1], Sequence[kind]),
        ((Dry(), Dry()), tuple[kind, kind]),
        ({"a": Dry()}, Mapping[str, kind]),
        (Dry(), kind | None),
    ]:
        assert not is_fit(given, annotation), annotation
    assert not is_fit({Dry(): "a"}, Mapping[str, str])
