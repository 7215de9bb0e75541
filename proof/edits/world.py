"""The world outside of every run: it counts what is done, and judges (design §18, "Tests")."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, final

import trio

import tenure
from proof.seeded.cases import Broken

from .programs import (
    KEYED,
    NEVER,
    Attach,
    Calls,
    Checkpoint,
    Cut,
    First,
    Gather,
    Item,
    Map,
    Program,
    Sleep,
    Step,
    Talk,
    conversation_of,
    message_of,
    work_of,
)

SETTLED: Final = "settled"
"""The result of a step of which a person says that it ran."""

FAILS: Final = "a step fails"
RAISES: Final = "the behaviour raises"
KILLED: Final = "killed"
STOPS: Final = (FAILS, RAISES, KILLED)
"""How the first version is stopped at the n-th thing that is done."""


@final
class World:
    """Counts calls of functions, and stops the n-th where it is asked to.

    Attributes:
        calls: How many functions were called.
        stop_at: At which of them something happens; 0 for none.
        how: What.
        stopped: Set when it has.
        left: The branch of the conversation that this entering has left last.
        said: The conversation at the end.
        allowed: Work that a person has allowed to be done again.
    """

    def __init__(self, stop_at: int = 0, how: str = "") -> None:
        """Nothing is done yet."""
        self.calls = 0
        self.stop_at = stop_at
        self.how = how
        self.stopped = trio.Event()
        self.done: Counter[str] = Counter()
        self.never: set[str] = set()
        self.keys: dict[str, str] = {}
        self.allowed: set[str] = set()
        self.broken: list[str] = []
        self.seen: dict[str, object] = {}
        self.left: tenure.SessionBranch | None = None
        self.said: list[object] = []

    def copy(self) -> World:
        """The same, for another way on from here: nothing stops it."""
        other = World()
        other.done, other.never, other.keys = self.done.copy(), set(self.never), dict(self.keys)
        return other

    # What a behaviour does

    async def play(self, run: tenure.Run, program: Program) -> None:
        """Do what a program says, and keep what is seen."""
        for item in program:
            await self._item(run, item)

    async def _item(self, run: tenure.Run, item: Item) -> None:
        match item:
            case Checkpoint():
                await run.checkpoint()
            case Sleep(seconds=seconds):
                await run.sleep(seconds)
            case Step():
                await self._step(run, item)
            case Map():
                await self._map(run, item)
            case Talk():
                await self._talk(run, item)
            case Attach():
                await run.session.attach(item.data.encode())
            case _:
                await self._several(run, item)

    async def _talk(self, run: tenure.Run, item: Talk) -> None:
        session = run.session
        session.append(message_of(item))
        match item.move:
            case "pop":
                await session.pop(item.number)
            case "rewrite":
                await session.rewrite(["rewritten"], keep=min(item.number, session.count))
            case "fork":
                self.left = await session.fork(min(item.number, session.count))
            case _:
                self.left = await session.fork(0 if self.left is None else self.left)

    async def _several(self, run: tenure.Run, item: Gather | First | Calls | Cut) -> None:
        match item:
            case Gather(branches=branches):
                await run.gather(*[self._branch(run, each) for each in branches])
            case First(branches=branches):
                await run.first(*[self._branch(run, each) for each in branches])
            case Calls(steps=steps):
                async with trio.open_nursery() as nursery:
                    for each in steps:
                        nursery.start_soon(self._step, run, each)
            case Cut(body=body):
                async with run.move_on_after(1.0):
                    await self.play(run, body)

    async def _map(self, run: tenure.Run, item: Map) -> None:
        found = await run.map(item.name, self._function(item.repeat), item.items, repeat=item.repeat)
        for work, value in zip(item.items, found, strict=True):
            self._see(work, value)

    def _branch(self, run: tenure.Run, program: Program) -> Any:
        async def branch() -> None:
            await self.play(run, program)

        return branch

    async def _step(self, run: tenure.Run, item: Step) -> None:
        function = self._function(item.repeat, item.work)
        value = await run.step(item.name, function, item.argument, repeat=item.repeat, call=item.call or None)
        self._see(item.work, value)

    def _function(self, repeat: str, work: str = "") -> Any:
        async def act(argument: str, key: str = "") -> str:
            await self._do(work or argument, repeat, key)
            return work or argument

        return act

    def _see(self, work: str, value: object) -> None:
        self.seen[work] = value
        if self.how == RAISES and self.calls >= self.stop_at > 0:
            self.stopped.set()
            message = "of the proof"
            raise ConnectionError(message)

    async def _do(self, work: str, repeat: str, key: str) -> None:
        self.calls += 1
        self._count(work, repeat, key)
        if self.calls != self.stop_at:
            return
        if self.how == FAILS:
            self.stopped.set()
            message = "of the proof"
            raise ConnectionError(message)
        if self.how == KILLED:
            self.stopped.set()
            await trio.sleep_forever()

    def _count(self, work: str, repeat: str, key: str) -> None:
        self.done[work] += 1
        if work in self.never and work not in self.allowed:
            self.broken.append(f"{work}, which never repeats, was done {self.done[work]} times")
        if work in self.keys and self.keys[work] != key:
            self.broken.append(f"{work} was done under two keys")
        if key and key in [each for of, each in self.keys.items() if of != work]:
            self.broken.append(f"{work} was done under the key of other work")
        if repeat == NEVER:
            self.never.add(work)
        if repeat == KEYED:
            self.keys[work] = key

    # Judging

    def judge(self) -> None:
        """Nothing was done twice that must not be. Raises `Broken`."""
        if self.broken:
            raise Broken(self.broken[0])

    def judge_said(self, program: Program) -> None:
        """The conversation is that of the program. Raises `Broken`."""
        if self.said != conversation_of(program):
            message = f"the conversation is {self.said}, and not {conversation_of(program)}"
            raise Broken(message)

    def judge_end(self, program: Program, taken: frozenset[str] = frozenset()) -> None:
        """Everything that the program asks for was done, and each result is that of its work.

        Work in `taken` may have been given what another step has done, instead. Raises `Broken`.
        """
        self.judge()
        for work, _ in work_of(program):
            if work in taken and not self.done[work] and self.done[str(self.seen.get(work))]:
                continue
            if not self.done[work]:
                message = f"{work} was left out in silence"
                raise Broken(message)
            if work not in self.seen:
                message = f"{work} was not given to the behaviour"
                raise Broken(message)
            if self.seen[work] not in (work, SETTLED):
                message = f"{work} was given {self.seen[work]!r}"
                raise Broken(message)
