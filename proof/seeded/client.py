"""A client of the hosts of a seed: it gives each input to one that answers, again until one has acknowledged it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, final

import trio

import tenure
from tenure import errors

from .cases import Broken
from .computer import Computer

RETRY_S: Final = 2.0


@final
class Client:
    """Gives inputs, each under its payload as key."""

    def __init__(
        self, computer: Computer, seed: int, inputs: Sequence[tuple[str, str]], kind: str, every_s: float
    ) -> None:
        """Give nothing yet. `inputs`: the runtime and the payload of each, in order; one in `every_s` seconds on average."""
        self._computer = computer
        self._random = random.Random(f"{seed}/client")
        self._inputs = inputs
        self._kind = kind
        self._every_s = every_s
        self._accepted = trio.Event()

    async def give(self) -> None:
        """Give every input."""
        for runtime_id, payload in self._inputs:
            await trio.sleep(self._random.expovariate(1 / self._every_s))
            while not await self._gave(runtime_id, payload):  # noqa: ASYNC110 - no host may be there to say so
                await trio.sleep(RETRY_S)
        self._accepted.set()

    async def wait_consumed(self, supervisor: tenure.Supervisor) -> None:
        """Wait until every input was accepted and has ended. Raises `Broken` where one is not consumed."""
        await self._accepted.wait()
        for runtime_id, payload in self._inputs:
            ticket = await supervisor.ticket(runtime_id, idempotency_key=payload)
            outcome = await ticket.wait_outcome()
            if outcome.phase != "consumed":
                raise Broken(f"{payload} is {outcome.phase}: {outcome.reason}")

    async def _gave(self, runtime_id: str, payload: str) -> bool:
        living = [host for host in self._computer.hosts if host.lives]
        if not living:
            return False
        host, given = self._random.choice(living), False
        async with trio.open_nursery() as nursery:  # owned by this call

            async def give_up() -> None:
                await host.over.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            with suppress(errors.Error):  # it closes, or dies
                await host.accept(runtime_id, payload, self._kind)
                given = True
            nursery.cancel_scope.cancel()
        return given
