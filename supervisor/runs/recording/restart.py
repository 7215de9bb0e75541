"""When a failed run is tried again: pure decisions, without clock or I/O (design §6).

The words are those of OTP: a budget of failures (intensity) in a period. A batch has its attempts, a runtime its budget; the
first that is used up decides.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, StepFailed
from tenure.persistence.model.numbers import (
    count,
    seconds,
    share,
)
from tenure.persistence.model.texts import (
    ERROR_LIMIT,
    LEAVES,
    YIELDED,
    leaves,
    named,
    storable,
    text_of,
)
from tenure.persistence.model.values import HeldReason

DOUBLINGS: Final = 1_000
"""Most doublings of a wait: two to this power is a number that floats have, and trio's clock."""

FAILURES: Final = 10_000
"""Most times of failures that are kept; a larger budget is not used up by more."""

LONGEST_S: Final = 1e9
"""Longest wait of all, thirty years: also where a limit of a policy is a number that no clock has."""


@final
@frozen(kw_only=True, slots=True)
class RestartPolicy:
    """How failures of a behaviour are answered. Raises `InvalidInput` for a number that makes no sense.

    Attributes:
        max_attempts: Failed attempts after which a batch is abandoned.
        backoff_s: Wait after the first failure; doubles with each further one.
        backoff_limit_s: Longest wait, also where the wall clock was set back meanwhile.
        jitter: Largest share by which a wait is shortened at random, so that many failures do not return together.
        budget: Failures of the runtime within one period that hold it.
        period_s: Length of the period.
        max_crashes: Crashes in a row charged to the runtime that hold it.
    """

    max_attempts: int = field(default=3, validator=count())
    backoff_s: float = field(default=1.0, validator=seconds(zero=True))
    backoff_limit_s: float = field(default=60.0, validator=seconds(zero=True))
    jitter: float = field(default=0.25, validator=share())
    budget: int = field(default=10, validator=count())
    period_s: float = field(default=600.0, validator=seconds())
    max_crashes: int = field(default=5, validator=count())


@final
@frozen(kw_only=True, slots=True)
class Decision:
    """What follows a failed attempt.

    Attributes:
        retry_at: When to try again, unix seconds; None abandons the batch.
        failures: Times of the failures in the current period, as stored.
        held: Why the runtime is held from now on, or None.
    """

    retry_at: float | None
    failures: str
    held: str | None


def decide(
    policy: RestartPolicy, *, attempts: int, failures: str, now: float, source: random.Random, last: bool = False
) -> Decision:
    """Decide on the failure that has just happened.

    Args:
        policy: The rules.
        attempts: Failed attempts of the batch before this one.
        failures: Times of the runtime's earlier failures, as stored.
        now: Unix seconds.
        source: Randomness of the jitter.
        last: Whether another attempt would end in the same way.

    Raises:
        Corrupt: The earlier failures cannot be read.
    """
    # A time that lies ahead was stored before the clock was set back: it counts as of now, and not until then.
    recent = [*(min(time, now) for time in _times(failures) if time > now - policy.period_s), now]
    wait_s = None if last else next_wait(policy, attempts=attempts, source=source)
    return Decision(
        retry_at=None if wait_s is None else now + wait_s,
        failures=msgspec.json.encode(recent[-min(policy.budget, FAILURES) :]).decode(),
        held=HeldReason.BUDGET_USED_UP if len(recent) >= min(policy.budget, FAILURES) else None,
    )


def next_wait(policy: RestartPolicy, *, attempts: int, source: random.Random) -> float | None:
    """Seconds until the next attempt after a failed one; None where that was the last.

    Args:
        policy: The rules.
        attempts: Failed attempts before this one.
        source: Randomness of the jitter.
    """
    if attempts + 1 >= policy.max_attempts:
        return None
    return _wait(policy, attempts) * (1 - policy.jitter * source.random())


def wait_left(policy: RestartPolicy, retry_at: float, now: float) -> float:
    """Seconds until a failed run may be tried again: at most `backoff_limit_s`, wherever the wall clock was set since."""
    return min(max(retry_at - now, 0.0), policy.backoff_limit_s, LONGEST_S)


def _wait(policy: RestartPolicy, attempts: int) -> float:
    # Attempts have no bound, and a policy may have whole numbers of any size: floats do not reach as far.
    first_s = float(min(policy.backoff_s, LONGEST_S))
    return float(min(first_s * 2.0 ** min(attempts, DOUBLINGS), policy.backoff_limit_s, LONGEST_S))


def _times(failures: str) -> list[float]:
    try:
        return msgspec.json.decode(failures, type=list[float])
    except msgspec.DecodeError as exc:
        raise Corrupt(record="runtime", key="failures", detail=str(exc)) from exc


_OF_ASYNCIO: Final = ("no running event loop", YIELDED)
"""What asyncio and trio say where functions of asyncio are awaited in a task of trio."""

_MARK_IT: Final = (
    "; what awaits asyncio is marked: a behaviour by tenure.asyncio.behaviour, a step by tenure.asyncio.on_loop"
)


_OF_TRIO: Final = ("must be called from async context", "this function must be called from async context")
"""What trio says where it is asked for something in an asyncio loop, or in a thread."""

_LEAVE_UNMARKED: Final = (
    "; trio is in async functions that are not marked by tenure.asyncio.behaviour or on_loop, and not in a thread"
)


def describe(error: BaseException) -> str:
    """An exception for people, in a form that any engine can store: the leaves of groups, each with its type.

    Whatever the exception does when it is asked, this raises nothing.
    """
    found = list(islice(leaves(error), LEAVES + 1))
    text = "; ".join(map(_leaf, found[:LEAVES]))
    return storable(text if len(found) <= LEAVES else f"{text}; and more")


def _leaf(error: BaseException) -> str:
    if type(error) is StepFailed:
        return f"{error.detail[: ERROR_LIMIT - 500]}, in step {error.name}"  # a name has 200 characters at most
    said = named(error)
    if type(error) not in (RuntimeError, TypeError):
        return said
    text = text_of(error)
    if text.startswith(_OF_ASYNCIO):
        return said + _MARK_IT
    return said + _LEAVE_UNMARKED if text.startswith(_OF_TRIO) else said
