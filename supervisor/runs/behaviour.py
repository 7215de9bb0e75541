"""Behaviours: the user's code that runs a runtime's inputs."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final

from attrs import field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.numbers import (
    check_count,
    is_a,
    seconds,
)
from tenure.supervisor.accepting.classes import Classes, DecodeHook, EncodeHook, Extra, check_extra
from tenure.supervisor.accepting.payloads import PayloadType

from .restart import RestartPolicy
from .verdicts import InDoubtHook

if TYPE_CHECKING:
    from .run import Run

BehaviourFunction = Callable[["Run"], Awaitable[None]]


@final
@frozen(slots=True)
class Behaviour:
    """A function that executes runs, and how it wants them.

    Attributes:
        function: Called with each run; returning ends the run well, raising fails the attempt.
        batch: Most inputs that one run takes.
        payload: A class (attrs, dataclass, pydantic model, or what cattrs can structure) that payloads are made into; None
            leaves them JSON values. A payload that does not fit is refused at accept, and rejected by itself where a peer
            sent it. What fitted when it came and does not fit now holds the runtime: a deploy has changed the class.
        extra: What becomes of fields of a payload that its class does not know: ``ignore``, or ``forbid``, and it does not
            fit. A pydantic model says that itself.
        encode: Gives the JSON value of an instance, in a payload, an argument or a result, that has none by itself.
        decode: Called with a class and a JSON value, where it is not known how to make an instance of that class.
        version: Stored with each entry of a run's record. What this version recorded must match exactly; of what another one
            recorded, or where no version is given, the arguments of what has ended are not compared.
        restart: What follows a failure.
        replay_s: How long a step that must not be done twice waits for recorded entries that are not reached, before that is
            a mismatch.
        in_doubt: Asked about a step that must not run twice and may have run; None, or an answer of None, holds the runtime
            until a person says.
    """

    function: BehaviourFunction
    batch: int = field(default=1, kw_only=True)
    payload: type[Any] | None = field(default=None, kw_only=True)
    extra: Extra = field(default="ignore", kw_only=True)
    encode: EncodeHook | None = field(default=None, kw_only=True)
    decode: DecodeHook | None = field(default=None, kw_only=True)
    version: str = field(default="", kw_only=True)
    restart: RestartPolicy = field(factory=RestartPolicy, kw_only=True)
    replay_s: float = field(default=60.0, kw_only=True, validator=seconds(zero=True))
    in_doubt: InDoubtHook | None = field(default=None, kw_only=True)
    classes: Classes = field(init=False, repr=False, eq=False)
    payload_type: PayloadType = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Raises `InvalidInput` for what cannot execute runs."""
        check_count(self.batch, "batch")
        if not is_a(self.restart, RestartPolicy):
            raise InvalidInput(detail=f"{self.restart!r} is not a RestartPolicy", field="restart")
        if not _is_async(self.function):
            raise InvalidInput(detail=f"{self.function!r} is not an async function; write async def", field="function")
        check_extra(self.extra, self.payload)
        for name, hook in (("encode", self.encode), ("decode", self.decode)):
            if hook is not None and not callable(hook):
                raise InvalidInput(detail=f"{hook!r} is not a function", field=name)
        classes = Classes(extra=self.extra, encode=self.encode, decode=self.decode)
        object.__setattr__(self, "classes", classes)  # the way in which attrs sets frozen fields
        object.__setattr__(self, "payload_type", PayloadType(self.payload, classes, self.version))


@final
@frozen(kw_only=True, slots=True)
class Kinds:
    """What a run knows of payloads: those of this kind, and which other kinds take what it sends.

    Attributes:
        own: What its inputs are.
        all: What the payloads of each kind of this host are.
    """

    own: PayloadType
    all: Mapping[str, PayloadType]

    def fits(self, data: bytes) -> tuple[tuple[str, str], ...]:
        """The kinds that take an encoded payload, each with the version of its behaviour."""
        return tuple([(kind, each.version) for kind, each in self.all.items() if each.takes(data)])


def as_behaviours(given: Mapping[str, Behaviour | BehaviourFunction]) -> dict[str, Behaviour]:
    """Kinds with their behaviours; a bare function gets the defaults. Raises `InvalidInput`."""
    if not is_a(given, Mapping):
        raise InvalidInput(detail="behaviours are a mapping of kinds: {'reader': reader}", field="behaviours")
    for kind in given:
        if not is_a(kind, str) or not kind:
            raise InvalidInput(detail=f"{kind!r} is not a name of a kind", field="behaviours")
    return {kind: each if isinstance(each, Behaviour) else Behaviour(each) for kind, each in given.items()}


def _is_async(function: Any) -> bool:
    """Whether calling it can give something to await. A lambda may, and so may what is not written in Python."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isclass(function) or not callable(function):
        return False
    call = function if inspect.isroutine(function) else type(function).__call__
    if inspect.isfunction(call) or inspect.ismethod(call):
        anything = call.__name__ == "<lambda>" and not inspect.isasyncgenfunction(call)
        return anything or inspect.iscoroutinefunction(call)
    return True
