"""Tickets: what accept gives back, and the way to an input's outcome."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from copy import copy
from typing import final

import trio
from attrs import frozen

from tenure.errors import Error, NotFound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import (
    inputs,
    receipts,
)
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RunBoundaryReceipt,
)


@final
@frozen(kw_only=True, slots=True)
class Outcome:
    """How an input ended.

    Attributes:
        phase: ``consumed``, ``abandoned``, ``superseded`` or ``coalesced``.
        reason: Why it was abandoned, or None.
        error: The last error of a run over it, for people, or None.
        receipt: The receipt of the boundary that consumed it, or None.
    """

    phase: InputPhase
    reason: str | None = None
    error: str | None = None
    receipt: RunBoundaryReceipt | None = None


@final
class Ticket:
    """The claim on one input's outcome. Found again after a restart by input id or key.

    Attributes:
        runtime_id: Whose input.
        input_id: Which input.
        deduplicated: Whether the idempotency key was known and nothing was written.
    """

    __slots__ = ("__weakref__", "_event", "_outcome", "_read", "deduplicated", "input_id", "runtime_id")

    def __init__(
        self,
        runtime_id: LogicalRuntimeId,
        input_id: InputId,
        *,
        deduplicated: bool,
        read: Callable[[Ticket], Awaitable[Outcome]] | None,
    ) -> None:
        """Made by `Tickets`; `read` fetches the outcome of an input that had ended before."""
        self.runtime_id = runtime_id
        self.input_id = input_id
        self.deduplicated = deduplicated
        self._read = read
        self._outcome: Outcome | Error | None = None
        self._event: trio.Event | None = None

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as far as this ticket has heard of it."""
        return self._outcome if isinstance(self._outcome, Outcome) else None

    async def wait_outcome(self) -> Outcome:
        """Wait until the input has ended, and say how.

        Raises:
            Closed: The supervisor was closed first; the input is still in the inbox.
            StoreBroken: The store stopped first.

        Cancellation: ends the wait and changes nothing.
        """
        if self._outcome is None and self._read is not None:
            self.settle(await self._read(self))
        if self._outcome is None:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
        else:
            await trio.lowlevel.checkpoint()
        if isinstance(self._outcome, Error):
            raise copy(self._outcome)  # one for each who waits: a traceback grows with every raise
        if self._outcome is None:
            message = "a ticket was woken without an outcome"
            raise RuntimeError(message)
        return self._outcome

    def follow(self, other: Ticket) -> None:
        """The supervisor's: wait on another ticket of the same input."""

        async def read(_: Ticket) -> Outcome:
            return await other.wait_outcome()

        self._read = read

    def settle(self, outcome: Outcome | Error) -> None:
        """The supervisor's: the input has ended, or nobody will know here."""
        if self._outcome is None:
            self._outcome = outcome
            if self._event is not None:
                self._event.set()


def stored_outcome(statements: Statements, runtime_id: LogicalRuntimeId, input_id: InputId) -> Outcome | None:
    """How an input ended, with its receipt, or None where it has not ended. Raises `NotFound`."""
    stored = inputs.find_outcome(statements, runtime_id, input_id)
    if stored is None:
        raise NotFound(what="input", key=input_id)
    if not is_terminal(stored.phase):
        return None
    receipt = None
    if stored.run_id is not None and stored.boundary is not None:
        receipt = receipts.find(statements, runtime_id, stored.run_id, stored.boundary)
    return Outcome(phase=stored.phase, reason=stored.reason, error=stored.error, receipt=receipt)


@final
class Tickets:
    """The tickets that somebody holds. A ticket that was dropped costs nothing."""

    def __init__(self, read: Callable[[Ticket], Awaitable[Outcome]]) -> None:
        """`read` fetches a stored outcome."""
        self._read = read
        self._closed: Error | None = None
        self._held: weakref.WeakValueDictionary[tuple[LogicalRuntimeId, InputId], Ticket] = (
            weakref.WeakValueDictionary()
        )

    def issue(
        self, runtime_id: LogicalRuntimeId, input_id: InputId, phase: InputPhase, *, deduplicated: bool
    ) -> Ticket:
        """The ticket of an input. Called in the callback that learns of it, before its end can be published."""
        key = runtime_id, input_id
        known = self._held.get(key)
        if known is not None and known.deduplicated == deduplicated:
            return known
        ended = is_terminal(phase)
        ticket = Ticket(runtime_id, input_id, deduplicated=deduplicated, read=self._read if ended else None)
        if self._closed is not None:
            ticket.settle(self._closed)  # it has landed while the host closes
        elif known is not None and not ended:
            # Two tickets for one input, one of them by a repeated accept: the second waits on the first.
            ticket.follow(known)
        elif not ended:
            self._held[key] = ticket
        return ticket

    def settle(self, runtime_id: LogicalRuntimeId, input_id: InputId, outcome: Outcome | Error) -> None:
        """Publish an input's end, or why nobody will know it."""
        ticket = self._held.pop((runtime_id, input_id), None)
        if ticket is not None:
            ticket.settle(outcome)

    @property
    def any_waiting(self) -> bool:
        """Whether somebody here waits for an input's end."""
        return bool(self._held)

    def waiting(self) -> list[tuple[LogicalRuntimeId, InputId]]:
        """The inputs whose end somebody here waits for."""
        return list(self._held)

    def close(self, error: Error) -> None:
        """Answer everyone who still waits, and whoever still gets a ticket."""
        self._closed = error
        # By references, a list made in one go: another thread (tenure.asyncio) may drop a ticket at any moment.
        for reference in self._held.valuerefs():
            ticket = reference()
            if ticket is not None:
                ticket.settle(error)
        self._held.clear()
