"""Programs: what a behaviour of the proof of re-entry asks of its run, drawn, as values.

A program is a sequence. Each thing in it has a name that no other has: under it is kept what an entering has seen there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, final

from attrs import frozen

FREELY: Final = "freely"
KEYED: Final = "keyed"
NEVER: Final = "never"


@final
@frozen(kw_only=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: Of it, and of its work.
        repeat: How it may be repeated.
        seconds: How long its function takes; one that `is_sync` takes none.
        flaky: Whether its first call fails.
        fails: Whether every call fails.
        attempts: How many it has, where it may be repeated.
        timeout_s: How long it may take, or None.
        is_sync: Whether its function is none that is awaited.
        after_s: How long its task waits before it asks, where it is one of `Calls`.
    """

    name: str
    repeat: str
    seconds: float
    flaky: bool
    fails: bool
    attempts: int
    timeout_s: float | None
    is_sync: bool
    after_s: float = 0.0


@final
@frozen(kw_only=True, slots=True)
class Calls:
    """Steps with call ids side by side, and what the behaviour does beside them."""

    name: str
    steps: tuple[Step, ...]
    beside: Program


@final
@frozen(kw_only=True, slots=True)
class Map:
    """One step an item."""

    name: str
    step: Step
    items: tuple[str, ...]
    limit: int | None


@final
@frozen(kw_only=True, slots=True)
class Sides:
    """Branches side by side: all of them (``gather``), or until one has ended (``first``)."""

    name: str
    how: str
    branches: tuple[Program, ...]


@final
@frozen(kw_only=True, slots=True)
class Scope:
    """What is cut off after so many seconds, by `Run.move_on_after` or, where not `recorded`, by trio's own."""

    name: str
    seconds: float
    body: Program
    recorded: bool


@final
@frozen(kw_only=True, slots=True)
class Either:
    """One of two, by a number that the run draws."""

    name: str
    yes: Program
    no: Program


@final
@frozen(kw_only=True, slots=True)
class Sleep:
    """A durable sleep."""

    name: str
    seconds: float
    steerable: bool


@final
@frozen(kw_only=True, slots=True)
class Idle:
    """A wait that is in no record, in some enterings quicker or slower than in others."""

    name: str
    seconds: float


@final
@frozen(kw_only=True, slots=True)
class Wait:
    """A wait to be steered."""

    name: str
    timeout_s: float
    correlation_id: str | None


@final
@frozen(kw_only=True, slots=True)
class Ask:
    """A question to a peer, which answers after so many seconds."""

    name: str
    target: str
    seconds: float
    timeout_s: float | None


@final
@frozen(kw_only=True, slots=True)
class Spawn:
    """A child; without an id it is given one."""

    name: str
    child: str | None
    scope: str
    on_end: str


@final
@frozen(kw_only=True, slots=True)
class Move:
    """A move of the conversation (``pop``, ``rewrite``, ``fork``), with how many messages, or where."""

    name: str
    how: str
    number: int


@final
@frozen(kw_only=True, slots=True)
class Plain:
    """A verb that needs nothing more than a name; `number` says which value it gets, or in which lane it sends."""

    name: str
    verb: str
    number: int


Item = Step | Calls | Map | Sides | Scope | Either | Sleep | Idle | Wait | Ask | Spawn | Move | Plain
Program = tuple[Item, ...]

BESIDE_CALLS: Final = ("now", "random", "uuid", "emit", "patched", "retiring")
PLAIN: Final = (
    *BESIDE_CALLS,
    *("append", "send", "set", "get", "all", "messages", "count", "steered", "children", "attach"),
)
OF_MAIN: Final = ("checkpoint", "checkpoint", "consume", "answer", "reject", "back")
"""Verbs that no branch may ask for."""

MOVES: Final = ("pop", "rewrite", "fork")
DEEPEST: Final = 3


