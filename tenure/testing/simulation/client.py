"""Clients of a simulated host: they stand outside it, outlive it, and remember what they were promised.

A client asks again until it is answered, under the same idempotency key where it gives input: so it is right to expect that
what it asked for happens exactly once.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeVar, final

import trio
from attrs import field, frozen

import tenure
from tenure.errors import Closed, Contended, DiskFull, NotFound, OlderVersion, RuntimeDestroyed, StaleFence, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.model.values import LogicalRuntimeId

from .life import (
    HostGone,
    Life,
)
from .model import (
    Doubt,
    Model,
    PromiseBroken,
    Standing,
)
from .peek import rows
from .trace import Trace

_ARGUMENTS: Final = """
SELECT lower(hex(e.arguments_digest)) FROM entries e JOIN runtimes r ON r.run = e.run WHERE r.runtime_id = ? AND e.place = ?
"""

T = TypeVar("T")

RETRY_S: Final = 1.0
"""Seconds between two tries."""

LOOK_S: Final = 20.0
"""Seconds after which a client that waits looks whether it was forgotten."""

_AGAIN: Final = (HostGone, Closed, StoreBroken, DiskFull, Contended, OlderVersion)
_ENDED: Final = """
SELECT i.finished_at FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
WHERE r.runtime_id = ? AND i.input_id = ? AND i.finished_at IS NOT NULL
"""


@final
@frozen(kw_only=True, slots=True)
class Given:
    """An input that the host has acknowledged.

    Attributes:
        runtime_id: Whose.
        input_id: Which.
        key: Its idempotency key.
        deduplicated: Whether the last try found it there.
    """

    runtime_id: str
    input_id: str
    key: str | None
    deduplicated: bool
    life: Life = field(repr=False, eq=False)
    ticket: tenure.Ticket = field(repr=False, eq=False)


class Surroundings(Protocol):
    """What a client has around it; see `World`."""

    @property
    def seed(self) -> int:
        """What everything follows from."""
        ...

    @property
    def over(self) -> bool:
        """Whether the time of hardship is up."""
        ...

    @property
    def model(self) -> Model:
        """What was promised."""
        ...

    @property
    def trace(self) -> Trace:
        """What happened."""
        ...

    async def wait_up(self) -> Life:
        """Wait for a host that is open."""
        ...

    def violate(self, error: BaseException, /) -> None:
        """A promise did not hold."""
        ...

    def forgive(self, runtime_id: str, /) -> None:
        """A runtime is resumed: its runs need not wait."""
        ...


@final
class Client:
    """One who uses the host from outside.

    Attributes:
        name: Stands in keys and in the trace.
        random: Follows from the seed and the name.
    """

    def __init__(self, name: str, world: Surroundings) -> None:
        """Made by the simulation."""
        self.name = name
        self.random = random.Random(f"{world.seed}/client {name}")
        self._world = world
        self._keys = 0

    def another(self, name: str) -> Client:
        """A further client, with its own randomness."""
        return Client(f"{self.name}/{name}", self._world)

    @property
    def over(self) -> bool:
        """Whether the time of the simulation is up: clients end, and crashes are over."""
        return self._world.over

    def now(self) -> float:
        """Seconds since the simulation began."""
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the virtual clock."""
        await trio.sleep(seconds)

    # Verbs

    async def spawn(self, runtime_id: str, kind: str) -> tenure.Runtime:
        """Spawn; asked again until it is answered."""
        standing = self._world.model.standing(runtime_id)

        async def ask(supervisor: tenure.Supervisor) -> tenure.Runtime:
            return await supervisor.spawn(runtime_id, kind)

        async def once(life: Life) -> tenure.Runtime:
            with _asked(standing, "spawn"):
                runtime = await life.call(f"spawn {runtime_id}", ask)
            self._world.model.token(runtime_id, runtime.fence_token, runtime.generation)
            return runtime

        runtime = await self._insist(once)
        self._world.model.kinds[runtime_id] = kind
        self._note(f"spawned {runtime_id} under token {runtime.fence_token}")
        return runtime

    async def accept(
        self, runtime_id: str, payload: object, *, key: str | None = None, lane: tenure.Lane | str = tenure.Lane.QUEUE
    ) -> Given:
        """Give a runtime one input; tried again under its key until the host has answered.

        Raises:
            Error: What `Runtime.accept` refuses it with.
        """
        if key is None:
            self._keys += 1
            key = f"{self.name}-{self._keys}"
        given = await self._insist(partial(self._accept, runtime_id, payload, key, lane))
        self._note(f"{runtime_id} accepted {key} as {given.input_id[-6:]}{' again' * given.deduplicated}")
        return given

    async def _accept(self, runtime_id: str, payload: object, key: str, lane: tenure.Lane | str, life: Life) -> Given:
        model = self._world.model

        async def ask(supervisor: tenure.Supervisor) -> tenure.Ticket:
            runtime = await self._handle(supervisor, runtime_id)
            return await runtime.accept(payload, idempotency_key=key, lane=lane)

        try:
            ticket = await life.call(f"accept {key}", ask)
        except StoreBroken as exc:
            if exc.in_doubt and exc.group is not None:
                known = (runtime_id, key) in model.keys
                doubt = Doubt(incarnation=exc.incarnation, group=exc.group, runtime_id=runtime_id, key=key, known=known)
                model.doubts.append(doubt)
            raise
        model.accepted(runtime_id, ticket.input_id, key, trio.current_time())
        return Given(
            runtime_id=runtime_id,
            input_id=ticket.input_id,
            key=key,
            deduplicated=ticket.deduplicated,
            life=life,
            ticket=ticket,
        )

    async def outcome(self, given: Given) -> tenure.Outcome:
        """Wait until the input has ended, over as many lives of the host as it takes."""

        async def once(life: Life) -> tenure.Outcome:
            return await life.call(f"outcome of {given.input_id}", partial(self._outcome, given, life))

        outcome = await self._insist(once)
        self._world.model.ended(given.runtime_id, given.input_id, outcome.phase, outcome.reason)
        self._note(f"{given.runtime_id} {given.input_id[-6:]} is {outcome.phase} {outcome.reason or ''}")
        return outcome

    async def _outcome(self, given: Given, life: Life, supervisor: tenure.Supervisor) -> tenure.Outcome:
        ticket = given.ticket
        if life is not given.life:
            ticket = await supervisor.ticket(given.runtime_id, input_id=given.input_id)
        while True:
            with trio.move_on_after(LOOK_S):
                return await ticket.wait_outcome()
            for (finished_at,) in rows(supervisor, _ENDED, given.runtime_id, given.input_id):
                if finished_at < life.wall_clock() - LOOK_S / 2:
                    what = f"input {given.input_id} of {given.runtime_id} has ended, and its ticket was forgotten"
                    self._world.violate(PromiseBroken(what))

    async def verb(self, runtime_id: str, verb: str) -> None:
        """Carry out ``retire``, ``reset``, ``stop``, ``recycle`` or ``destroy``; asked again until it is answered.

        Raises:
            Error: What the verb refuses.
        """
        standing = self._world.model.standing(runtime_id)
        tries: list[Life] = []

        async def ask(supervisor: tenure.Supervisor) -> None:
            runtime = await self._handle(supervisor, runtime_id)
            await getattr(runtime, verb)()

        async def once(life: Life) -> None:
            tries.append(life)
            with _asked(standing, verb):
                await life.call(f"{verb} {runtime_id}", ask)

        try:
            await self._insist(once)
        except RuntimeDestroyed:
            if verb != "destroy" or len(tries) == 1:
                raise  # else an earlier try of our own landed
        self._note(f"{verb} {runtime_id}")

    async def resume(self, runtime_id: str, *, restart_run: bool = False, version: str | None = None) -> None:
        """Resume a held runtime; asked again until it is answered."""

        async def ask(supervisor: tenure.Supervisor) -> None:
            await (await self._handle(supervisor, runtime_id)).resume(restart_run=restart_run, version=version)

        self._world.forgive(runtime_id)
        await self._insist(lambda life: life.call(f"resume {runtime_id}", ask))
        self._world.forgive(runtime_id)
        self._note(f"resumed {runtime_id}")

    async def settle_step(self, runtime_id: str, place: str, verdict: tenure.Verdict) -> None:
        """Say what became of a step in doubt; asked again until it is answered.

        Raises:
            Error: What `Runtime.settle_step` refuses; `NotFound` also where an earlier try has landed.
        """

        async def ask(supervisor: tenure.Supervisor) -> None:
            if isinstance(verdict, tenure.DidNotRun):
                for (arguments,) in rows(supervisor, _ARGUMENTS, runtime_id, place):
                    self._world.model.did_not_run(runtime_id, arguments)
            await (await self._handle(supervisor, runtime_id)).settle_step(place, verdict)

        self._world.forgive(runtime_id)
        await self._insist(lambda life: life.call(f"settle {place} of {runtime_id}", ask))
        self._world.forgive(runtime_id)
        self._note(f"settled {place} of {runtime_id}: {verdict}")

    async def write_late(self, runtime_id: str) -> None:
        """Write to a runtime under a token that is no longer in force, as a host does that wakes from the dead.

        Raises:
            AssertionError: The write landed.
        """
        last = self._world.model.tokens.get(runtime_id, 0)
        old = self.random.randrange(last) if last else 0
        hold = Hold(runtime_id=LogicalRuntimeId(runtime_id), reason="a dead host says so")
        commit = Commit(runtime_id=LogicalRuntimeId(runtime_id), fence_token=old, changes=(hold,))

        async def ask(supervisor: tenure.Supervisor) -> bool:
            try:
                await supervisor.store.commit(commit)
            except (StaleFence, NotFound):
                return False
            return True

        landed = await self._insist(lambda life: life.call(f"late write to {runtime_id}", ask))
        if landed:
            raise PromiseBroken(f"a write to {runtime_id} landed under token {old}, and {last} was minted since")

    async def ask(self, name: str, function: Callable[[tenure.Supervisor], Awaitable[T]]) -> T:
        """Ask the host anything else; asked again until it is answered."""
        return await self._insist(lambda life: life.call(name, function))

    # Inside

    async def _handle(self, supervisor: tenure.Supervisor, runtime_id: str) -> tenure.Runtime:
        try:
            return supervisor.runtime(runtime_id)
        except NotFound:
            kind = self._world.model.kinds.get(runtime_id)
            if kind is None:
                raise
        standing = self._world.model.standing(runtime_id)
        number = standing.begin("spawn")
        try:
            runtime = await supervisor.spawn(runtime_id, kind)
        except BaseException:
            standing.lost(number)
            raise
        standing.answer(number, landed=True)
        return runtime

    async def _insist(self, once: Callable[[Life], Awaitable[T]]) -> T:
        while True:
            life = await self._world.wait_up()
            try:
                return await once(life)
            except _AGAIN as exc:
                self._note(f"tries again after {type(exc).__name__}")
            await trio.sleep(RETRY_S * (0.5 + self.random.random()))

    def _note(self, text: str) -> None:
        self._world.trace.note(f"{self.name}: {text}")


@contextmanager
def _asked(standing: Standing, verb: str) -> Generator[None]:
    """One try of a verb: it lands with the end of the body; with an error it did not, unless the host went away with it."""
    number = standing.begin(verb)
    try:
        yield
    except _AGAIN:
        standing.lost(number)
        raise
    except BaseException:
        standing.answer(number, landed=False)
        raise
    standing.answer(number, landed=True)
