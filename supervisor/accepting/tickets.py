"""Tickets: what accept gives back, and the way to an input's outcome."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from functools import partial
from threading import get_ident
from typing import Any, final

import trio
from attrs import field, frozen

from tenure.errors import Error, NotFound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import (
    outcomes,
    receipts,
)
from tenure.persistence.facets.runs import results
from tenure.persistence.model.codec import decode
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RunBoundaryReceipt,
)
from tenure.persistence.seams.nursery import refuse_thread
from tenure.persistence.store import Store


@final
@frozen(kw_only=True, slots=True)
class Outcome:
    """How an input ended.

    Attributes:
        phase: ``consumed``, ``abandoned``, ``superseded`` or ``coalesced``.
        reason: Why it was abandoned, or None.
        error: The last error of a run over it, for people, or None.
        receipt: The receipt of the boundary that consumed it, or None.
        result: What its behaviour returned, or answered with `Run.answer`, as a JSON value; None where that was nothing.
            All who wait for this input here may be given the same object: copy it before you change it.
    """

    phase: InputPhase
    reason: str | None = None
    error: str | None = None
    receipt: RunBoundaryReceipt | None = None
    result: Any = field(default=None, repr=False)


@final
class Fate:
    """What becomes of one input, as far as it is known here: shared by the tickets of that input.

    Attributes:
        outcome: How it ended, or why that will not be known here; None before.
    """

    __slots__ = ("__weakref__", "_event", "_read", "_thread", "outcome")

    def __init__(self, read: Callable[[], Awaitable[Outcome]] | None, thread: int) -> None:
        """Nothing is known; `read` fetches the outcome of an input that had ended before."""
        self.outcome: Outcome | Error | None = None
        self._read = read
        self._thread = thread
        self._event: trio.Event | None = None

    def settle(self, outcome: Outcome | Error) -> None:
        """The input has ended, or that will not be known here. The first counts."""
        if self.outcome is None:
            self.outcome = outcome
            if self._event is not None:
                self._event.set()

    async def learn(self) -> None:
        """Read the outcome of an input that had ended before."""
        if self.outcome is None and self._read is not None:
            self.settle(await self._read())

    async def wait(self) -> Outcome | Error:
        """Wait until it is settled. Raises `Unsupported` in another thread than that of the host."""
        if get_ident() != self._thread:
            refuse_thread()
        if self._read is not None:
            await self.learn()
        if self.outcome is None:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
        else:
            await trio.lowlevel.checkpoint()
        if self.outcome is None:
            message = "a ticket was woken without an outcome"
            raise RuntimeError(message)
        return self.outcome


@final
class Ticket:
    """The claim on one input's outcome. Found again after a restart by input id or key.

    Attributes:
        runtime_id: Whose input.
        input_id: Which input.
        deduplicated: Whether the idempotency key was known and nothing was written.
    """

    __slots__ = ("_fate", "deduplicated", "input_id", "runtime_id")

    def __init__(self, runtime_id: LogicalRuntimeId, input_id: InputId, *, deduplicated: bool, fate: Fate) -> None:
        """Made by `Tickets`."""
        self.runtime_id = runtime_id
        self.input_id = input_id
        self.deduplicated = deduplicated
        self._fate = fate

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as far as this ticket has heard of it."""
        return self._fate.outcome if isinstance(self._fate.outcome, Outcome) else None

    async def wait_outcome(self) -> Outcome:
        """Wait until the input has ended, and say how.

        Raises:
            Closed: The supervisor was closed first; the input is still in the inbox.
            StoreBroken: The store stopped first.

        Cancellation: ends the wait and changes nothing.
        """
        outcome = await self._fate.wait()
        if isinstance(outcome, Error):
            raise copy(outcome)  # one for each who waits: a traceback grows with every raise
        return outcome


async def learn(ticket: Ticket) -> None:
    """Let a ticket know the outcome of an input that had ended before; where it cannot be read, the wait for it says why."""
    with suppress(Error):
        await ticket._fate.learn()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the fate is this module's


