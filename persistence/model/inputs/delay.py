"""When a delayed input is due. There is no I/O here and no clock."""

from __future__ import annotations

import math
from datetime import datetime
from typing import final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.numbers import check_seconds, check_time


@final
@frozen(kw_only=True, slots=True)
class Delay:
    """When an input is due: one of the two.

    Attributes:
        at: A time of the store's wall clock, unix seconds.
        after_s: Seconds from the commit that accepts it.
    """

    at: float | None = None
    after_s: float | None = None

    def due_at(self, now: float) -> float | None:
        """The time, where it has not come by now."""
        due_at = now + (self.after_s or 0.0) if self.at is None else self.at
        return due_at if due_at > now else None


def check_delay(at: datetime | None, after_s: float | None) -> Delay | None:
    """When a message is due, as a user says it; None: at once.

    Raises:
        InvalidInput: Both are given, no number of seconds, or a time without a time zone.
    """
    if at is None and after_s is None:
        return None
    if at is not None and after_s is not None:
        raise InvalidInput(detail="give at or after_s", field="after_s")
    if at is not None:
        return Delay(at=check_time(at, "at"))
    seconds: float = check_value(after_s, float, "after_s")
    check_seconds(seconds, "after_s", zero=True)
    if seconds == math.inf:
        raise InvalidInput(detail="it would never be due", field="after_s")
    return Delay(after_s=seconds)
