"""One entry of a run while it is in flight, as it will be recorded (design §18)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol, final

from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.runs.entries import RecordedEntry, RecordEntry
from tenure.persistence.model.codec import digest, encode
from tenure.persistence.model.entries import EntryKind, EntryStatus, place_of
from tenure.persistence.model.values import LogicalRuntimeId, RunId
from tenure.persistence.store import Store
from tenure.supervisor.output.saying import Voice

from .asked import Asked, Found, has_ended
from .branch import Branch, Standing, still_in_flight
from .restart import describe


class Recording(Protocol):
    """The entering that an entry is recorded in."""

    store: Store
    runtime_id: LogicalRuntimeId
    run_id: RunId
    version: str

    def standing_on(self, branch: Branch, /) -> Standing:
        """What an entry that is asked for now stands on."""
        ...

    async def write(self, standing: Standing, /, *changes: Change) -> CommitResult:
        """Commit changes of an entry, and what it stands on."""
        ...


ANSWERED: Final = (EntryKind.STEP, EntryKind.ASK)
"""Kinds whose end is their answer; others go on after an entry of theirs has landed."""


@final
class Flight:
    """One entry in flight, as it will be recorded.

    Attributes:
        branch: In which branch.
        found: Where it stands, and what is recorded of it.
        asked: What was asked for.
        begun: Whether its function has begun, or may have; said where a scope cuts it off.
        dispatched: Whether this entering has recorded that it is about to begin.
        waits: Whether it waits until the record is reached.
        rests: Whether it waits for its next attempt.
        awaits_thread: Whether its function waits for a thread.
        call_key: The key of a step that is keyed.
        attempt: Which attempt.
        standing: What it stands on.
        over: Waits until what an attempt has left running is over; None where none can have.
        voice: What its attempt says, where its function has begun.
    """

    def __init__(self, entering: Recording, branch: Branch, asked: Asked, found: Found) -> None:
        """Begun now."""
        self._entering = entering
        self.asked = asked
        self.branch = branch
        self.found = found
        self.place = found.place
        self.begun = self.waits = self.rests = self.dispatched = self.awaits_thread = False
        self.call_key = None if found.entry is None else found.entry.call_key
        self.attempt = 1
        self.over: Callable[[], Awaitable[None]] | None = None
        self.voice: Voice | None = None
        self.standing = entering.standing_on(branch)
        self._drawn = tuple(branch.drawn)
        self._asked_after = None if asked.call is None else place_of(branch.path, branch.reached)
        if asked.call is None:
            branch.drawn.clear()
        self.started_at = entering.store.seams.wall_clock()

    def record(
        self,
        status: EntryStatus,
        *,
        result: bytes | None = None,
        error: str | None = None,
        ended: bool = True,
        next_at: float | None = None,
    ) -> RecordEntry:
        """The entry, as far as it has come."""
        entering = self._entering
        return RecordEntry(
            runtime_id=entering.runtime_id,
            run_id=entering.run_id,
            place=self.place,
            kind=self.asked.kind,
            name=self.asked.name,
            repeat=self.asked.repeat,
            arguments_digest=self.asked.arguments,
            call_key=self.call_key,
            status=status,
            attempt=self.attempt,
            version=entering.version,
            result=result,
            error=error,
            started_at=self.started_at,
            ended_at=entering.store.seams.wall_clock() if ended else None,
            next_at=next_at,
            drawn=self._drawn,
            asked_after=self._asked_after,
        )

    @property
    def is_answered(self) -> bool:
        """Whether its end is recorded already, and no cut can change it."""
        entry = self.found.entry
        if entry is None:
            return False
        return entry.status is EntryStatus.CANCELLED or (entry.kind in ANSWERED and has_ended(entry))

    def cut(self, beside: BaseException | None = None) -> RecordEntry:
        """The entry, cut off by a scope of the behaviour; `beside` is what it raised where other errors came with that."""
        entry = self.found.entry
        begun = self.begun or (
            entry is not None
            and entry.status is not EntryStatus.SUCCEEDED
            and (entry.error is not None or entry.status in (EntryStatus.DISPATCHED, EntryStatus.IN_DOUBT))
        )
        error = "cut off after it had begun" if beside is None else f"cut off after it had begun: {describe(beside)}"
        return self.record(EntryStatus.CANCELLED, error=error if begun else None)

    async def write(self, *changes: Change) -> CommitResult:
        """Commit changes of the entry."""
        return await self._entering.write(self.standing, *changes)


def check_ends(branch: Branch, flights: Iterable[Flight]) -> None:
    """Raises `InvalidInput` where a branch returns while something that it has asked for is in flight."""
    for flight in flights:
        if flight.branch is branch:
            raise still_in_flight(branch, f"{flight.asked.kind} {flight.asked.name}")


def cut_before(place: str, asked: Asked) -> Found:
    """What stands where a scope was cut off between two entries: what is asked for there waits for that, and has no place."""
    entry = RecordedEntry(
        place=place,
        kind=asked.kind,
        name=asked.name,
        repeat=asked.repeat,
        arguments_digest=asked.arguments,
        call_key=None,
        status=EntryStatus.CANCELLED,
        attempt=1,
        version="",
        result=None,
        error=None,
        started_at=0.0,
        ended_at=None,
        next_at=None,
    )
    return Found(place, entry)


def mark(entering: Recording, place: str, name: str, value: object = None) -> RecordEntry:
    """An entry that counts in no order, and says this."""
    now = entering.store.seams.wall_clock()
    return RecordEntry(
        runtime_id=entering.runtime_id,
        run_id=entering.run_id,
        place=place,
        kind=EntryKind.PATCH,
        name=name,
        arguments_digest=digest(b"[]"),
        status=EntryStatus.SUCCEEDED,
        version=entering.version,
        result=None if value is None else encode(value, "result"),
        started_at=now,
        ended_at=now,
    )
