"""One life of a simulated host: from its start to its orderly end, its failure or its death.

A death comes between two operations of the disk, or between two turns of trio. The disk is forked at that moment, and
whatever the dying host still does reaches no disk, so that no acknowledgement can follow; then its tasks are cancelled.
That is as if the process had gone: what its tasks saw before came from what had landed before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, TypeVar, final

import trio

import tenure
from tenure.testing.drive.images import Cut
from tenure.testing.machine import Machine

from .weather import Weather

T = TypeVar("T")

ANSWER_S: Final = 60.0
"""Seconds that a host which has ended may take until every caller is answered."""


class HostGone(Exception):
    """The host went away before it answered."""


@final
class Call(Generic[T]):
    """A question to the host, and its answer."""

    def __init__(self, name: str) -> None:
        """Not answered yet."""
        self.name = name
        self.value: T | None = None
        self.error: BaseException | None = None
        self.answered = trio.Event()


@final
class Life:
    """One life.

    Attributes:
        number: Which, from 1.
        machine: What it runs on.
        weather: Of its disk.
        successor: The machine after its death, once it died.
        up: Set when the host is open and was audited.
        over: Set when it will answer nothing more.
        failure: What the host ended with, where it neither died nor ended in order.
        in_flight: Calls that wait for an answer.
    """

    def __init__(self, number: int, machine: Machine, cut: Cut) -> None:
        """Will run on this machine; a death leaves of the disk what `cut` says."""
        self.number = number
        self.machine = machine
        self.weather = Weather(machine.random, self.die)
        self.successor: Machine | None = None
        self.up = trio.Event()
        self.over = trio.Event()
        self.failure: Exception | None = None
        self.in_flight: set[Call[Any]] = set()
        self._cut = cut
        self._scope = trio.CancelScope()
        self._leave = trio.Event()
        self._supervisor: tenure.Supervisor | None = None
        self._calls: trio.Nursery | None = None

    @property
    def dead(self) -> bool:
        """Whether it has died."""
        return self.successor is not None

    @property
    def supervisor(self) -> tenure.Supervisor:
        """The supervisor of this life."""
        if self._supervisor is None:
            raise RuntimeError("this life has not begun")
        return self._supervisor

    def wall_clock(self) -> float:
        """Unix time of the machine."""
        return self.machine.wall_clock()

    def die(self) -> None:
        """Die now."""
        if self.successor is None:
            self.successor = self.machine.crashed(self._cut)
            self.weather.end()
            self.over.set()
            self._scope.cancel()

    def leave(self) -> None:
        """End in order."""
        self._leave.set()

    async def live(
        self,
        behaviours: Mapping[str, tenure.Behaviour],
        limits: tenure.Limits | None,
        opened: Callable[[], Awaitable[None]],
        drain_s: float,
    ) -> None:
        """Live until `leave`, `die` or a failure. `opened` is called before anybody else reaches the host."""
        self.machine.disk.faults = self.weather
        async with trio.open_nursery() as calls:  # owned by this life
            self._calls = calls
            with self._scope:
                await self._host(behaviours, limits, opened, drain_s)
            if not self.dead:
                self.machine.disk.faults = None
            if self.dead:
                calls.cancel_scope.cancel()
            else:
                await self._all_answered()
            self.over.set()  # before the nursery closes: a call that comes in between would find it shut

    async def call(self, name: str, function: Callable[[tenure.Supervisor], Awaitable[T]]) -> T:
        """Ask the host. Raises what it raises, or `HostGone`."""
        if self.over.is_set() or self._calls is None:
            raise HostGone
        call = Call[T](name)

        async def ask() -> None:
            try:
                call.value = await function(self.supervisor)
            except Exception as exc:  # noqa: BLE001 - it belongs to the caller
                call.error = exc
            self.in_flight.discard(call)
            if not self.dead:
                call.answered.set()

        self.in_flight.add(call)
        self._calls.start_soon(ask)
        async with trio.open_nursery() as nursery:  # owned by this call

            async def give_up() -> None:
                await self.over.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            await call.answered.wait()
            nursery.cancel_scope.cancel()
        if not call.answered.is_set():
            raise HostGone
        if call.error is not None:
            raise call.error
        return call.value  # type: ignore[return-value]

    async def _host(
        self,
        behaviours: Mapping[str, tenure.Behaviour],
        limits: tenure.Limits | None,
        opened: Callable[[], Awaitable[None]],
        drain_s: float,
    ) -> None:
        try:
            async with tenure.open_supervisor(
                self.machine.path(), behaviours=behaviours, limits=limits, seams=self.machine.seams(), drain_s=drain_s
            ) as supervisor:
                self._supervisor = supervisor
                await opened()
                self.up.set()
                await self._leave.wait()
        except BaseException as exc:
            # What a dying host still raises is not heard; a cancellation from further out comes again.
            if not self.dead:
                if not isinstance(exc, Exception):
                    raise
                self.failure = exc

    async def _all_answered(self) -> None:
        with trio.move_on_after(ANSWER_S):
            for call in list(self.in_flight):
                await call.answered.wait()
