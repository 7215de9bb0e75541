"""One claim and its work: the handler, the claim renewed while it runs, and the commit that ends it.

Cases at the end of a handler: it returned, and its batches are done, unless its own turn has completed them; it raised,
and the attempt is counted; it asked the process to end, which counts as well; it was cancelled with its worker, and the claim
is given back with nothing counted; its claim was taken over, and it is stopped and nothing of it is written.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, final

import trio
from attrs import define, field

from tenure.errors import Error, QueuedWorkClaimExpired, StoreBroken
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.model.contracts.queued_work import QueuedWorkClaim
from tenure.persistence.model.numbers import milliseconds
from tenure.persistence.model.texts import leaves
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.nursery import contained, is_for_others
from tenure.persistence.seams.seams import Seams
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.runs.recording.restart import (
    describe,
    next_wait,
)

from .terms import QueuedWork, ServingTerms

AGAIN_S: Final = 0.25
"""First wait after a commit for which there was no way; doubles up to `AGAIN_LIMIT_S`."""

AGAIN_LIMIT_S: Final = 5.0


@final
@define(eq=False, slots=True)
class Held:
    """A claim that is worked on here.

    Attributes:
        claim: The claim.
        since: When it was made or renewed last, on trio's clock.
        scope: Around its handler.
        lost: Whether another has it by now.
    """

    claim: QueuedWorkClaim
    since: float
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    lost: bool = False


@final
class Working:
    """Carries out claims, and keeps them meanwhile."""

    def __init__(self, serving: Serving, terms: ServingTerms, limits: Limits, seams: Seams, log: HostLog) -> None:
        """Nothing is claimed yet."""
        self._serving = serving
        self._terms = terms
        self._limits = limits
        self._random = seams.random
        self._log = log
        self._held: set[Held] = set()

    @property
    def ttl_ms(self) -> int:
        """How long a claim holds without a renewal: as long as the lease of a host."""
        return milliseconds(self._limits.lease_s)

    async def carry_out(self, work: QueuedWork, done: Callable[[], Awaitable[None]]) -> None:
        """Run the handler over claimed work, and write what came of it; `done` is called where it is done.

        Raises:
            StoreBroken: The store has stopped.
            SystemExit, KeyboardInterrupt: The handler raised it.

        Cancellation: the handler's; then the claim is given back, within a bound.
        """
        held = Held(work.claim, trio.current_time())
        self._held.add(held)
        try:
            failure: BaseException | None = None
            with held.scope:
                failure = await self._call(work)
            if held.lost:
                self._log.work_lost(str(work.session_id), work.claim.completion().batch_ids)
            elif held.scope.cancelled_caught:
                pass  # the host drains: it was given back
            elif failure is None:
                await done()
            else:
                await self._fail(work, failure)
        finally:
            self._held.discard(held)

    async def _call(self, work: QueuedWork) -> BaseException | None:
        """Call the handler. Returns what it raised, where that is an attempt that failed."""
        try:
            await contained(self._terms.handler, work)
        except BaseException as exc:
            if not is_for_others(exc) or _is_stray(exc):
                return exc
            if any(isinstance(each, SystemExit) for each in leaves(exc)):
                await self._fail(work, exc)
            else:
                await self.give_back(work)
            raise
        return None

    async def give_back(self, work: QueuedWork) -> None:
        """Give a claim back, with no attempt counted."""
        await self.write(lambda: self._serving.give_back(work.claim))

    async def _fail(self, work: QueuedWork, error: BaseException) -> None:
        wait_s = next_wait(self._terms.restart, attempts=work.attempt - 1, source=self._random)
        await self.write(lambda: self._serving.fail(work.claim, describe(error), wait_s))
        self._log.work_failed(str(work.session_id), work.claim.completion().batch_ids, work.attempt, error, wait_s)

    async def write(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Write what came of a claim, and again over what says that nothing landed. Returns whether the claim still held.

        A claim that has ended changes nothing: a turn has completed it, or another has it. A cancelled commit is withdrawn and
        written once more under a shield, for as long as a verdict is waited for: what was worked out is not thrown away.
        """
        delay_s = AGAIN_S
        while (held := await self._try(write)) is None:
            await trio.sleep(delay_s)  # a cancellation ends it here, and the claim ends with this host
            delay_s = min(delay_s * 2, AGAIN_LIMIT_S)
        return held

    async def _try(self, write: Callable[[], Awaitable[None]]) -> bool | None:
        """Write once: whether the claim still held. None: there was no way to now."""
        try:
            await write()
        except QueuedWorkClaimExpired:
            return False
        except NOT_NOW:
            return None
        except trio.Cancelled:
            await self.write_at_last(write)
            raise
        return True

    async def write_at_last(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write once more under a shield, within a bound, for a task that was cancelled.

        Where that fails the claim stands until it expires, and the work comes again, as after a crash.
        """
        with trio.move_on_after(self._limits.verdict_wait_s, shield=True), suppress(QueuedWorkClaimExpired, *NOT_NOW):
            await write()

    # Where the host drains

    def cancel_handlers(self) -> None:
        """Cancel every handler; each gives back what it had."""
        for held in self._held:
            held.scope.cancel()

    async def give_all_back(self) -> None:
        """Give back what handlers still have that do not end; they write nothing more. Raises `DiskFull`, `Contended`."""
        for held in list(self._held):
            held.lost = True
            with suppress(QueuedWorkClaimExpired):  # it has ended by itself meanwhile
                await self._serving.give_back(held.claim)
            self._held.discard(held)

    # Renewal

    async def keep(self) -> None:
        """Renew every claim here in time, for as long as it is worked on."""
        while True:
            await trio.sleep(self._limits.renew_s / 2)
            old = trio.current_time() - self._limits.renew_s / 2
            due = [held for held in self._held if held.since <= old]
            if due:
                async with trio.open_nursery() as nursery:  # owned by this round; all of it shares a group
                    for held in due:
                        nursery.start_soon(self._renew, held)

    async def _renew(self, held: Held) -> None:
        """Renew a claim; stop a handler whose work another has, and let one go on that has completed it by its own turn."""
        try:
            if await self._still_holds(held):
                held.since = trio.current_time()
            elif held in self._held and await self._serving.is_queued(held.claim):
                self._lose(held)
            else:
                self._held.discard(held)
        except NOT_NOW:
            return  # the next round is in time
        except StoreBroken:
            raise
        except Error:
            self._lose(held)  # its rows are damaged: what it writes would be refused as well

    async def _still_holds(self, held: Held) -> bool:
        try:
            await self._serving.renew(held.claim, self.ttl_ms)
        except QueuedWorkClaimExpired:
            return False
        return True

    def _lose(self, held: Held) -> None:
        held.lost = True
        held.scope.cancel()


def _is_stray(error: BaseException) -> bool:
    """Whether it cancels, and nothing has cancelled us: a handler's own mistake, which ends no other's work."""
    ends_process = any(issubclass(type(each), KeyboardInterrupt | SystemExit) for each in leaves(error))
    return not ends_process and trio.current_effective_deadline() != -math.inf
