"""What the behaviour does: it plays a program, and keeps what it sees and what of that is on disk."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, final

import tenure
from tenure import errors

from .loops import TRIO, Loop
from .programs import Ask, Calls, Either, Idle, Item, Map, Move, Plain, Program, Scope, Sides, Sleep, Spawn, Step, Wait
from .verbs import Verbs
from .world import FAILED, Entering, World

PACES: Final = (0.3, 1.0, 2.0)
"""How long an unrecorded wait takes in an entering, as a share of its time."""


@final
class Player:
    """Plays a program in one entering of its run."""

    def __init__(
        self, world: World, entering: Entering, run: tenure.Run, source: random.Random, loop: Loop = TRIO
    ) -> None:
        """Nothing is seen yet; what differs from one entering to the next is drawn from `source`."""
        self._world = world
        self._loop = loop
        self._entering = entering
        self._run = run
        self._verbs = Verbs(run, entering)
        self._pace = source.choice(PACES)

    async def play(self, program: Program, names: list[str] | None = None) -> None:
        """Do what it says, one after another; `names` are those that stand before it in its branch, and get its own."""
        names = [] if names is None else names
        for item in program:
            within = list[str]()
            await self._item(item, within)
            if is_recorded_at_its_beginning(item):
                self._entering.settle(*names)
            names += [item.name, *within]
            if isinstance(item, Scope) and item.recorded and self._entering.seen[item.name] == repr(True):
                self._entering.settle(*names)
            if is_recorded_at_its_end(item) and not self._entering.has_failed(item.name):
                self._entering.settle(item.name, *(within if isinstance(item, Sides) else ()))

    async def _item(self, item: Item, within: list[str]) -> None:
        self._entering.see(item.name, await self._value(item, within))

    async def _value(self, item: Item, within: list[str]) -> object:  # noqa: PLR0911 - one for each
        match item:
            case Step():
                return await self._step(item)
            case Map():
                return await self._map(item)
            case Calls():
                return await self._calls(item)
            case Sides():
                return await self._sides(item, within)
            case Scope():
                return await self._scope(item, within)
            case Either():
                drawn = self._run.random.choice((True, False))
                await self.play(item.yes if drawn else item.no, within)
                return drawn
            case Idle(seconds=seconds):
                await self._loop.sleep(seconds * self._pace)
                return None
            case Sleep() | Wait() | Ask() | Spawn() | Move() | Plain():
                return await self._verbs.value(item)

    # What may fail

    async def _step(self, step: Step, call: str | None = None) -> object:
        function = self._world.function(step)
        try:
            terms = self._world.terms_of(step)
            return await self._run.step(step.name, function, repeat=step.repeat, call=call, **terms)
        except errors.StepFailed as exc:
            return f"{FAILED}{exc.detail}"

    async def _map(self, item: Map) -> object:
        step = item.step
        function, terms = self._world.function(step), self._world.terms_of(step)
        try:
            return await self._run.map(item.name, function, item.items, repeat=step.repeat, limit=item.limit, **terms)
        except errors.StepFailed as exc:
            others = [str(each) for each in getattr(exc, "others", ())]  # set where several have failed
            return f"{FAILED}{exc.detail}; {others}"

    async def _calls(self, item: Calls) -> object:
        found: dict[str, object] = {}

        async def call(step: Step) -> None:
            await self._loop.sleep(step.after_s)
            found[step.name] = await self._step(step, call=step.name)

        async def beside() -> None:
            for each in item.beside:
                await self._item(each, [])

        await self._loop.together([*[partial(call, step) for step in item.steps], beside])
        return dict(sorted(found.items()))

    async def _sides(self, item: Sides, within: list[str]) -> object:
        names: list[list[str]] = [[] for _ in item.branches]

        def branch(number: int) -> Callable[[], Awaitable[int]]:
            async def play() -> int:
                await self.play(item.branches[number], names[number])
                return number

            return play

        branches = [branch(number) for number in range(len(names))]
        if item.how == "first":
            won = await self._run.first(*branches)
            within += names[won]
            return won
        ended = await self._run.gather(*branches)
        for each in names:
            within += each
        return ended

    async def _scope(self, item: Scope, within: list[str]) -> bool:
        if not item.recorded:
            async with self._loop.cut(item.seconds) as plain:
                await self.play(item.body, within)
            return plain.cancelled_caught
        async with self._run.move_on_after(item.seconds) as scope:
            await self.play(item.body, within)
        return scope.cancelled_caught


def is_recorded_at_its_beginning(item: Item) -> bool:
    """Whether what its branch has seen before is on disk once it has ended."""
    return is_recorded_at_its_end(item) or isinstance(item, Sleep | Sides | Map)


def is_recorded_at_its_end(item: Item) -> bool:
    """Whether what was seen of it is on disk once it has ended."""
    match item:
        case Step() | Ask() | Spawn() | Wait():
            return True
        case Sleep(steerable=steerable):
            return steerable
        case Sides(how=how):
            return how == "first"
        case Plain(verb=verb):
            return verb in ("checkpoint", "consume")
        case _:
            return False
