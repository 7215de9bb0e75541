"""The terms on which a run sends and asks, checked where it does so."""

from __future__ import annotations

import math
from typing import Final, cast

from tenure.errors import InvalidInput
from tenure.persistence.facets.runs.addressed import SendTerms
from tenure.persistence.model.arguments import check_key, check_value
from tenure.persistence.model.inputs.delay import Delay
from tenure.persistence.model.numbers import is_a, not_a, plain_number, shown
from tenure.persistence.model.values import Lane

_EXACT: Final = 2.0**53
"""Above it a number with a point is as exact as a whole one has to be."""


def send_terms(lane: Lane | str, correlation_id: str | None, kind: str | None, delay: Delay | None = None) -> SendTerms:
    """The terms of a message. Raises `InvalidInput` for what fits none."""
    return SendTerms(
        lane=check_value(lane, Lane, "lane"),
        correlation_id=check_key(correlation_id, "correlation_id"),
        kind=check_key(kind, "kind"),
        delay=delay,
    )


def check_seconds(given: float, field: str) -> float:
    """A finite number of seconds from 0, without what a subclass has made of it. Raises `InvalidInput`.

    One that is whole stays so: records hold the digest of its JSON.
    """
    number = plain_number(given)
    if number is None or not (math.isfinite(number) and number >= 0):
        raise InvalidInput(detail=f"{shown(given)} is not a number of seconds from 0", field=field)
    return int.__add__(given, 0) if isinstance(given, int) and number < _EXACT else number


def check_text(given: object, field: str) -> str:
    """Text for people, in whatever characters, without what a subclass has made of it. Raises `InvalidInput`."""
    if not is_a(given, str):
        raise not_a(given, "text", field)
    return str.__str__(cast("str", given))
