"""The world of one simulation: a host that dies and comes back, clients outside it, and the model of what was promised."""

from __future__ import annotations

import random
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, final

import trio
from attrs import frozen
from trio_util import AsyncValue

from tenure.errors import CannotOpen, DiskFull, NotFound, StoreBroken
from tenure.supervisor.runs.behaviour import Behaviours
from tenure.testing.drive.images import Cut
from tenure.testing.machine import Machine

from .audit import (
    audit,
    unfinished,
)
from .client import Client
from .life import Life
from .model import (
    Model,
    PromiseBroken,
)
from .trace import Trace
from .watching import Watcher

AUDIT_S: Final = 300.0
"""Virtual seconds between two audits of a host that lives."""

FINISH_S: Final = 6 * 3600.0
"""Virtual seconds in which everything must have ended, once nothing goes wrong any more."""

CUTS: Final = (Cut.KILL, Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, Cut.ENTRIES, Cut.PREFIX, Cut.SUBSET, Cut.TORN, Cut.TORN)
"""How hosts die."""


@final
@frozen(kw_only=True, slots=True)
class Hardship:
    """What goes wrong, and how often.

    Attributes:
        deaths: Share of lives that end at a random operation of the disk.
        timed_deaths: Share of lives that end between two turns of the scheduler.
        orderly_ends: Share of lives that end in order. The rest ends by an I/O error.
        operations: Mean number of disk operations before a death.
        life_s: Mean seconds of a life that ends by time.
        io_error: Chance of an I/O error at an operation, in lives that end by one.
        full: Share of lives in which the disk is full for a while.
        full_s: Longest such while.
    """

    deaths: float = 0.5
    timed_deaths: float = 0.15
    orderly_ends: float = 0.15
    operations: float = 300.0
    life_s: float = 900.0
    io_error: float = 0.002
    full: float = 0.2
    full_s: float = 40.0


ONWARD: Final = 0.4
BACK: Final = 0.25
"""Of the lives after the first, how many begin with the next deploy, and with the one before."""

Workload = Callable[[Client], Awaitable[None]]


