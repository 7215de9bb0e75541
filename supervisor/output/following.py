"""Those who follow outputs, and what wakes them: what this host has written at once, all else by one look for all of them.

However many follow, one of them looks, once each `Limits.poll_s`; where the newest chunk of the store has moved, those wake
whose runtime has. Once a second each of them reads, for ends that leave no output. Where none follows, nothing looks.

Who follows here what other hosts write says so to them (`Listeners`), so that they hurry, and glances at the store so often
that what they write is seen within 20 ms of being emitted. Nothing depends on either: what a glance misses, the look finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final, final

import trio

from tenure.persistence.engines.engine import Statements
from tenure.persistence.engines.listeners import GLANCE_S
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.reading.patience import LOOK_AGAIN_S
from tenure.persistence.store import Store, ground_of

MOVED: Final = 500
"""Most new chunks whose runtimes a look reads."""

LINGER_S: Final = 2.0
"""Seconds for which one who has asked for an entry counts as following, while it works on it."""


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

    def __init__(self, store: Store, is_written_elsewhere: Callable[[LogicalRuntimeId | None], bool]) -> None:
        """None follows. Another host may write output of a runtime, or of any one for None, where this function says so."""
        self.on_follow: Callable[[], None] = _nothing
        self._store = store
        self._listeners = ground_of(store).listeners
        self._is_written_elsewhere = is_written_elsewhere
        self._waiters: dict[LogicalRuntimeId | None, dict[_Waiter, None]] = {}
        self._elsewhere: set[_Waiter] = set()
        self._until: dict[LogicalRuntimeId | None, float] = {}
        self._looking: _Waiter | None = None
        self._looked_at = -math.inf
        self._head: int | None = None

    def follows(self, runtime_id: LogicalRuntimeId) -> bool:
        """Whether this output is followed here."""
        return max(self._until.get(runtime_id, 0.0), self._until.get(None, 0.0)) > trio.current_time()

    @property
    def any_elsewhere(self) -> bool:
        """Whether any output of the store is followed in another process. Cheap."""
        return self._listeners.others()

    def follows_elsewhere(self, runtime_id: LogicalRuntimeId) -> bool:
        """Whether this output is followed in another process, at this moment."""
        return self._listeners.others(name_of(runtime_id)) or self._listeners.others(name_of(None))

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
        for followed in (runtime_id, None):
            for waiter in self._waiters.get(followed, ()):
                waiter.wake()

    def listen(self, runtime_id: LogicalRuntimeId | None) -> Listening:
        """Listen from now on: what is read after this and found to be nothing has not been missed."""
        return Listening(self, runtime_id)

    # For `Listening`

    def enter(self, waiter: _Waiter) -> None:
        """One more."""
        beside = self._waiters.setdefault(waiter.runtime_id, {})
        if not beside:
            self._listeners.begin(name_of(waiter.runtime_id))
        beside[waiter] = None
        self._until[waiter.runtime_id] = math.inf
        if self._is_written_elsewhere(waiter.runtime_id):
            self._elsewhere.add(waiter)

    def leave(self, waiter: _Waiter) -> None:
        """One less; another one looks for all, where this one did."""
        self._elsewhere.discard(waiter)
        beside = self._waiters[waiter.runtime_id]
        del beside[waiter]
        if not beside:
            del self._waiters[waiter.runtime_id]
            self._listeners.end(name_of(waiter.runtime_id))
            self._until[waiter.runtime_id] = trio.current_time() + LINGER_S
        if self._looking is waiter:
            self._looking = next(iter(next(iter(self._waiters.values()), ())), None)
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
            with trio.move_on_after(min(left_s, self._nap_s()) if looks else left_s):
                await waiter.woken.wait()
            if not waiter.moved:
                waiter.woken = trio.Event()
                if looks and self._should_look():
                    await self._look()

    def _nap_s(self) -> float:
        # One host that sees no other one is woken by what it writes itself.
        poll_s = self._store.limits.poll_wait_s
        return min(GLANCE_S, poll_s) if self._elsewhere else poll_s

    def _should_look(self) -> bool:
        stirred = self._listeners.stirred()
        return stirred or trio.current_time() >= self._looked_at + self._store.limits.poll_wait_s

    async def _look(self) -> None:
        self._looked_at = trio.current_time()
        head, moved = await self._store.read(partial(_look, since=self._head))
        self._head = head
        for followed, waiters in self._waiters.items():
            if moved is None or (bool(moved) if followed is None else followed in moved):
                for waiter in waiters:
                    waiter.wake()


def _look(statements: Statements, since: int | None) -> tuple[int, set[str] | None]:
    """The newest chunk, and which runtimes have one after `since`; None for any, where those are many or cannot be read."""
    row = statements.one("output.head")
    head = row[0] if row is not None and isinstance(row[0], int) else 0
    if since is None or head < since:
        return head, None
    if head - since > MOVED:
        return head, None
    rows = statements.readable("output.moved", since=since, count=MOVED) if head > since else []
    return head, {each for (each,) in rows} if len(rows) == head - since else None


def name_of(runtime_id: LogicalRuntimeId | None) -> str:
    """What one listens for who follows a runtime, or all for None."""
    return "outputs" if runtime_id is None else f"output {runtime_id}"


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


def _nothing() -> None:
    """Nothing flushes."""
