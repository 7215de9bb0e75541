"""Those who follow outputs, and what wakes them: what this host has written at once, all else by one look for all of them.

However many follow, one of them looks, once each `Limits.poll_s`; where the newest chunk of the store has moved, those wake
whose runtime has. Once a second each of them reads, for ends that leave no output. Where none follows, nothing looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, final

import trio

from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store

LINGER_S: Final = 2.0
"""Seconds for which one who has asked for an entry counts as following, while it works on it."""

LOOK_AGAIN_S: Final = 1.0
"""Seconds after which one who waits reads again in any case."""


@final
class _Waiter:
    __slots__ = ("asked_at", "moved", "runtime_id", "woken")

    def __init__(self, runtime_id: LogicalRuntimeId | None) -> None:
        self.runtime_id = runtime_id
        self.asked_at = trio.current_time()
        self.moved = False
        self.woken = trio.Event()

    def wake(self) -> None:
        self.moved = True
        self.woken.set()


@final
class Followers:
    """Those who follow in this host.

    Attributes:
        on_follow: Called where one begins to follow.
    """

    def __init__(self, store: Store) -> None:
        """None follows."""
        self.on_follow: Callable[[], None] = _nothing
        self._store = store
        self._waiters: dict[_Waiter, None] = {}  # in the order in which they came
        self._until: dict[LogicalRuntimeId | None, float] = {}
        self._looking: _Waiter | None = None
        self._head: int | None = None

    def follows(self, runtime_id: LogicalRuntimeId) -> bool:
        """Whether this output is followed here."""
        return max(self._until.get(runtime_id, 0.0), self._until.get(None, 0.0)) > trio.current_time()

    def ask(self, runtime_id: LogicalRuntimeId | None) -> None:
        """A follower asks for the next entry of an output, or of all."""
        if len(self._until) > 2 * len(self._waiters) + 100:
            now = trio.current_time()
            self._until = {each: until for each, until in self._until.items() if until > now}
        new = self._until.get(runtime_id, 0.0) <= trio.current_time()
        self._until[runtime_id] = max(self._until.get(runtime_id, 0.0), trio.current_time() + LINGER_S)
        if new:
            self.on_follow()

    def stir(self, runtime_id: LogicalRuntimeId) -> None:
        """This host has written output of a runtime, or its end."""
        for waiter in self._waiters:
            if waiter.runtime_id in (None, runtime_id):
                waiter.wake()

    def listen(self, runtime_id: LogicalRuntimeId | None) -> Listening:
        """Listen from now on: what is read after this and found to be nothing has not been missed."""
        return Listening(self, runtime_id)

    # For `Listening`

    def enter(self, waiter: _Waiter) -> None:
        """One more."""
        self._waiters[waiter] = None
        self._until[waiter.runtime_id] = math.inf

    def leave(self, waiter: _Waiter) -> None:
        """One less; another one looks for all, where this one did."""
        del self._waiters[waiter]
        if not any(each.runtime_id == waiter.runtime_id for each in self._waiters):
            self._until[waiter.runtime_id] = trio.current_time() + LINGER_S
        if self._looking is waiter:
            self._looking = next(iter(self._waiters), None)
            if self._looking is not None:
                self._looking.woken.set()

    async def wait(self, waiter: _Waiter) -> None:
        """Return when the output may have moved, or a second is over."""
        while not waiter.moved:
            left_s = waiter.asked_at + LOOK_AGAIN_S - trio.current_time()
            if left_s <= 0:
                return
            self._looking = self._looking or waiter
            looks = self._looking is waiter
            with trio.move_on_after(min(left_s, self._store.limits.poll_s) if looks else left_s):
                await waiter.woken.wait()
            if not waiter.moved:
                waiter.woken = trio.Event()
                if looks:
                    await self._look()

    async def _look(self) -> None:
        wanted = {each.runtime_id for each in self._waiters if each.runtime_id is not None}
        seen = self._head

        def look(statements: Statements) -> tuple[int, dict[LogicalRuntimeId, int]]:
            row = statements.one("output.head")
            head = row[0] if row is not None and isinstance(row[0], int) else 0
            if head == seen:
                return head, {}
            return head, {each: _head_of(statements, each) for each in wanted}

        head, moved = await self._store.read(look)
        if head == self._head:
            return
        before, self._head = self._head, head
        for waiter in self._waiters:
            if waiter.runtime_id is None or before is None or moved.get(waiter.runtime_id, head) > before:
                waiter.wake()


@final
class Listening:
    """One who listens, for a while: ``with``."""

    def __init__(self, followers: Followers, runtime_id: LogicalRuntimeId | None) -> None:
        """Made by `Followers.listen`."""
        self._followers = followers
        self._waiter = _Waiter(runtime_id)

    def __enter__(self) -> Listening:
        """Listen from now on."""
        self._followers.enter(self._waiter)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._followers.leave(self._waiter)

    async def wait(self) -> None:
        """Wait until something may have come since it began to listen, at most a second."""
        await self._followers.wait(self._waiter)


def _head_of(statements: Statements, runtime_id: LogicalRuntimeId) -> int:
    # A row that cannot be decoded wakes those who read it, and they find out.
    rows = statements.readable("output.head_of", runtime_id=runtime_id)
    return rows[0][0] if rows and isinstance(rows[0][0], int) else 2**63


def _nothing() -> None:
    """Nothing flushes."""
