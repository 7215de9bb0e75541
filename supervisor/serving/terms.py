"""What `serve_queue` is called with, checked, and what its handler gets."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.facets.queue.rates import STARTS, SetRate
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.contracts.queued_work import (
    CLAIMED_AT_ONCE,
    QueuedWorkBatch,
    QueuedWorkClaim,
)
from tenure.persistence.model.digests import seal
from tenure.persistence.model.numbers import check_count, check_seconds, is_a, shown
from tenure.persistence.model.values import SessionId
from tenure.supervisor.runs.behaviour import is_async
from tenure.supervisor.runs.recording.restart import RestartPolicy

LONGEST_RATE_S: Final = 366 * 86_400.0
"""Longest time of a rate, seconds."""


@final
@frozen(kw_only=True, slots=True)
class QueuedWork:
    """What a handler of `Supervisor.serve_queue` gets: batches of one session, and the claim on them.

    Attributes:
        claim: Who works on it. `claim.completion()` in a `RuntimeCommit` makes the turn and the completion one commit.
        attempt: Which attempt this is, from 1.
        crashes: Attempts whose worker died.
    """

    claim: QueuedWorkClaim
    attempt: int
    crashes: int

    @property
    def session_id(self) -> SessionId | str:
        """Whose work it is."""
        return self.claim.session_id

    @property
    def batches(self) -> tuple[QueuedWorkBatch, ...]:
        """What is to be done, in the order of the queue: one, or several that join."""
        return self.claim.batches


Handler = Callable[[QueuedWork], Awaitable[object]]


@final
@frozen(kw_only=True, slots=True)
class ServingTerms:
    """How work is served; see `Supervisor.serve_queue`."""

    sessions: str | tuple[SessionId, ...]
    handler: Handler
    concurrency: int
    rate: tuple[int, float] | None
    per_session: int
    max_batches: int
    restart: RestartPolicy
    drain_s: float

    @property
    def rate_name(self) -> str:
        """What the rate is stored under: the same for every host that serves the same sessions."""
        if isinstance(self.sessions, str):
            return f"prefix:{self.sessions}"
        return f"sessions:{seal(*sorted(self.sessions)).hex()}"

    @property
    def rate_ms(self) -> int:
        """The time of the rate, milliseconds; a part of one counts as a whole."""
        return 0 if self.rate is None else math.ceil(round(self.rate[1] * 1000, 3)) or 1

    @property
    def stored_rate(self) -> SetRate | None:
        """The rate as it is stored, or None."""
        if self.rate is None:
            return None
        return SetRate(name=self.rate_name, starts=self.rate[0], per_ms=self.rate_ms)


def checked_terms(
    *,
    sessions: Any,
    handler: Any,
    concurrency: Any,
    rate: Any,
    per_session: Any,
    max_batches: Any,
    restart: Any,
    drain_s: Any,
) -> ServingTerms:
    """The terms, each checked. Raises `InvalidInput`."""
    if not is_async(handler):
        raise InvalidInput(detail=f"{shown(handler)} is not an async function", field="handler")
    check_count(concurrency, "concurrency")
    check_count(per_session, "per_session")
    check_count(max_batches, "max_batches")
    check_seconds(drain_s, "drain_s", zero=True)
    if not is_a(restart, RestartPolicy):
        raise InvalidInput(detail=f"{shown(restart)} is not a RestartPolicy", field="restart")
    return ServingTerms(
        sessions=_sessions(sessions),
        handler=handler,
        concurrency=concurrency,
        rate=None if rate is None else _rate(rate),
        per_session=per_session,
        max_batches=min(max_batches, CLAIMED_AT_ONCE),
        restart=restart,
        drain_s=drain_s,
    )


def _sessions(given: Any) -> str | tuple[SessionId, ...]:
    if is_a(given, str):
        plain: str = check_value(given, str, "sessions")
        return plain
    named: tuple[SessionId, ...] = check_value(given, Sequence[SessionId], "sessions")
    return tuple(dict.fromkeys(named))


def _rate(given: Any) -> tuple[int, float]:
    if not is_a(given, tuple) or len(given) != 2:  # noqa: PLR2004 - a count and a time
        raise InvalidInput(detail="a rate is a pair: how many, in how many seconds", field="rate")
    starts, per_s = given
    check_count(starts, "rate")
    check_seconds(per_s, "rate", zero=False)
    if starts > STARTS or per_s > LONGEST_RATE_S:
        raise InvalidInput(detail=f"a rate is at most {STARTS} in at most {LONGEST_RATE_S:.0f} s", field="rate")
    return starts, float(per_s)
