"""What a run waits for while it rests, as far as that is on disk and ends without its host (design §20, "Put aside")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from attrs import frozen


@final
@frozen(slots=True)
class Wait:
    """One durable wait: a sleep, a wait for what steers, an ask.

    Attributes:
        until: When it ends by the clock, unix seconds; None: by no time.
        steerable: Whether it ends with what is sent to steer.
    """

    until: float | None = None
    steerable: bool = False


def first_end(waits: Iterable[Wait]) -> float | None:
    """When the first of them ends by the clock, or None."""
    return min((each.until for each in waits if each.until is not None), default=None)
