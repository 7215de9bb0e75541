"""Everything the store takes from the outside world, in one value.

Threads, clocks, randomness, identifiers and the engine's options are constructor arguments, so that a whole host
can run on a virtual clock, on one thread, over a disk that forgets (design §3, "Seams"). No verb takes a clock.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, final

import trio
from attrs import field, frozen

from tenure.errors import Internal
from tenure.persistence.model.numbers import in_calendar
from tenure.persistence.model.texts import as_defect

from .executors import (
    Executor,
    ThreadExecutor,
)
from .identity import HostIdentity
from .nursery import is_for_others
from .options import Codec, EngineOptions, Observer

_DRAWN: Final = 74
"""Random bits of an identifier."""

_STEP: Final = 34
"""By how many of them the step to the next one within a millisecond is shorter."""

_BOOT: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> float:
    """Seconds since the machine booted, counting the time it was suspended where the system counts it."""
    return time.clock_gettime(_BOOT)


@final
class Identifiers:
    """Makes UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits. Each sorts after those that it made before.

    Where the clock is set back, new ones sort by what it shows then. Threads may share it: two that draw in one moment get
    different ones, in either order.
    """

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        """None is made yet."""
        self._newest = 0

    def draw(self, wall_clock: Callable[[], float], source: random.Random) -> str:
        """A fresh one."""
        milliseconds = int(wall_clock() * 1000) & ((1 << 48) - 1)
        bits = source.getrandbits(_DRAWN)  # asked for once: with the system's randomness each call enters the kernel
        behind = (self._newest - (milliseconds << _DRAWN | bits)) + 1
        if 0 < behind < 1 << _DRAWN and (bits + behind + (bits >> _STEP)) >> _DRAWN == 0:
            bits += behind + (bits >> _STEP)  # a random step beyond the newest one of this millisecond
        self._newest = milliseconds << _DRAWN | bits
        high, low = bits >> 62, bits & ((1 << 62) - 1)
        digits = f"{milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def read_clock(clock: Callable[[], float]) -> float:
    """What a clock shows; it may be a user's. Raises `Internal` where that is not a time: nothing has begun."""
    try:
        now = float(clock())
        if math.isfinite(now):
            return now
    except BaseException as exc:
        if is_for_others(exc) or type(exc) is Internal:
            raise
        raise as_defect(exc) from exc
    raise Internal(detail=f"a clock shows {now}")


def _checked(clock: Callable[[], float]) -> Callable[[], float]:
    """A user's boot clock: what goes wrong in it is `Internal`, also where it raises what only a store that stops may raise."""
    known: Any = clock
    is_checked = clock is boot_clock or (type(known) is partial and known.func is read_clock)
    return clock if is_checked else partial(read_clock, clock)


@final
class CalendarClock:
    """A wall clock that shows times of the calendar alone: each is stored, and is read back as a `datetime`."""

    __slots__ = ("_clock",)

    def __init__(self, clock: Callable[[], float]) -> None:
        """Read the time from this one."""
        self._clock = clock

    def __call__(self) -> float:
        """The time, unix seconds. Raises `Internal` as `read_clock`, and for what is not of the years 1 to 9999."""
        now = read_clock(self._clock)
        if not in_calendar(now):
            raise Internal(detail=f"a clock shows {now:.0f} s, which is not a time of the years 1 to 9999")
        return now


def _of_calendar(clock: Callable[[], float]) -> Callable[[], float]:
    # The system's own shows no other, and is asked several times for each input.
    return clock if clock is time.time or type(clock) is CalendarClock else CalendarClock(clock)


@final
@frozen(kw_only=True, slots=True)
class Seams:
    """What a store and the floors above it are built from.

    Attributes:
        writer_executor: Makes the executor that runs groups: its own thread, or inline for simulation.
        reader_executor: Makes an executor for each connection that reads.
        step_executor: Makes the executor that runs the sync steps of behaviours; None for `Limits.step_threads` threads.
        wall_clock: Unix time in seconds; what is stored. Outside of the years 1 to 9999 it is `Internal`, and writes nothing.
            A store on a server takes the server's where none is given.
        boot_clock: Seconds since boot, suspension included; leases are judged by it.
        random: Source of jitter and of the random bits of identifiers.
        engine: What only one engine has: `SqliteOptions`, for one. None for its defaults.
        identity: Who this process is.
        codec: Seals what the store writes; None leaves it in the clear.
        observer: Gets the inside of each store that opens; for proofs and tests. None for a host.
    """

    writer_executor: Callable[[], Executor] = field(default=lambda: ThreadExecutor("tenure-writer"))
    reader_executor: Callable[[], Executor] = field(default=lambda: ThreadExecutor("tenure-reader"))
    step_executor: Callable[[], Executor] | None = None
    wall_clock: Callable[[], float] = field(default=time.time, converter=_of_calendar)
    boot_clock: Callable[[], float] = field(default=boot_clock, converter=_checked)
    random: random.Random = field(factory=random.SystemRandom, repr=False)
    engine: EngineOptions | None = None
    identity: HostIdentity = field(factory=HostIdentity.of_this_process)
    codec: Codec | None = field(default=None, repr=False)
    observer: Observer | None = None
    _identifiers: Identifiers = field(factory=Identifiers, init=False, repr=False, eq=False)

    def new_id(self) -> str:
        """A fresh UUIDv7 from this seam's clock and randomness; it sorts after those from before."""
        return self._identifiers.draw(self.wall_clock, self.random)

    async def sleep_until(self, at: float, *, at_most_s: float) -> None:
        """Sleep until the wall clock shows a time; at once, with a checkpoint, where it is past.

        It lasts at most `at_most_s` seconds, wherever the wall clock was set since that time was chosen.
        """
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(at_most_s):
            # The two clocks need not agree to the last digit, and nothing looks again after this task.
            while (left_s := at - self.wall_clock()) > 0:  # noqa: ASYNC110 - time has no event
                await trio.sleep(left_s)
