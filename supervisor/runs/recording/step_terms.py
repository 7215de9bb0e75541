"""How a step is tried: its terms, and what its failure is."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, Protocol, TypedDict, TypeGuard, cast, final

import trio
from attrs import field, frozen

from tenure.errors import InvalidInput, PayloadTooLarge
from tenure.persistence.model.numbers import (
    check_seconds,
    count,
    is_a,
    seconds,
    shown,
)
from tenure.persistence.model.texts import leaves
from tenure.supervisor.accepting.classes import Classes

from .verdicts import InDoubtHook

LAST: Final = (PayloadTooLarge, InvalidInput)
"""Errors that another attempt would meet again."""


def _bound(_: object, attribute: Any, value: float | None) -> None:
    if value is None:
        return
    check_seconds(value, attribute.name, zero=False)
    if math.isinf(value):
        raise InvalidInput(detail=f"{value} sets no bound, and None says so", field=attribute.name)


def _errors(_: object, attribute: Any, value: object) -> None:
    if not _is_error(value) and not (_is_tuple(value) and all(_is_error(each) for each in value)):
        raise InvalidInput(
            detail=f"{shown(value)} is neither a class of errors nor a tuple of them", field=attribute.name
        )


def _is_error(kind: object) -> bool:
    return is_a(kind, type) and issubclass(cast("type", kind), BaseException)


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return is_a(value, tuple)


def _flag(_: object, attribute: Any, value: object) -> None:
    if type(value) is not bool:
        raise InvalidInput(detail=f"{shown(value)} is not True or False", field=attribute.name)


class StepRules(Protocol):
    """What holds for all steps of a behaviour; see `Behaviour`."""

    @property
    def classes(self) -> Classes:
        """What makes instances of classes."""
        ...

    @property
    def in_doubt(self) -> InDoubtHook | None:
        """Asked about a step that must not run twice and may have run."""
        ...

    @property
    def grace_s(self) -> float:
        """Seconds between the cancellation of an async step and the time when it is given up."""
        ...


class Terms(TypedDict, total=False):
    """How a step is tried; each has a default.

    Attributes:
        attempts: Most attempts of the step within one attempt of the run; 1. A ``never`` step has one.
        backoff_s: Wait after its first failed attempt; 1.0. Doubles with each further one. On disk with the failure.
        backoff_limit_s: Longest wait; 60.0.
        timeout_s: Longest time of one attempt; None. A thread is given up and its result dropped; an async function is
            cancelled, and given up `Behaviour.grace_s` later.
        retry_on: Errors after which it is tried again; `Exception`. Never after a result that cannot be stored.
        on_timeout: What a ``never`` step that takes too long is: ``in_doubt``, which holds the runtime, or ``failed``.
        overlap: Whether an attempt may begin while the function of the one before, which was given up, still runs; False.
        compare: Whether the arguments are compared with the recorded ones; True.
    """

    attempts: int
    backoff_s: float
    backoff_limit_s: float
    timeout_s: float | None
    retry_on: tuple[type[BaseException], ...]
    on_timeout: Literal["in_doubt", "failed"]
    overlap: bool
    compare: bool


@final
@frozen(kw_only=True, slots=True)
class StepTerms:
    """As `Terms`, with its defaults. Raises `InvalidInput` for what makes no sense."""

    attempts: int = field(default=1, validator=count())
    backoff_s: float = field(default=1.0, validator=seconds(zero=True))
    backoff_limit_s: float = field(default=60.0, validator=seconds(zero=True))
    timeout_s: float | None = field(default=None, validator=_bound)
    retry_on: tuple[type[BaseException], ...] = field(default=(Exception,), validator=_errors)
    on_timeout: Literal["in_doubt", "failed"] = "in_doubt"
    overlap: bool = field(default=False, validator=_flag)
    compare: bool = field(default=True, validator=_flag)

    def __attrs_post_init__(self) -> None:
        """Raises `InvalidInput`."""
        if self.on_timeout not in ("in_doubt", "failed"):
            raise InvalidInput(
                detail=f"a timeout is in_doubt or failed, not {shown(self.on_timeout)}", field="on_timeout"
            )

    def backoff(self, attempt: int) -> float:
        """Seconds between a failed attempt and the next."""
        return float(min(self.backoff_s * 2.0 ** min(attempt - 1, 60), self.backoff_limit_s))


DEFAULT_TERMS: Final = StepTerms()

_TERMS: Final = Terms.__annotations__.keys()


def read_terms(given: Terms) -> StepTerms:
    """The terms of a step, with the defaults of those that are not given. Raises `InvalidInput`."""
    if not given:
        return DEFAULT_TERMS
    if unknown := given.keys() - _TERMS:
        detail = f"a step has no term {min(unknown)!r}; its terms are {', '.join(sorted(_TERMS))}"
        raise InvalidInput(detail=detail, field="terms")
    return StepTerms(**given)


def tries_again(error: BaseException, attempt: int, terms: StepTerms) -> bool:
    """Whether a step is tried again after this attempt: never after what another attempt would meet again."""
    if attempt >= terms.attempts:
        return False
    kinds = [type(each) for each in leaves(error)]
    return not any(issubclass(kind, LAST) for kind in kinds) and all(issubclass(kind, terms.retry_on) for kind in kinds)


def cut_in(error: BaseException) -> BaseException | None:
    """The cancellation by trio in what an entry raises; None where there is none, or something asks the process to end.

    What a nursery in it raises beside that does not end the entry: where the run enters again, nothing raises it.
    """
    found = list(leaves(error))
    if any(issubclass(type(each), KeyboardInterrupt | SystemExit) for each in found):
        return None
    return next((each for each in found if issubclass(type(each), trio.Cancelled)), None)


def is_cut(error: BaseException) -> bool:
    """Whether this is a cancellation by trio, and nothing beside it."""
    return all(issubclass(type(each), trio.Cancelled) for each in leaves(error))
