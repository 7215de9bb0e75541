"""Behaviours: the user's code that runs a runtime's inputs."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from attrs import evolve, field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.arguments import check_class, check_value
from tenure.persistence.model.numbers import (
    check_count,
    is_a,
    seconds,
    shown,
)
from tenure.persistence.model.versions import VERSION_LIMIT, Offer
from tenure.supervisor.accepting.classes import Classes, DecodeHook, EncodeHook, Extra, check_extra
from tenure.supervisor.accepting.payloads import PayloadType

from .recording.restart import RestartPolicy
from .recording.verdicts import InDoubtHook

if TYPE_CHECKING:
    from .run import Run

ASIDE_AFTER_S: Final = 300.0
"""Seconds that a run waits before it is put aside, where nothing else is said (design §20)."""

BehaviourFunction = Callable[["Run"], Awaitable[Any]]
"""What it returns is the result of the inputs that its run consumes."""


@final
@frozen(slots=True)
class Behaviour:
    """A function that executes runs, and how it wants them.

    Attributes:
        function: Called with each run; returning ends the run well, raising fails the attempt. What it returns is stored as
            the result of what the run consumes: a JSON value, or what the classes of the behaviour make one of. A result that
            cannot be stored abandons the batch, as after a last attempt.
        batch: Most inputs that one run takes.
        max_running: Most runs of the kind that execute in this host at the same time; None for all. One that rests (sleeps,
            waits, or waits for the next attempt of a step) does not count, and gets its turn before new ones when that is
            over. Of several behaviours of one kind, the first one says it for all of them, as it does `batch`.
        max_owned: Most runtimes of the kind that this host owns at the same time; None for all. What waits beyond it stays for
            other hosts; where none takes it, this one gives back what is idle and takes it. A run that rests keeps its place
            until it is put aside (`aside_after_s`). Of several behaviours of one kind, the first one says it for all of them.
        payload: A class (attrs, dataclass, pydantic model, or what cattrs can structure) that payloads are made into; None
            leaves them JSON values. A payload that does not fit is refused at accept, and rejected by itself where a peer
            sent it. What fitted when it came and does not fit now holds the runtime: a deploy has changed the class.
        extra: What becomes of fields of a payload that its class does not know: ``ignore``, or ``forbid``, and it does not
            fit. A pydantic model says that itself.
        encode: Gives the JSON value of an instance, in a payload, an argument or a result, that has none by itself.
        decode: Called with a class and a JSON value, where it is not known how to make an instance of that class.
        version: Stored with each entry of a run's record. What this version recorded must match exactly; of what another one
            recorded, or where no version is given, the arguments of what has ended are not compared.
        moves: Whether it takes runs of other versions whose last attempt failed, where it stands first of its kind. A run
            that was moved by a person stays.
        restart: What follows a failure.
        replay_s: How long a step that must not be done twice waits for recorded entries that are not reached, before that is
            a mismatch.
        grace_s: Seconds between the cancellation of an async step that has a `timeout_s` and the time when it is given up: it
            runs on without its run, and counts to `Limits.given_up`.
        aside_after_s: Seconds after which a run is put aside all of whose branches wait for a time, for what steers, or for an
            answer: no memory is kept of it, its `Run` is closed, and it is entered again when its wait ends. None: never.
        in_doubt: Asked about a step that must not run twice and may have run; None, or an answer of None, holds the runtime
            until a person says.
        on_abandoned: Called with a run over each batch that was abandoned, for refunds and messages: its `inputs`
            are that batch, `Run.abandoned` says why, and `Run.recorded` what the abandoned run had done. The first behaviour
            of a kind says it for all of them.
        events: Whether what becomes of its inputs and runs is written into its output, for ``follow(events=True)``, from its
            first run on; it is not by itself, for a run of one input costs a tenth more with it. The first behaviour of a
            kind says it for all of them.
    """

    function: BehaviourFunction
    batch: int = field(default=1, kw_only=True)
    max_running: int | None = field(default=None, kw_only=True)
    max_owned: int | None = field(default=None, kw_only=True)
    payload: type[Any] | None = field(default=None, kw_only=True)
    extra: Extra = field(default="ignore", kw_only=True)
    encode: EncodeHook | None = field(default=None, kw_only=True)
    decode: DecodeHook | None = field(default=None, kw_only=True)
    version: str = field(default="", kw_only=True)
    moves: bool = field(default=False, kw_only=True)
    restart: RestartPolicy = field(factory=RestartPolicy, kw_only=True)
    replay_s: float = field(default=60.0, kw_only=True, validator=seconds(zero=True))
    grace_s: float = field(default=5.0, kw_only=True, validator=seconds(zero=True))
    aside_after_s: float | None = field(default=ASIDE_AFTER_S, kw_only=True, validator=seconds(zero=True, none=True))
    in_doubt: InDoubtHook | None = field(default=None, kw_only=True)
    on_abandoned: BehaviourFunction | None = field(default=None, kw_only=True)
    events: bool = field(default=False, kw_only=True)
    classes: Classes = field(init=False, repr=False, eq=False)
    payload_type: PayloadType = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Raises `InvalidInput` for what cannot execute runs."""
        check_count(self.batch, "batch")
        if self.max_running is not None:
            check_count(self.max_running, "max_running")
        if self.max_owned is not None:
            check_count(self.max_owned, "max_owned")
        object.__setattr__(self, "version", check_version(self.version))  # the way in which attrs sets frozen fields
        check_class(self.restart, RestartPolicy, "restart")
        for name, function in (("function", self.function), ("on_abandoned", self.on_abandoned)):
            if not (is_async(function) or (function is None and name == "on_abandoned")):
                raise InvalidInput(detail=f"{shown(function)} is not an async function; write async def", field=name)
            if function is not None:
                check_takes_run(function, name)
        check_value(self.events, bool, "events")
        check_extra(self.extra, self.payload)
        for name, hook in (("encode", self.encode), ("decode", self.decode)):
            if hook is not None and not callable(hook):
                raise InvalidInput(detail=f"{shown(hook)} is not a function", field=name)
        classes = Classes(extra=self.extra, encode=self.encode, decode=self.decode)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "payload_type", PayloadType(self.payload, classes, self.version))


