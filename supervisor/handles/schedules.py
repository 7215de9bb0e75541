"""`Supervisor.schedules`: inputs that come by a timetable (design §21)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, Unpack, final

from attrs import evolve
from msgspec.structs import replace

from tenure.errors import InvalidInput, NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.ownership import find_holding
from tenure.persistence.facets.schedules import reads, rows
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.schedules import (
    DeleteSchedule,
    PauseSchedule,
    TriggerSchedule,
    WriteSchedule,
    other_terms,
)
from tenure.persistence.facets.schedules.terms import (
    CatchUp,
    Overlap,
    ScheduleRecord,
    ScheduleTerms,
    anchored_as,
    instant_of,
)
from tenure.persistence.model.arguments import check_key, check_value, checked
from tenure.persistence.model.codec import encode
from tenure.persistence.model.numbers import check_time
from tenure.persistence.model.timetable import Cron, Every
from tenure.persistence.model.values import InputId, LogicalRuntimeId, SessionId
from tenure.persistence.store import Store
from tenure.supervisor.accepting.payloads import Fits
from tenure.supervisor.hosting.holds import check_note

from .schedule_terms import NewTerms, Schedule, as_schedule, terms_of

PAGE: Final = 500
"""Schedules that are read at a time."""


class Door(Protocol):
    """What this host knows of payloads."""

    def fits(self, data: bytes, /) -> Fits:
        """The kinds that take one, each with the version of its behaviour."""
        ...

    def check_fits(self, kind: str, data: bytes, /) -> None:
        """Raises `InvalidInput` where the behaviour of a kind does not take one; a kind without one takes any."""
        ...


@final
class Schedules:
    """The schedules of a store. Every host of it looks at all of them; each instant is decided once, by one commit.

    An instant becomes one input, or is skipped with a reason: ``missed``, ``overlap``, ``paused`` or ``refused``. Either is an
    `Occurrence`, which lands with the input. An instant that was decided never comes again, whatever the clocks are set to.
    """

    def __init__(
        self,
        store: Store,
        hear: Callable[[], None],
        wake: Callable[[LogicalRuntimeId], None],
        door: Door,
    ) -> None:
        """Bind to the store, to what looks at times and sets runtimes to work, and to what knows payloads."""
        self._store = store
        self._door = door
        self._hear = hear
        self._wake = wake

    @checked
    async def create(  # noqa: PLR0913 - one for each term
        self,
        schedule_id: str,
        runtime_id: str,
        when: Cron | Every,
        payload: object,
        kind: str | None = None,
        *,
        overlap: Overlap | str = Overlap.SKIP,
        catch_up: CatchUp | str = CatchUp.ALL,
        catch_up_s: float = 3_600.0,
        jitter_s: float = 0.0,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        replace_existing: bool = False,
    ) -> Schedule:
        """Make a schedule; on disk when this returns. The same again changes nothing and returns the one that is there.

        With `replace_existing` a program says at each start what its schedules are: one that is there with other terms
        gets all of these, as by `update`, in one commit, and stays paused if it was. Of programs that say different things
        at once the later wins. An `Every` without an anchor keeps the stored one while its seconds are the same.

        Args:
            schedule_id: Its id, of 1 to 500 characters.
            runtime_id: Whose inbox its inputs come into. It need not be there yet.
            when: `Cron` or `Every`.
            payload: A JSON value, the payload of every input.
            kind: Makes the runtime with its first input where it is not there.
            overlap: ``skip`` skips an instant that comes while the input of the one before is unfinished; ``queue`` never does.
            catch_up: Which instants are made good that came while no host looked, more than a minute late: ``all`` of them,
                the ``latest`` alone, or ``none``.
            catch_up_s: How late an instant may be made good; later ones are missed.
            jitter_s: An input is late by up to so many seconds, drawn once for each instant.
            starts_at: No instant before it; a time with a time zone.
            ends_at: No instant after it; a time with a time zone.
            replace_existing: Whether a schedule of this id that has other terms gets these.

        Raises:
            InvalidInput: An argument does not fit, or there is a schedule of this id with other terms that is to stay; or this
                host has the behaviour of the runtime, and that does not take the payload.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
            RuntimeDestroyed: Its runtime is destroyed.
        """
        terms = terms_of(
            self._now(),
            runtime_id=runtime_id,
            when=when,
            kind=kind,
            overlap=overlap,
            catch_up=catch_up,
            catch_up_s=catch_up_s,
            jitter_s=jitter_s,
            starts_at=starts_at,
            ends_at=ends_at,
        )
        data = encode(payload, "payload")
        change = evolve(
            self._change(_id(schedule_id), replace(terms, fits=self._door.fits(data)), data, self._now(), None),
            is_anchored=isinstance(when, Cron) or when.anchor is not None,
            replaces=check_value(replace_existing, bool, "replace_existing"),
        )
        await self._check_fits(change)
        while True:  # one that is to be replaced may be written, deleted or made meanwhile by others
            made: ScheduleRecord | None = await self._commit(await self._as_it_stands(change))
            if made is not None:
                self._hear()
                return as_schedule(made)

    @checked
    async def update(self, schedule_id: str, **terms: Unpack[NewTerms]) -> Schedule:
        """Change what a schedule says, by the names of `create`; on disk when this returns.

        Instants that were decided stay so. Where the timetable or its bounds change, its next one is the first of the new
        timetable that comes after now and after all that were decided; else those that have come and are not decided yet are
        decided by the new terms.

        Raises:
            NotFound: There is no such schedule.
            InvalidInput: A term does not fit, or there is none of its name; the payload as of `create`.
            PayloadTooLarge, RuntimeDestroyed: As of `create`.
        """
        while True:
            record = await self._read(schedule_id)
            change = self._updated(record, {**terms})
            if not terms.keys().isdisjoint(("payload", "kind", "runtime_id")):
                await self._check_fits(change)
            written: ScheduleRecord | None = await self._commit(change)
            if written is not None:
                self._hear()
                return as_schedule(written)

    @checked
    async def pause(self, schedule_id: str, note: str = "") -> bool:
        """Let its instants become no inputs from now on: they are skipped as ``paused``. Whether it was not paused.

        Raises:
            NotFound: There is no such schedule.
            InvalidInput: The note is too long.
        """
        change = PauseSchedule(schedule_id=schedule_id, paused=True, note=check_note(note))
        return bool(await self._commit(change))

    @checked
    async def resume(self, schedule_id: str) -> bool:
        """Let a paused schedule go on. Whether it was paused. Raises `NotFound`."""
        return bool(await self._commit(PauseSchedule(schedule_id=schedule_id, paused=False)))

    @checked
    async def trigger(self, schedule_id: str) -> Occurrence:
        """Make one input now, beside the timetable, also of a paused schedule. Raises `NotFound`."""
        record = await self._read(schedule_id)
        seams = self._store.seams
        instant = instant_of(record.terms.when, self._now(), InputId(seams.new_id()))
        change = TriggerSchedule(schedule_id=schedule_id, instant=instant, session_id=SessionId(seams.new_id()))
        made: Occurrence = await self._commit(change)
        if made.input_id is not None:
            self._wake(record.runtime_id)
        return made

    @checked
    async def delete(self, schedule_id: str) -> bool:
        """Delete a schedule with its occurrences; its inputs stay. Whether it was there."""
        return bool(await self._commit(DeleteSchedule(schedule_id=schedule_id)))

    async def list(self) -> tuple[Schedule, ...]:
        """All schedules, by id. A damaged one is left out: `get` raises `Corrupt` for it, and `verify` names it."""
        found: dict[str, Schedule] = {}
        after: int | None = -1
        while after is not None:
            page, after = await self._store.read(partial(reads.list_schedules, after=after, count=PAGE))
            found |= {each.schedule_id: as_schedule(each) for each in page}
        return tuple([found[schedule_id] for schedule_id in sorted(found)])

    @checked
    async def get(self, schedule_id: str) -> Schedule:
        """One schedule. Raises `NotFound`."""
        return as_schedule(await self._read(schedule_id))

    @checked
    async def occurrences(
        self, schedule_id: str, limit: int = 100, before: int | None = None
    ) -> tuple[Occurrence, ...]:
        """What became of its instants, the newest first.

        Args:
            schedule_id: Which schedule.
            limit: At most so many.
            before: Only those with a lower `Occurrence.number`, for the next page.

        Raises:
            NotFound: There is no such schedule.
            InvalidInput: A limit below 1.
        """
        if limit < 1:
            raise InvalidInput(detail="it is at least 1", field="limit")
        await self._read(schedule_id)
        # There is no number below 1, and none beyond the last.
        before = reads.LAST if before is None else min(max(before, 0), reads.LAST)
        read = partial(reads.occurrences_of, schedule_id=schedule_id, count=min(limit, reads.LAST), before=before)
        return tuple(await self._store.read(read))

    def _now(self) -> float:
        return self._store.seams.wall_clock()

    async def _read(self, schedule_id: str) -> ScheduleRecord:
        record = await self._store.read(partial(rows.find, schedule_id=schedule_id))
        if record is None:
            raise NotFound(what="schedule", key=schedule_id)
        return record

    async def _commit(self, change: Any) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]

    def _change(
        self, schedule_id: str, terms: ScheduleTerms, payload: bytes, after: float, expected: int | None
    ) -> WriteSchedule:
        next_at = terms.first(after)
        fires_at = None if next_at is None else next_at + self._store.seams.random.random() * terms.jitter_s
        return WriteSchedule(
            schedule_id=schedule_id,
            terms=terms,
            payload=payload,
            next_at=next_at,
            fires_at=fires_at,
            expected=expected,
        )

    def _updated(self, record: ScheduleRecord, given: dict[str, Any]) -> WriteSchedule:
        old = record.terms
        is_new = "payload" in given
        payload = encode(given.pop("payload"), "payload") if is_new else record.payload
        said: dict[str, Any] = {
            "runtime_id": old.runtime_id,
            "when": old.when,
            "kind": old.kind,
            "overlap": old.overlap,
            "catch_up": old.catch_up,
            "catch_up_s": old.catch_up_s,
            "jitter_s": old.jitter_s,
            "starts_at": old.starts_at,
            "ends_at": old.ends_at,
        }
        unknown = given.keys() - said.keys()
        if unknown:
            names = ", ".join([*said, "payload"])
            raise InvalidInput(detail=f"a schedule has no such term; it has {names}", field=min(unknown))
        for name in ("starts_at", "ends_at"):  # a float is one that is stored: what a user gives is a time
            if given.get(name) is not None:
                given[name] = check_time(given[name], name)
        terms = replace(
            terms_of(self._now(), **{**said, **given}), fits=self._door.fits(payload) if is_new else old.fits
        )
        return self._on(record, terms, payload)

    async def _check_fits(self, change: WriteSchedule) -> None:
        """Refuse a payload that the behaviour of its runtime does not take, where this host has that.

        One that stands stored is known, as an input is that is given again under its key: its class may be another one by now.
        """
        runtime_id, kind = change.terms.runtime_id, change.terms.kind
        holding = await self._store.read(partial(find_holding, runtime_id=LogicalRuntimeId(runtime_id)))
        if holding is not None:
            kind = holding.kind
        try:
            self._door.check_fits(kind or "", change.payload)
        except InvalidInput:
            record = await self._store.read(partial(rows.find, schedule_id=change.schedule_id))
            if record is None or other_terms(record, change):
                raise

    async def _as_it_stands(self, change: WriteSchedule) -> WriteSchedule:
        if not change.replaces:
            return change
        record = await self._store.read(partial(rows.find, schedule_id=change.schedule_id))
        if record is None or not other_terms(record, change):
            return change
        terms = change.terms if change.is_anchored else anchored_as(change.terms, record.terms)
        return evolve(self._on(record, terms, change.payload), replaces=True)

    def _on(self, record: ScheduleRecord, terms: ScheduleTerms, payload: bytes) -> WriteSchedule:
        """New terms on a record: where the timetable or its bounds are others, the first instant is one that is not decided."""
        old = record.terms
        moved = (terms.timetable, terms.starts_at, terms.ends_at) != (old.timetable, old.starts_at, old.ends_at)
        if moved or record.next_at is None:
            now = self._now()
            after = now if record.decided_through is None else max(now, record.decided_through)
            return self._change(record.schedule_id, terms, payload, after, record.revision)
        return WriteSchedule(
            schedule_id=record.schedule_id,
            terms=terms,
            payload=payload,
            next_at=record.next_at,
            fires_at=record.fires_at,
            expected=record.revision,
        )


def _id(schedule_id: str) -> str:
    plain = check_key(schedule_id, "schedule_id")
    if plain is None:
        raise InvalidInput(detail="it is text of 1 to 500 characters", field="schedule_id")
    return plain