@final
class Drawing:
    """Draws a program.

    Attributes:
        drawn: How many things it has drawn.
    """

    def __init__(self, source: random.Random, *, plain: bool) -> None:
        """By this source. `plain`: nothing in it fails, races, or is cut off."""
        self._source = source
        self._plain = plain
        self._scopes = 0
        self.drawn = 0

    def program(self, length: int, depth: int = 0, *, in_main: bool = True, in_calls: bool = False) -> Program:
        """So many things; those of a branch are not `in_main`, those `in_calls` stand beside calls."""
        return tuple(self._item(depth, in_main, in_calls) for _ in range(length))

    def _item(self, depth: int, in_main: bool, in_calls: bool) -> Item:  # noqa: FBT001 - as in `program`
        kinds = ["step"] * 4 + ["ask", "ask", "sleep", "spawn"] + ["plain"] * 16
        if not self._plain:
            kinds += ["idle"] * (8 if self._scopes else 4)
        if not in_calls:
            kinds += ["calls", "map"]
        if in_main:
            kinds += ["wait", "wait", "rest"] + ["move"] * 3 + ["main"] * 6
        if depth < DEEPEST and not in_calls:
            kinds += ["gather"] * 2 if self._plain else ["gather", "gather", "first", "first", "either"] + ["scope"] * 6
        kind = self._source.choice(kinds)
        self.drawn += 1
        name = f"{kind}{self.drawn}"
        if kind in ("gather", "first", "either", "scope", "calls"):
            return self._around(kind, name, depth, in_main=in_main)
        if kind == "plain" and in_calls:
            return Plain(name=name, verb=self._source.choice(BESIDE_CALLS), number=0)
        return self._leaf(kind, name)

    def _around(self, kind: str, name: str, depth: int, *, in_main: bool) -> Item:
        """What has a program in it."""
        source, inner = self._source, depth + 1
        match kind:
            case "gather" | "first":
                lengths = self._lengths(3)
                branches = tuple(self.program(length, inner, in_main=False) for length in lengths)
                return Sides(name=name, how=kind, branches=branches)
            case "either":
                yes, no = (self.program(source.randint(1, 2), inner, in_main=in_main) for _ in range(2))
                return Either(name=name, yes=yes, no=no)
            case "calls":
                steps = tuple(self._step(f"{name}.{each}") for each in range(source.randint(1, 4)))
                length = source.randint(0, 3) if _by_chance(source, 0.4) else 0
                return Calls(name=name, steps=steps, beside=self.program(length, inner, in_main=False, in_calls=True))
            case _:
                return self._scope(name, inner, in_main=in_main)

    def _scope(self, name: str, inner: int, *, in_main: bool) -> Scope:
        source = self._source
        seconds, recorded = source.choice([0.5, 1, 2, 3, 5]), _by_chance(source, 0.8)
        body: Program = (self._recorded(f"{name}.0"),)
        if recorded:
            self._scopes += 1
            body = self.program(source.randint(1, 3), inner, in_main=in_main)
            self._scopes -= 1
            if _by_chance(source, 0.4):  # often such a wait is what takes too long
                body += (self._wait("idle", f"{name}.idle"),)
                if source.choice((True, False)):
                    body += (self._step(f"{name}.step"),)
        return Scope(name=name, seconds=seconds, recorded=recorded, body=body)

    def _lengths(self, most: int) -> list[int]:
        return [self._source.randint(1, most) for _ in range(self._source.randint(1, most))]

    def _recorded(self, name: str) -> Item:
        """Of trio's own scopes only what they cut off of the record is known."""
        if _by_chance(self._source, 0.6):
            return self._step(name)
        return Sleep(name=name, seconds=self._source.choice([1, 2.5, 4]), steerable=False)

    def _leaf(self, kind: str, name: str) -> Item:
        source = self._source
        match kind:
            case "step":
                return self._step(name)
            case "map":
                items = tuple(f"{name}.{each}" for each in range(source.randint(1, 4)))
                return Map(name=name, step=self._step(name), items=items, limit=source.choice([None, 1, 2]))
            case "ask":
                return self._ask(name)
            case "move":
                return Move(name=name, how=source.choice(MOVES), number=source.randint(0, 2))
            case "main" | "plain":
                verbs: Sequence[str] = OF_MAIN if kind == "main" else PLAIN
                return Plain(name=name, verb=source.choice(verbs), number=source.randint(1, 5))
            case _:
                return self._wait(kind, name)

    def _wait(self, kind: str, name: str) -> Item:
        source = self._source
        match kind:
            case "sleep" | "rest":
                return Sleep(name=name, seconds=source.choice([0, 0.3, 1, 2, 4]), steerable=kind == "rest")
            case "idle":
                return Idle(name=name, seconds=source.choice([0.3, 1, 2, 4]))
            case "wait":
                correlation_id = source.choice([None, None, "c1", "c2"])
                return Wait(name=name, timeout_s=source.choice([1, 3, 6, 12]), correlation_id=correlation_id)
            case _:
                child = source.choice([None, None, "k1", "k2", "sink"])
                on_end = source.choice(["leave", "stop", "destroy"])
                return Spawn(name=name, child=child, scope=source.choice(["run", "runtime"]), on_end=on_end)

    def _ask(self, name: str) -> Ask:
        source = self._source
        peers = ["e1", "e2", "e3"]
        timeouts: list[float | None] = [None]
        if not self._plain:
            peers, timeouts = [*peers, "bad", "missing"], [None, None, 1.0, 2.0, 10.0]
        seconds = source.choice([0, 1, 3])
        return Ask(name=name, target=source.choice(peers), seconds=seconds, timeout_s=source.choice(timeouts))

    def _step(self, name: str) -> Step:
        source, fails = self._source, not self._plain
        return Step(
            name=name,
            repeat=source.choice([FREELY, FREELY, KEYED, NEVER]),
            seconds=source.choice([0, 0, 0.5, 1, 2, 4]),
            flaky=fails and _by_chance(source, 0.2),
            fails=fails and _by_chance(source, 0.12),
            attempts=source.choice([1, 1, 2]),
            timeout_s=source.choice([None, None, None, 1.5, 3]) if fails else None,
            is_sync=_by_chance(source, 0.2),
            after_s=source.choice([0, 0, 1, 2]),
        )


def _by_chance(source: random.Random, share: float) -> bool:
    return source.random() < share
