"""The hosts of a seed: beside and after one another on one computer, and how each of them goes."""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Generic, Protocol, TypeVar, final

import trio
from attrs import frozen

import tenure
from tenure import errors
from tenure.persistence.model.texts import leaves

from .cases import Broken
from .computer import Computer, Host

WHILE_OPENING: Final = 0.2
"""Share of the deaths that come early."""

FROZEN_S: Final = 90.0
"""So long a frozen host stands still: longer than its lease."""

LIMITS: Final = tenure.Limits(lease_s=60.0, renew_s=10.0, poll_s=5.0)


@final
class End(enum.Enum):
    """How the life of a host ends."""

    ORDERLY = "ended"
    KILLED = "killed"
    """At an operation of the disk, or between two."""
    FROZEN = "frozen"
    """For longer than its lease; then it goes on, and ends in order."""
    POWER = "power"
    """The power of the computer is cut, at an operation of this host: all hosts die."""


ENDS: Final = ((End.ORDERLY, 3), (End.KILLED, 4), (End.FROZEN, 2), (End.POWER, 1))
"""How often each is drawn."""


def drawn_end(source: random.Random) -> tuple[End, bool]:
    """How a host goes, and whether it does so while it opens."""
    end = source.choices([end for end, _ in ENDS], [share for _, share in ENDS])[0]
    return end, end in (End.KILLED, End.POWER) and source.random() < WHILE_OPENING


@frozen(kw_only=True, slots=True)
class Life:
    """One host; each proof adds what it has behaviours of.

    Attributes:
        number: Which, from 1.
        after_s: Seconds between the start of the one before and its own.
        life_s: Seconds that it lives.
        drain_s: What its exit waits for runs.
        end: How it goes.
        operations: At which of its operations on the disk after `life_s` it is killed or the power is cut, from 1.
    """

    number: int
    after_s: float = 0.0
    life_s: float = 0.0
    drain_s: float = 0.0
    end: End = End.ORDERLY
    operations: int = 1


L = TypeVar("L", bound=Life, contravariant=True)  # noqa: PLC0105 - one letter, as for every other type


class Cast(Protocol[L]):
    """What the hosts of a proof are for."""

    def behaviours(self, host: Host, life: L, /) -> Mapping[str, list[tenure.Behaviour]]:
        """What a host has behaviours of."""
        ...

    async def look_after(self, host: Host, supervisor: tenure.Supervisor, life: L, /) -> None:
        """Be with an open host until cancelled, which is when it ends."""
        ...

    async def finish(self, host: Host, supervisor: tenure.Supervisor, /) -> None:
        """Be with the last host until everything has ended, and judge. Raises `Broken`."""
        ...


@final
class Lives(Generic[L]):
    """The hosts of one seed.

    Attributes:
        ends: How hosts went before the last one, and how often.
    """

    def __init__(self, computer: Computer, seed: int, cast: Cast[L], frozen_hosts: set[str]) -> None:
        """No host yet. The names of those that stand still are put into `frozen_hosts`."""
        self.ends: Counter[End] = Counter()
        self._frozen = frozen_hosts
        self._last: L | None = None
        self._computer = computer
        self._seed = seed
        self._cast = cast

    async def play(self, drawn: Sequence[L], last: L) -> None:
        """All hosts that were drawn, and then the last one, which lives until the cast has finished. Raises `Broken`."""
        async with trio.open_nursery() as nursery:  # as long as a host lives
            for life in drawn:
                await trio.sleep(life.after_s)
                nursery.start_soon(self._live, life, partial(self._go, life))
        self._last = last
        await self._live(last, self._cast.finish)

    def counted(self) -> str:
        """How hosts went, for a line."""
        return ", ".join(f"{count} {end.value}" for end, count in sorted(self.ends.items(), key=str) if count)

    async def _live(self, life: L, use: Callable[[Host, tenure.Supervisor], Awaitable[None]]) -> None:
        host = Host(f"{life.number}", self._computer, self._seed, life.number)

        async def looked_after(supervisor: tenure.Supervisor) -> None:
            async with trio.open_nursery() as nursery:  # owned by this host
                nursery.start_soon(self._cast.look_after, host, supervisor, life)
                await use(host, supervisor)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:  # owned by this host, and lives longer than it
            nursery.start_soon(self._end, host, life)
            try:
                await host.live(self._cast.behaviours(host, life), LIMITS, life.drain_s, looked_after)
            except* errors.Error as group:
                raise Broken(f"host {life.number} has ended: {next(iter(leaves(group)))!r}") from group
            nursery.cancel_scope.cancel()

    async def _end(self, host: Host, life: L) -> None:
        """What becomes of a host from outside."""
        await trio.sleep(life.life_s)
        self.ends[life.end] += life is not self._last
        if life.end is End.KILLED:
            host.after(life.operations, host.die)
        elif life.end is End.POWER:
            host.after(life.operations, self._computer.cut_power)
        elif life.end is End.FROZEN:
            self._frozen.add(host.name)
            host.freeze()
            await trio.sleep(FROZEN_S)
            host.thaw()

    async def _go(self, life: L, _host: Host, _supervisor: tenure.Supervisor) -> None:
        """What a host does until it ends."""
        match life.end:
            case End.ORDERLY:
                await trio.sleep(life.life_s)
            case End.FROZEN:
                await trio.sleep(2 * life.life_s + FROZEN_S)
            case _:
                await trio.sleep_forever()
