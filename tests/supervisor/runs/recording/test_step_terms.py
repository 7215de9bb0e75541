"""Terms of a step that make no sense are refused before anything is called."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.errors import InvalidInput
from tenure.supervisor.runs.recording.step_terms import read_terms


def run_dry(_: object) -> Any:
    raise StopIteration


Dry = type("Dry", (), {"__class__": property(run_dry)})
"""Ends an iteration where an instance is asked for its class."""

NONSENSE: list[tuple[str, tuple[Any, ...]]] = [
    ("attempts", (0, 1.5, True, None, "2")),
    ("backoff_s", (-1, float("nan"), "1", None)),
    ("backoff_limit_s", (-1, float("nan"), None)),
    ("timeout_s", (0, -1, float("nan"), float("inf"), "1")),
    ("retry_on", (5, None, "ValueError", (ValueError, 5), (ValueError("x"),), [ValueError], int, Dry(), (Dry(),))),
    ("on_timeout", ("never", None, [])),
    ("overlap", (1, "no", None)),
    ("compare", (0, "no", None)),
    ("tries", (1,)),
]


@pytest.mark.parametrize(("name", "values"), NONSENSE)
def test_what_makes_no_sense_is_refused_by_name(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        given: Any = {name: value}
        with pytest.raises(InvalidInput, match=name):
            read_terms(given)


def test_errors_are_one_class_or_several() -> None:
    given: Any = {"retry_on": ConnectionError}
    assert read_terms(given).retry_on is ConnectionError
    assert read_terms({"retry_on": (ConnectionError, TimeoutError)}).retry_on == (ConnectionError, TimeoutError)