@final
class World:
    """Everything of one simulation that no crash touches.

    Attributes:
        seed: What everything follows from.
        trace: What happened.
        model: What was promised.
        over: Whether the time of hardship is up.
        lives: Lives that have begun.
        deaths: Those that ended by a death.
        deploys: How often the next deploy came, and how often the one before came back.
        failures: Those that ended by a fault of the disk, by the name of the error.
        broken: The first promise that did not hold.
    """

    def __init__(self, seed: int, deploys: Sequence[Behaviours], hardship: Hardship, hours: float) -> None:
        """Nothing has begun."""
        self.seed = seed
        self.trace = Trace()
        self.model = Model()
        self.over = False
        self.lives = 0
        self.deaths = 0
        self.failures: dict[str, int] = {}
        self.broken: BaseException | None = None
        self.deploys = 0, 0
        self._deploys = deploys
        self._at = 0  # which of them
        self._deploying = random.Random(f"{seed}/deploys")
        self._hardship = hardship
        self._hours = hours
        self._random = random.Random(f"{seed}/world")
        self._watcher = Watcher(self.model, self.trace, self.violate)
        self._policies = {kind: behaviour.restart for kind, behaviour in deploys[0].items()}
        self._current: AsyncValue[Life | None] = AsyncValue(None)
        self._scope = trio.CancelScope()
        self._clients_ended = trio.Event()

    # For clients

    async def wait_up(self) -> Life:
        """Wait for a host that is open."""
        life = await self._current.wait_value(lambda life: life is not None)
        if life is None:
            raise RuntimeError("waited for a host and got none")
        return life

    def violate(self, error: BaseException) -> None:
        """A promise did not hold: the simulation ends."""
        if self.broken is None:
            self.broken = error
            self.trace.note(f"BROKEN: {error}")
            self._scope.cancel()

    def forgive(self, runtime_id: str) -> None:
        """A runtime is resumed: its runs need not wait."""
        for (known, _), fact in self.model.runs.items():
            if known == runtime_id:
                fact.not_before = 0.0

    # The whole of it

    async def play(self, machine: Machine, workload: Workload, check: Workload | None) -> None:
        """Let the workload and the host live together until everything has ended."""
        with self._scope:
            async with trio.open_nursery() as nursery:  # owned by this world
                nursery.start_soon(self._use, workload)
                nursery.start_soon(self._call_it_a_day)
                await self._live_and_die(machine, check)
                nursery.cancel_scope.cancel()

    async def _use(self, workload: Workload) -> None:
        try:
            await workload(Client("client", self))
        except Exception as exc:  # noqa: BLE001 - whatever a workload raises is the simulation's result
            self.violate(exc)
        self._clients_ended.set()

    async def _call_it_a_day(self) -> None:
        await trio.sleep(self._hours * 3600)
        self.over = True
        self.trace.note("no more hardship")

    async def _live_and_die(self, machine: Machine, check: Workload | None) -> None:
        proof = False
        while True:
            self.lives += 1
            life = Life(self.lives, machine, self._random.choice(CUTS))
            self.trace.note(f"life {life.number} begins on {self._content(machine)}")
            calm = self.over
            self._deploy(calm=calm)
            async with trio.open_nursery() as nursery:  # owned by this life
                nursery.start_soon(self._end_well if calm else self._afflict, life, check, proof)
                await self._live(life)
                nursery.cancel_scope.cancel()
            self._note_end(life)
            if life.dead or life.successor is not None:
                machine = life.successor or machine
            elif calm and life.failure is not None:
                self.violate(life.failure)
                return
            elif proof:
                return
            else:
                proof = calm
                cut = Cut.NOTHING if calm else self._random.choice((Cut.KILL, *CUTS))
                machine = machine.crashed(cut)

    def _deploy(self, *, calm: bool) -> None:
        """Perhaps the next life has other behaviours than the one before."""
        if len(self._deploys) == 1 or self.lives == 1:
            return
        source, on, back = self._deploying.random(), *self.deploys
        if calm:
            self._at = len(self._deploys) - 1
        elif source < ONWARD and self._at + 1 < len(self._deploys):
            self._at, self.deploys = self._at + 1, (on + 1, back)
        elif ONWARD <= source < ONWARD + BACK and self._at:
            self._at, self.deploys = self._at - 1, (on, back + 1)
        self.trace.note(f"deploy {self._at}")

    async def _live(self, life: Life) -> None:
        async def opened() -> None:
            self._audit(life, opening=True)
            await self._settle_doubts(life)
            self.trace.note(f"life {life.number} is open")
            self._current.value = life

        watched = self._deploys[self._at].each(lambda kind, behaviour: self._watcher.wrap(kind, behaviour, life))
        await life.live(watched, None, opened, drain_s=self._random.choice((0.0, 1.0, 10.0)))
        self._current.value = None
        if life.in_flight and not life.dead:
            names = ", ".join(sorted(call.name for call in life.in_flight))
            self.violate(PromiseBroken(f"the host has ended and did not answer: {names}"))

    async def _afflict(self, life: Life, _check: Workload | None, _proof: bool) -> None:  # noqa: FBT001
        hardship, source = self._hardship, self._random
        if source.random() < hardship.full:
            life.weather.full_from = trio.current_time() + source.uniform(0, hardship.life_s)
            life.weather.full_until = life.weather.full_from + source.uniform(0, hardship.full_s)
        fate = source.random() - hardship.deaths
        ends_s = source.expovariate(1 / hardship.life_s)
        if fate < 0:
            life.weather.dies_at = 1 + int(source.expovariate(1 / hardship.operations))
        elif fate < hardship.timed_deaths + hardship.orderly_ends:
            await self._audited_sleep(life, ends_s)
            if not self.over:
                (life.die if fate < hardship.timed_deaths else life.leave)()
                return
        else:
            life.weather.io_error = hardship.io_error
        while not self.over:
            await self._audited_sleep(life, AUDIT_S)
        life.weather.clear()
        await life.up.wait()
        life.leave()

    async def _audited_sleep(self, life: Life, seconds: float) -> None:
        until = trio.current_time() + seconds
        while not self.over and trio.current_time() < until:
            await trio.sleep(min(AUDIT_S, until - trio.current_time()))
            if life.up.is_set() and not life.over.is_set():
                self._audit(life, opening=False)

    async def _end_well(self, life: Life, check: Workload | None, proof: bool) -> None:  # noqa: FBT001
        life.weather.clear()
        await life.up.wait()
        stuck: list[str] = ["clients"]
        with trio.move_on_after(FINISH_S):
            await self._clients_ended.wait()
            while stuck := unfinished(life.supervisor):  # noqa: ASYNC110 - the database has no event to wait for
                await trio.sleep(5)
        if not self._clients_ended.is_set():
            stuck = [f"asked: {call.name}" for call in life.in_flight]
        if stuck:
            self.violate(PromiseBroken(f"stuck: {'; '.join(sorted(stuck))}"))
        self._audit(life, opening=False)
        if check is not None and not proof:
            try:
                await check(Client("check", self))
            except Exception as exc:  # noqa: BLE001 - as in `_use`
                self.violate(exc)
        life.leave()

    def _audit(self, life: Life, *, opening: bool) -> None:
        try:
            audit(life.supervisor, self.model, self._policies, opening=life.number if opening else None)
        except AssertionError as exc:
            self.violate(exc)

    async def _settle_doubts(self, life: Life) -> None:
        store = life.supervisor.store
        for doubt in self.model.doubts:
            landed = await store.verdict(doubt.incarnation, doubt.group)
            try:
                ticket = await life.supervisor.ticket(doubt.runtime_id, idempotency_key=doubt.key)
            except NotFound:
                there = False
            else:
                there = True
                self.trace.note(f"{doubt.key} in doubt is {ticket.input_id[-6:]}")
            if there and not landed and not doubt.known:
                self.violate(PromiseBroken(f"{doubt} did not land by verdict, and is there"))
        self.model.doubts.clear()

    def _note_end(self, life: Life) -> None:
        end = "in order"
        if life.dead:
            self.deaths += 1
            end = "by death"
        elif life.failure is not None:
            name = type(life.failure).__name__
            if not isinstance(life.failure, (StoreBroken, DiskFull, CannotOpen)):
                self.violate(life.failure)  # whatever a disk does, one of these says so
            self.failures[name] = self.failures.get(name, 0) + 1
            end = f"by {name}: {life.failure}"
        self.trace.note(f"life {life.number} ended {end}, after {life.weather.errors} I/O errors")

    def _content(self, machine: Machine) -> str:
        checksum = 0
        for name in machine.disk.names():
            file = machine.disk.find(name)
            checksum = zlib.crc32(name.encode() if file is None else file.visible, checksum)
        return f"disk {checksum:08x}"
