"""Slots for sync steps, shared out fairly: what waits of the runtime that has fewest goes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import final

import trio
from attrs import define, field


@final
@define(eq=False, slots=True)
class _Waiter:
    owner: str
    granted: trio.Event = field(factory=trio.Event)


@final
class Slots:
    """So many at once; one runtime with a thousand steps keeps no other waiting for long."""

    def __init__(self, count: int) -> None:
        """All are free."""
        self._free = count
        self._taken: Counter[str] = Counter()
        self._waiting: list[_Waiter] = []

    @property
    def full(self) -> bool:
        """Whether the next one waits."""
        return not self._free

    async def take(self, owner: str, look_in_s: Callable[[str], float]) -> None:
        """Take a slot for a step of this runtime.

        A wait that is cancelled takes nothing.

        Args:
            owner: The runtime.
            look_in_s: Makes room for this runtime where it can, and says in how many seconds to look again.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._free:
            self._free -= 1
            self._taken[owner] += 1
            return
        waiter = _Waiter(owner)
        self._waiting.append(waiter)
        try:
            while not waiter.granted.is_set():
                with trio.move_on_after(look_in_s(owner)):
                    await waiter.granted.wait()
        except BaseException:
            if waiter.granted.is_set():
                self.give_back(owner)
            else:
                self._waiting.remove(waiter)
            raise

    def give_back(self, owner: str, *, lent: bool = False) -> None:
        """A step of this runtime has ended: its slot goes to the next or is free, where it was not lent."""
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]
        if not lent:
            self._pass_on()

    def lend(self) -> None:
        """A step goes on without its slot, which goes to the next."""
        self._pass_on()

    def has_none(self, owner: str) -> bool:
        """Whether no step of this runtime runs."""
        return owner not in self._taken

    def _pass_on(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        following = min(
            self._waiting, key=lambda each: self._taken[each.owner]
        )  # the first of equals has waited longest
        self._waiting.remove(following)
        self._taken[following.owner] += 1
        following.granted.set()
