"""Slots: how many runs of one kind execute at the same time (design §19).

A run takes a slot before it begins, gives it back while all of it rests, and asks for one again when its rest is over. Who
waits is served in the order of asking: what has begun before comes first, and what has not begun waits until none of that is
left. A slot that is given back goes to the next at once, so none is free while anyone waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, final

import trio

WAITS: Final = "waits for a slot"
"""What `tenure why` says of one that waits."""


@final
class Slots:
    """Those of one kind in one host.

    Attributes:
        most: How many there are.
        taken: How many of them are taken.
    """

    def __init__(self, most: int) -> None:
        """All are free."""
        self.most = most
        self.taken = 0
        self._begun = OrderedDict[Slot, None]()
        self._new = OrderedDict[Slot, None]()

    def slot(self) -> Slot:
        """A place at one of them, not asked for yet."""
        return Slot(self)

    def ask(self, slot: Slot, *, begun: bool) -> None:
        """Take a free one, or wait after those who asked before; called by the slot."""
        if self.taken < self.most:
            self.taken += 1
            slot.grant()
        else:
            (self._begun if begun else self._new)[slot] = None

    def withdraw(self, slot: Slot) -> None:
        """One that waits does not want it any more; called by the slot."""
        for queue in (self._begun, self._new):
            queue.pop(slot, None)

    def pass_on(self) -> None:
        """One is given back: the next has it, or it is free; called by the slot."""
        queue = self._begun or self._new
        if queue:
            queue.popitem(last=False)[0].grant()
        else:
            self.taken -= 1


@final
class Slot:
    """The place of one run at the slots of its kind: not wanted, waited for, or taken."""

    __slots__ = ("_granted", "_slots", "taken")

    def __init__(self, slots: Slots) -> None:
        """Not wanted."""
        self._slots = slots
        self._granted: trio.Event | None = None
        self.taken = False

    @property
    def waits(self) -> bool:
        """Whether it is asked for and not taken."""
        return self._granted is not None

    @property
    def why(self) -> str:
        """What it waits for, for people."""
        return f"{WAITS}: {self._slots.taken} of {self._slots.most} are taken"

    def ask(self, *, begun: bool) -> None:
        """Take one where one is free, or wait for one from now on; nothing where that is so already."""
        if not self.taken and self._granted is None:
            self._granted = trio.Event()
            self._slots.ask(self, begun=begun)

    async def wait(self) -> None:
        """Wait until it is taken. Cancellation: it goes on waiting in its turn until it is given back."""
        if self._granted is not None:
            await self._granted.wait()
        else:
            await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def held(self, *, begun: bool) -> AsyncGenerator[None]:
        """Wait for one, have it inside, and let the next have it; also where the wait is cancelled."""
        self.ask(begun=begun)
        try:
            await self.wait()
            yield
        finally:
            self.give_back()

    def grant(self) -> None:
        """It is its turn; called by the slots."""
        self.taken = True
        if self._granted is not None:
            self._granted.set()
            self._granted = None

    def give_back(self) -> None:
        """Let the next have it, or wait for it no longer."""
        if self.taken:
            self.taken = False
            self._slots.pass_on()
        elif self._granted is not None:
            self._granted = None
            self._slots.withdraw(self)
