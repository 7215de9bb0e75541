"""What a run sees of the abandoned batch that it follows (`Behaviour.on_abandoned`)."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol, final

import trio
from attrs import frozen

from tenure.errors import Unreadable
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.facets.runs.following.followed import Followed, find_followed, recorded_steps
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.codec import decode
from tenure.persistence.model.entries import EntryStatus, Repeat
from tenure.persistence.model.values import check_step_name
from tenure.persistence.reading.patience import patiently
from tenure.persistence.store import Store
from tenure.supervisor.runs.recording.attention import NeedsAttention
from tenure.supervisor.runs.resting.turns import Opens, awaited


@final
@frozen(kw_only=True, slots=True)
class RecordedStep:
    """A step as an abandoned run has recorded it.

    Attributes:
        name: Of the step.
        place: Where it stands in that record.
        status: ``succeeded``; ``failed`` or ``caught``; ``retrying``; ``cancelled``; ``dispatched`` or ``in_doubt`` where it
            is not known whether it ran.
        repeat: ``freely``, ``keyed`` or ``never``.
        key: That of a ``keyed`` one, else None.
        result: What it returned, a JSON value, where it succeeded.
        error: What it raised, where it failed.
    """

    name: str
    place: str
    status: EntryStatus
    repeat: Repeat
    key: str | None
    result: Any
    error: str | None


@final
class Following:
    """The batch that a run follows, where it follows one."""

    def __init__(self, store: Store, followed: Followed | None) -> None:
        """Bind to it; None follows none."""
        self._store = store
        self._followed = followed

    async def recorded(self, name: str) -> tuple[RecordedStep, ...]:
        """The steps that the abandoned run has recorded under a name. Raises `Corrupt`."""
        run = None if self._followed is None else self._followed.run
        if run is None:
            await trio.lowlevel.checkpoint()
            return ()
        found = await patiently(lambda: self._store.read(partial(recorded_steps, run=run, name=name)))
        return tuple([_read(entry) for entry in found])


class FollowsBatch(Protocol):
    """A run, as far as it follows a batch."""

    @property
    def entering(self) -> Opens:
        """Its entering."""
        ...

    @property
    def followed(self) -> Followed | None:
        """The batch, or None."""
        ...

    @property
    def following(self) -> Following:
        """The same, to ask."""
        ...


class Follows:
    """What of a run speaks of the abandoned batch that it follows."""

    def __init__(self, parts: FollowsBatch) -> None:
        """Bind to the run."""
        self._of = parts
        self._opens: Opens = parts.entering
        self.abandoned = None if parts.followed is None else parts.followed.reason

    @awaited
    async def recorded(self, name: str) -> tuple[RecordedStep, ...]:
        """What the run whose batch was abandoned has recorded of its steps of this name, in order.

        For `Behaviour.on_abandoned`: what was paid for must be paid back. The same where this run enters again. Empty where
        that run recorded none, where the batch was abandoned before a run had it, and in a run that follows none.

        Raises:
            InvalidInput: No name of a step.
            RunEnded: The run is over.
        """
        return await self._of.following.recorded(check_step_name(name))


def _read(entry: RecordedEntry) -> RecordedStep:
    key = f"{entry.name} at {entry.place}"
    return RecordedStep(
        name=entry.name,
        place=entry.place,
        status=entry.status,
        repeat=entry.repeat,
        key=entry.call_key,
        result=None if entry.result is None else decode(entry.result, "entry", key),
        error=None if entry.status is EntryStatus.SUCCEEDED else entry.error,
    )


async def load_followed(store: Store, begun: RunBegun) -> Followed:
    """The batch that a run follows, which follows one.

    Raises:
        NeedsAttention: Which batch that is cannot be read: no fault of the behaviour, and a person must look.
    """
    payload = begun.inputs[0].payload
    try:
        return await patiently(lambda: store.read(partial(find_followed, runtime=begun.runtime, payload=payload)))
    except Unreadable as exc:
        message = f"the batch that the run follows cannot be read: {exc}"
        raise NeedsAttention(message) from exc
