"""When a failed run is tried again: pure decisions, without clock or I/O (design §6).

The words are those of OTP: a budget of failures (intensity) in a period. A batch has its attempts, a runtime its budget; the
first that is used up decides.
"""

from __future__ import annotations

import random
import traceback
import types
from typing import Final, cast, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, StepFailed
from tenure.persistence.model.validation import (
    count,
    seconds,
    share,
)
from tenure.persistence.model.values import HeldReason

ERROR_LIMIT: Final = 10_000
"""Most characters of an error that are stored."""

FRAMES: Final = 4
"""Frames of a traceback that are stored with an error: the innermost ones, of the program and the libraries it uses."""

_MACHINERY: Final = ("tenure", "trio", "outcome")


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


def decide(policy: RestartPolicy, *, attempts: int, failures: str, now: float, source: random.Random) -> Decision:
    """Decide on the failure that has just happened.

    Args:
        policy: The rules.
        attempts: Failed attempts of the batch before this one.
        failures: Times of the runtime's earlier failures, as stored.
        now: Unix seconds.
        source: Randomness of the jitter.

    Raises:
        Corrupt: The earlier failures cannot be read.
    """
    # A time that lies ahead was stored before the clock was set back: it counts as of now, and not until then.
    recent = [*(min(time, now) for time in _times(failures) if time > now - policy.period_s), now]
    retry_at: float | None = None
    if attempts + 1 < policy.max_attempts:
        wait_s = min(policy.backoff_s * 2**attempts, policy.backoff_limit_s)
        retry_at = now + wait_s * (1 - policy.jitter * source.random())
    return Decision(
        retry_at=retry_at,
        failures=msgspec.json.encode(recent).decode(),
        held=HeldReason.BUDGET_USED_UP if len(recent) >= policy.budget else None,
    )


def wait_left(policy: RestartPolicy, retry_at: float, now: float) -> float:
    """Seconds until a failed run may be tried again: at most `backoff_limit_s`, wherever the wall clock was set since."""
    return min(max(retry_at - now, 0.0), policy.backoff_limit_s)


def _times(failures: str) -> list[float]:
    try:
        return msgspec.json.decode(failures, type=list[float])
    except msgspec.DecodeError as exc:
        raise Corrupt(record="runtime", key="failures", detail=str(exc)) from exc


def describe(error: BaseException) -> str:
    """An exception for people, in a form that any engine can store: the leaves of groups, each with its type."""
    return storable(_leaves(error))


def storable(text: str) -> str:
    """A text for people, as any engine can store it."""
    if len(text) > ERROR_LIMIT:
        text = f"{text[:ERROR_LIMIT]} and {len(text) - ERROR_LIMIT} characters more"
    return _storable(text)


def last_frames(error: BaseException) -> str:
    """Where an exception was raised, for people, in such a form: its innermost frames, file, line and function, or nothing.

    Of a group, where its first leaf was raised. Frames of the machinery that called the behaviour are left out.
    """
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    frames = [frame for frame in traceback.walk_tb(error.__traceback__) if not _is_machinery(frame[0])]
    stack = traceback.StackSummary.extract(iter(frames[-FRAMES:]))
    return _storable("".join(stack.format()).rstrip()[-ERROR_LIMIT:])


def _is_machinery(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _MACHINERY


def _storable(text: str) -> str:
    # No lone surrogate has a place in UTF-8, and no NUL in PostgreSQL.
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _leaves(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return "; ".join(_leaves(each) for each in group.exceptions)
    if isinstance(error, StepFailed):
        return f"{error.detail}, in step {error.name}"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
