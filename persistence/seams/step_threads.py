"""Threads for the sync steps of behaviours: each is known by its step, and one that hangs gives its slot back.

A thread cannot be ended from outside. Where a run is cancelled while its step runs in one, the step is *given up*: its slot
goes to the next step at once, the thread runs on unseen, and stands in the statistics until it ends. What is given up is
bounded: beyond `Limits.given_up` no further step begins, since each may hang as well (design §19).

A step of a run that lives may hang, too. Where others wait, one that has had its slot for `Limits.step_slot_s` *lends* it: the
step begins of a runtime that has no thread, this one runs on beside it, and its result is taken as ever.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeGuard, TypeVar, final

import trio
from attrs import define, field, frozen

from tenure.errors import LimitReached

from .executors import Heard, look_for_room
from .limits import Limits
from .slots import Slots

T = TypeVar("T")

GIVEN_UP: Final = "steps that were given up and still hold a thread"
"""What the limit counts."""

RETRY_S: Final = 0.25
"""First wait where the system gives no thread; doubles up to `RETRY_LIMIT_S`."""

RETRY_LIMIT_S: Final = 5.0

FULL_AGAIN_S: Final = 60.0
"""Fewest seconds between two lines that say that steps wait for a thread."""


@final
@frozen(kw_only=True, slots=True)
class StepWork(Generic[T]):
    """A step's function, with whose it is.

    Attributes:
        runtime_id: Whose step.
        run_id: Of which run.
        name: Name of the step.
        function: What runs in the thread.
    """

    runtime_id: str
    run_id: str
    name: str
    function: Callable[[], T]

    def __call__(self) -> T:
        """Run it."""
        return self.function()


@final
@frozen(kw_only=True, slots=True)
class StepThread:
    """One sync step that holds a thread, or an async one that was given up.

    Attributes:
        runtime_id: Whose step.
        run_id: Of which run.
        name: Name of the step.
        seconds: For how long it has held the thread, or was given up.
        given_up: Whether its run has ended without it: it holds no slot any more.
        lent: Whether another step has its slot, since it held one for `Limits.step_slot_s` while others waited.
    """

    runtime_id: str
    run_id: str
    name: str
    seconds: float
    given_up: bool
    lent: bool


@final
@define(eq=False, slots=True)
class _Held:
    work: StepWork[Any]
    since: float
    asked: bool = False
    began: bool = False
    given_up: bool = False
    lent: bool = False
    ended: bool = False
    over: trio.Event = field(factory=trio.Event)
    token: trio.lowlevel.TrioToken = field(factory=trio.lowlevel.current_trio_token)

    def seen_at(self, now: float) -> StepThread:
        work = self.work
        return StepThread(
            runtime_id=work.runtime_id,
            run_id=work.run_id,
            name=work.name,
            seconds=now - self.since,
            given_up=self.given_up,
            lent=self.lent,
        )


@final
class StepThreads:
    """Threads borrowed from trio, one for each call, at most so many that are not given up and have not lent their slot.

    Attributes:
        waiting: Calls that wait for a slot.
        on_given_up: Hears, on the trio thread, of each step that is given up.
        on_full: Hears of the step that has held its slot longest when another must wait; at most once in `FULL_AGAIN_S`.
    """

    def __init__(self, limits: Limits) -> None:
        """At most `limits.step_threads` calls at once; more wait. None begins while `limits.given_up` are given up."""
        count, most_given_up = limits.step_threads, limits.given_up
        self._slots = Slots(count)
        self._slot_s = limits.step_slot_s
        self._most_given_up = most_given_up
        # For trio, which counts a thread until it ends: as many as may run, be given up and have lent their slots at one
        # time. Nothing waits for it.
        self._limiter = trio.CapacityLimiter(count + most_given_up)
        self._held: set[_Held] = set()
        self._lock = (
            threading.Lock()
        )  # over `ended`, `given_up` and `_held`: the thread that ends meets the run that gives it up
        self.waiting = 0
        self.on_given_up: Callable[[StepThread], object] = _unheard
        self.on_full: Callable[[StepThread], object] = _unheard
        self._full_at = -math.inf
        self._clock = trio.lowlevel.current_clock()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        """Run the function on a borrowed thread; see `Executor.run`.

        Raises:
            LimitReached: Too many steps that were given up hold threads; the function did not run.
        """
        work = _named(function)
        self.waiting += 1
        try:
            self.check_room()
            if self._slots.full:
                self._tell_full()
            await self._slots.take(work.runtime_id, self._lend)
        finally:
            self.waiting -= 1
        held = _Held(work, trio.current_time())
        try:
            self.check_room()  # again: what held the slot may have been given up
            result = await self._run(held, function)
        finally:
            self._slots.give_back(work.runtime_id, lent=held.lent)
        if heard is not None:
            heard(result)
        return result

    def check_room(self) -> None:
        """Raise `LimitReached` where no step may begin."""
        if self.given_up >= self._most_given_up:
            raise LimitReached(what=GIVEN_UP, limit=self._most_given_up)

    @property
    def given_up(self) -> int:
        """Steps that were given up and have not ended."""
        return sum(each.given_up for each in self._seen())

    def threads(self) -> tuple[StepThread, ...]:
        """The steps that hold a thread now, longest first. May be asked from any thread."""
        now = self._clock.current_time()
        return tuple(each.seen_at(now) for each in sorted(self._seen(), key=lambda each: each.since))

    async def wait_over(self, work: StepWork[Any]) -> None:
        """Wait until no thread runs this call any more."""
        for held in [each for each in self._seen() if each.work is work]:
            await held.over.wait()

    def leave(self, work: StepWork[Any]) -> Callable[[], None]:
        """Count an async step that goes on although its run does not wait for it; call what is returned at its end."""
        held = _Held(work, trio.current_time(), asked=True, began=True)
        with self._lock:
            self._held.add(held)
        self._give_up(held)
        return partial(self._end, held)

    def close(self) -> None:
        """Nothing to close: trio owns the threads."""

    # Inside

    def _lend(self, borrower: str) -> float:
        """Let the step that has had its slot longest lend it; in how many seconds to ask again."""
        seen = sorted(self._seen(), key=lambda each: each.since)
        beside = sum(each.given_up or each.lent for each in seen)
        holders = [each for each in seen if not (each.given_up or each.lent)]
        # Lent to a runtime without a thread alone: one with a thousand hung steps would use up what may be lent.
        if beside >= self._most_given_up or not holders or not self._slots.has_none(borrower):
            return self._slot_s
        due_s = holders[0].since + self._slot_s - trio.current_time()
        if due_s > 0:
            return due_s
        holders[0].lent = True
        self._slots.lend()
        return 0.0  # another may have got it

    async def _run(self, held: _Held, function: Callable[[], T]) -> T:
        def in_thread() -> T:
            held.began = True
            try:
                return function()
            finally:
                self._end(held)

        with self._lock:
            self._held.add(held)
        try:
            return await self._borrow(held, in_thread)
        except trio.Cancelled:
            self._give_up(held)
            raise
        except BaseException:
            self._end(held)
            raise

    async def _borrow(self, held: _Held, in_thread: Callable[[], T]) -> T:
        """Wait for a thread, as for a disk with room: a step that has not begun has neither failed nor run."""
        delay_s = RETRY_S
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()
            held.asked = True  # from here on a cancelled wait leaves a thread that runs on
            try:
                look_for_room()
                return await trio.to_thread.run_sync(in_thread, limiter=self._limiter, abandon_on_cancel=True)
            except (RuntimeError, OSError):
                if held.began:
                    raise  # the step's own
            held.asked = False
            await trio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_LIMIT_S)

    def _seen(self) -> list[_Held]:
        with self._lock:
            return list(self._held)

    def _end(self, held: _Held) -> None:
        with self._lock:
            held.ended = True
            self._held.discard(held)
        with suppress(trio.RunFinishedError):  # the loop is gone, and with it everyone who could wait
            held.token.run_sync_soon(held.over.set)

    def _give_up(self, held: _Held) -> None:
        with self._lock:
            if not held.asked:  # it still waited for a thread
                self._held.discard(held)
                held.over.set()
            if held.ended or not held.asked:
                return
            held.given_up = True
        self.on_given_up(held.seen_at(trio.current_time()))

    def _tell_full(self) -> None:
        now = trio.current_time()
        running = [each for each in self.threads() if not each.given_up]
        if running and now - self._full_at >= FULL_AGAIN_S:
            self._full_at = now
            self.on_full(running[0])


def _named(function: Callable[[], Any]) -> StepWork[Any]:
    if _is_work(function):
        return function
    return StepWork(runtime_id="", run_id="", name="", function=function)


def _is_work(function: object) -> TypeGuard[StepWork[Any]]:
    return isinstance(function, StepWork)


def _unheard(_: StepThread) -> None:
    """No one listens."""