def stored_outcome(statements: Statements, runtime_id: LogicalRuntimeId, input_id: InputId) -> Outcome | None:
    """How an input ended, with its receipt, or None where it has not ended. Raises `NotFound`."""
    stored = outcomes.find_outcome(statements, runtime_id, input_id)
    if stored is None:
        raise NotFound(what="input", key=input_id)
    if not is_terminal(stored.phase):
        return None
    receipt, result = None, None
    if stored.run_id is not None and stored.boundary is not None:
        receipt = receipts.find(statements, runtime_id, stored.run_id, stored.boundary)
        result = decoded(results.find(statements, runtime_id, input_id), input_id)
    return Outcome(phase=stored.phase, reason=stored.reason, error=stored.error, receipt=receipt, result=result)


def decoded(result: bytes | None, input_id: InputId) -> Any:
    """A stored result as a JSON value; None where there is none. Raises `Corrupt`."""
    return None if result is None else decode(result, "result", input_id)


_Key = tuple[LogicalRuntimeId, InputId]


@final
class _Reference(weakref.ref[Fate]):
    """A reference to the fate of one input. A `WeakValueDictionary` makes the same, in seven calls of Python each time."""

    __slots__ = ("key",)
    key: _Key


@final
class Tickets:
    """The tickets that are held. A ticket that was dropped costs nothing."""

    def __init__(self, store: Store) -> None:
        """No ticket yet; the outcomes of inputs that have ended are read from the store."""
        self._store = store
        self._thread = get_ident()
        self._closed: Error | None = None
        # Changed by the loop alone. The last ticket of an input may be dropped in any thread, which only says so.
        self._held: dict[_Key, _Reference] = {}
        self._dropped: deque[weakref.ref[Fate]] = deque()
        self._drop = self._dropped.append

    def issue(
        self, runtime_id: LogicalRuntimeId, input_id: InputId, phase: InputPhase, *, deduplicated: bool
    ) -> Ticket:
        """A ticket of an input. Called in the callback that learns of it, before its end can be published."""
        if self._dropped:
            self._forget_dropped()
        key = runtime_id, input_id
        if is_terminal(phase):
            fate = Fate(partial(self._read_outcome, runtime_id, input_id), self._thread)
        else:
            known = self._held.get(key)
            fate = (None if known is None else known()) or Fate(None, self._thread)
            if known is None or known() is not fate:
                self._held[key] = reference = _Reference(fate, self._drop)
                reference.key = key
        if self._closed is not None:
            fate.settle(self._closed)  # its input has landed while the host closes
        return Ticket(runtime_id, input_id, deduplicated=deduplicated, fate=fate)

    def settle(self, runtime_id: LogicalRuntimeId, input_id: InputId, outcome: Outcome | Error) -> None:
        """Publish an input's end, or why it will not be known here."""
        known = self._held.pop((runtime_id, input_id), None)
        if known is not None and (fate := known()) is not None:
            fate.settle(outcome)

    @property
    def any_waiting(self) -> bool:
        """Whether a ticket is held of an input whose end is not known."""
        self._forget_dropped()
        return bool(self._held)

    def waiting(self) -> list[tuple[LogicalRuntimeId, InputId]]:
        """The inputs with such tickets."""
        self._forget_dropped()
        return list(self._held)

    async def find_outcome(self, runtime_id: LogicalRuntimeId, input_id: InputId) -> Outcome | None:
        """How an input ended, as it is stored, or None where it has not ended. Raises `NotFound`."""
        return await self._store.read(partial(stored_outcome, runtime_id=runtime_id, input_id=input_id))

    def close(self, error: Error) -> None:
        """Answer everyone who still waits, and everyone who gets a ticket later."""
        self._closed = error
        for reference in self._held.values():
            fate = reference()
            if fate is not None:
                fate.settle(error)
        self._held.clear()

    def _forget_dropped(self) -> None:
        while self._dropped:
            reference = self._dropped.popleft()
            # Another ticket of its input may have come since, or its end.
            if isinstance(reference, _Reference) and self._held.get(reference.key) is reference:
                del self._held[reference.key]

    async def _read_outcome(self, runtime_id: LogicalRuntimeId, input_id: InputId) -> Outcome:
        outcome = await self.find_outcome(runtime_id, input_id)
        if outcome is None:
            raise NotFound(what="outcome of input", key=input_id)
        return outcome