Given = Behaviour | BehaviourFunction | Sequence[Behaviour | BehaviourFunction]
"""What is said of one kind: its behaviour, or several of different versions, the one for what begins first."""


def check_version(version: str) -> str:
    """Return a version, checked; empty for none. Raises `InvalidInput`."""
    plain: str = check_value(version, str, "version")
    if len(plain) > VERSION_LIMIT:
        raise InvalidInput(detail=f"a version has at most {VERSION_LIMIT} characters", field="version")
    return plain


@final
class Behaviours(Mapping[str, Behaviour]):
    """The behaviours of a host, by kind: of each kind the one for what begins. `of` finds the others."""

    def __init__(self, kinds: Mapping[str, tuple[Behaviour, ...]]) -> None:
        """Of these, the one for what begins first in each kind."""
        self._kinds = dict(kinds)
        self._versions = {(kind, each.version): each for kind, known in kinds.items() for each in known}
        self._offers = {
            kind: tuple([Offer(version=each.version, moves=each.moves) for each in known])
            for kind, known in kinds.items()
        }

    def __getitem__(self, kind: str) -> Behaviour:
        return self._kinds[kind][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def of(self, kind: str, version: str) -> Behaviour:
        """The behaviour of a version that was offered."""
        return self._versions[kind, version]

    def offers(self, kind: str) -> tuple[Offer, ...]:
        """What this host has of a kind."""
        return self._offers[kind]

    @property
    def all_offers(self) -> Mapping[str, tuple[Offer, ...]]:
        """What this host has of every kind."""
        return self._offers

    @property
    def followed(self) -> Mapping[str, bool]:
        """Whether a run follows the abandoned batches of each kind."""
        return {kind: behaviour.on_abandoned is not None for kind, behaviour in self.items()}

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """All that have a version, each with its kind, the oldest of a kind first."""
        return tuple(
            [(kind, each.version) for kind, known in self._kinds.items() for each in reversed(known) if each.version]
        )

    def each(self, change: Callable[[str, Behaviour], Behaviour]) -> Behaviours:
        """The same with every behaviour changed."""
        return Behaviours({kind: tuple([change(kind, each) for each in known]) for kind, known in self._kinds.items()})


def as_behaviours(given: Mapping[str, Given], version: str = "") -> Behaviours:
    """Kinds with their behaviours; a bare function gets the defaults, and `version`. Raises `InvalidInput`."""
    if isinstance(given, Behaviours):
        return given
    if not is_a(given, Mapping):
        raise InvalidInput(detail="behaviours are a mapping of kinds: {'reader': reader}", field="behaviours")
    version = check_version(version)
    plain: Mapping[str, Given] = check_value(given, Mapping[str, Any], "behaviours")
    if "" in plain:
        raise InvalidInput(detail="a kind has a name, and not an empty one", field="behaviours")
    return Behaviours({kind: _of_kind(kind, each, version) for kind, each in plain.items()})


def _of_kind(kind: str, given: Given, version: str) -> tuple[Behaviour, ...]:
    if inspect.iscoroutine(given):
        given.close()
        detail = f"of kind {shown(kind)} {shown(given)} is what an async function returned; pass the function itself"
        raise InvalidInput(detail=detail, field="behaviours")
    is_one = isinstance(given, Behaviour) or callable(given)
    if not (is_one or is_a(given, Iterable)) or isinstance(given, str | bytes):
        detail = f"of kind {shown(kind)} {shown(given)} is not an async function or a tenure.Behaviour"
        raise InvalidInput(detail=detail, field="behaviours")
    several: Sequence[Behaviour | BehaviourFunction] = (
        [given] if isinstance(given, Behaviour) or callable(given) else check_value(given, Sequence[Any], "behaviours")
    )
    known = [each if isinstance(each, Behaviour) else Behaviour(each) for each in several]
    known = [each if each.version else evolve(each, version=version) for each in known]
    names = [each.version for each in known]
    if not known or (len(known) > 1 and (len({*names}) < len(names) or not all(names))):
        detail = f"kind {shown(kind)} has {len(known)} behaviours: of several, each has a version that no other has"
        raise InvalidInput(detail=detail, field="behaviours")
    return tuple(known)


def check_takes_run(function: Any, field: str) -> None:
    """Raises `InvalidInput` for what cannot be called with one argument, as far as its signature says."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)  # what is called, and not what it stands around
    except (ValueError, TypeError):  # it has none: not written in Python
        return
    try:
        signature.bind(None)
    except TypeError as exc:
        detail = f"{shown(function)} does not take one argument, its run; write async def name(run: tenure.Run)"
        raise InvalidInput(detail=detail, field=field) from exc


def is_async(function: Any) -> bool:
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
