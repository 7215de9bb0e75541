"""Hosts on one file that die at an operation: before or after a call of their executors, or inside a step.

What a host does on disk, it does in calls of its executors, each of which is one transaction or one view. A host that has died
gets none of them any more, and its locks are free, as the system frees those of a process that was killed.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar, final

import trio
from attrs import evolve, frozen

import tenure
from proof.seeded.cases import Broken, virtual_seams
from proof.seeded.mortal import MortalLocks
from tenure.errors import Closed, Contended, Error, NotFound, RuntimeOwned, StoreBroken
from tenure.persistence.seams.executors import Heard, InlineExecutor
from tenure.testing.observing import seen

T = TypeVar("T")

LIMITS: Final = tenure.Limits(lease_s=60.0, renew_s=8.0, poll_s=4.0)

BACK_S: Final = 3.0
"""Virtual seconds between the death of a host and the next one in its place."""

RETRY_S: Final = 2.0
AGAIN: Final = (Closed, Contended, NotFound, RuntimeOwned, StoreBroken)
"""What is asked again, as of another host, or a moment later."""


@final
@frozen(slots=True)
class Death:
    """Where a host dies.

    Attributes:
        at: At which of its operations, from 1; 0: at none.
        late: After it, where nobody has heard yet what came of it; else before it.
    """

    at: int = 0
    late: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.late else 'before'} operation {self.at}"


@final
class Mortal:
    """One host, that may die.

    Attributes:
        name: Which.
        passed: The operations that it has begun: whether each may change anything, or reads.
        supervisor: Its supervisor, once it is open.
        dead: Set at its death.
        up: Set when it is open.
    """

    def __init__(self, name: str, death: Death) -> None:
        """Not open yet."""
        self.name = name
        self.passed: list[bool] = []
        self.supervisor: tenure.Supervisor | None = None
        self.dead = trio.Event()
        self.up = trio.Event()
        self._death = death
        self._over = trio.Event()
        self._locks = MortalLocks()

    @property
    def lives(self) -> bool:
        """Whether it is open, and has not died."""
        return self.up.is_set() and not self.dead.is_set()

    def seams(self, seed: int) -> tenure.Seams:
        """Its outside world."""
        source = random.Random(f"{seed}/{self.name}")
        seams = virtual_seams(source, lambda: _Executor(self), self._locks)
        return seen(evolve(seams, reader_executor=lambda: _Executor(self, changes=False)))

    def die(self) -> None:
        """Die now."""
        if not self.dead.is_set():
            self.dead.set()
            self._locks.die()

    def leave(self) -> None:
        """End in order; what a dead one still does is not looked at."""
        self._over.set()

    async def wait_over(self) -> None:
        """Wait until it may leave."""
        await self._over.wait()

    async def operate(self, act: Callable[[], Awaitable[T]], *, changes: bool = True) -> T:
        """Do one operation, before or after which the host may die: then this does not come back until all is over."""
        if not self.dead.is_set():
            self.passed.append(changes)
        mine = len(self.passed)
        if mine == self._death.at and not self._death.late:
            self.die()
        if self.dead.is_set():
            await self._over.wait()
        found = await act()
        if mine == self._death.at and self._death.late:
            self.die()
        if self.dead.is_set():
            await self._over.wait()
        return found


@final
class _Executor:
    """Runs each function inline, while its host lives."""

    def __init__(self, host: Mortal, *, changes: bool = True) -> None:
        self._host = host
        self._changes = changes
        self._inline = InlineExecutor()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        async def act() -> T:
            return await self._inline.run(function)

        found = await self._host.operate(act, changes=self._changes)
        if heard is not None:
            heard(found)
        return found

    def close(self) -> None:
        self._inline.close()


Behaviours = Callable[[Mortal], Mapping[str, tenure.Behaviour]]


@final
class Place:
    """A place where a host lives, and another one after each death.

    Attributes:
        name: Which.
        lives: The hosts, one after another.
    """

    def __init__(self, name: str, behaviours: Behaviours, deaths: tuple[Death, ...]) -> None:
        """Whose hosts have these behaviours, and die so, one after another; those after them live on."""
        self.name = name
        self.lives: list[Mortal] = []
        self._behaviours = behaviours
        self._deaths = deaths

    @property
    def now(self) -> Mortal | None:
        """The host that lives here now, or None."""
        return self.lives[-1] if self.lives and self.lives[-1].lives else None

    async def live(self, seed: int, file: str, nursery: trio.Nursery) -> None:
        """Open hosts here, for ever."""
        while True:
            number = len(self.lives)
            death = self._deaths[number] if number < len(self._deaths) else Death()
            host = Mortal(f"{self.name} {number + 1}", death)
            self.lives.append(host)
            nursery.start_soon(self._host, host, seed, file)
            await host.dead.wait()
            await trio.sleep(BACK_S)

    async def _host(self, host: Mortal, seed: int, file: str) -> None:
        try:
            async with tenure.open_supervisor(
                file,
                behaviours=self._behaviours(host),
                durability="os",
                limits=LIMITS,
                seams=host.seams(seed),
                drain_s=0,
            ) as supervisor:
                host.supervisor = supervisor
                host.up.set()
                await host.wait_over()
        except Error as exc:
            if not host.dead.is_set():
                message = f"the host {host.name} has ended: {exc!r}"
                raise Broken(message) from exc


@final
class Fleet:
    """The places of one case, and who asks the hosts there."""

    def __init__(self, seed: int, file: str, places: list[Place], nursery: trio.Nursery) -> None:
        """All of them empty."""
        self.places = places
        self._seed = seed
        self._file = file
        self._nursery = nursery
        self._random = random.Random(f"{seed}/fleet")
        self._scopes: list[trio.CancelScope] = []

    def open(self) -> None:
        """A host comes to each place."""
        for place in self.places:
            self._nursery.start_soon(self._keep_open, place)

    async def _keep_open(self, place: Place) -> None:
        with trio.CancelScope() as scope:
            self._scopes.append(scope)
            await place.live(self._seed, self._file, self._nursery)

    def leave(self) -> None:
        """All hosts end."""
        for scope in self._scopes:
            scope.cancel()
        for place in self.places:
            for host in place.lives:
                host.leave()

    async def ask(self, function: Callable[[tenure.Supervisor], Awaitable[T]], *, where: int | None = None) -> T:
        """Ask a host that lives, one of this place or any; asked again until it is answered."""
        while True:
            places = self.places if where is None else [self.places[where]]
            living = [place.now for place in places if place.now is not None]
            if living:
                answers = await self._once(self._random.choice(living), function)
                if answers:
                    return answers[0]
            await trio.sleep(RETRY_S)

    async def _once(self, host: Mortal, function: Callable[[tenure.Supervisor], Awaitable[T]]) -> list[T]:
        answers: list[T] = []
        errors: list[Exception] = []
        ended = trio.Event()

        async def call() -> None:
            try:
                if host.supervisor is not None:
                    answers.append(await function(host.supervisor))
            except Exception as exc:  # noqa: BLE001 - it is the caller's
                errors.append(exc)
            ended.set()

        self._nursery.start_soon(call)  # where the host dies, this goes on when all is over, and nobody hears it
        async with trio.open_nursery() as nursery:  # owned by this call

            async def give_up() -> None:
                await host.dead.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            await ended.wait()
            nursery.cancel_scope.cancel()
        if host.dead.is_set() or (errors and isinstance(errors[0], AGAIN)):
            return []
        if errors:
            raise errors[0]
        return answers
