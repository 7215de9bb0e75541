"""`Supervisor.schedules`: inputs that come by a timetable (design §21)."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypedDict, Unpack, final

from attrs import frozen
from msgspec.structs import replace

from tenure.errors import InvalidInput, NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.schedules import reads, rows
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.schedules import (
    DeleteSchedule,
    PauseSchedule,
    TriggerSchedule,
    WriteSchedule,
)
from tenure.persistence.facets.schedules.terms import (
    CatchUp,
    Overlap,
    ScheduleRecord,
    ScheduleTerms,
    instant_of,
)
from tenure.persistence.model.arguments import check_key, check_value, checked
from tenure.persistence.model.codec import decode, encode
from tenure.persistence.model.numbers import check_seconds, check_time
from tenure.persistence.model.timetable import Cron, Every, Timetable, encode_timetable
from tenure.persistence.model.values import InputId, LogicalRuntimeId, SessionId, check_runtime_id
from tenure.persistence.store import Store
from tenure.supervisor.accepting.payloads import Fits
from tenure.supervisor.hosting.holds import check_note

PAGE: Final = 500
"""Schedules that are read at a time."""


@final
class NewTerms(TypedDict, total=False):
    """What `Schedules.update` changes; what is not named stays."""

    runtime_id: str
    when: Cron | Every
    payload: object
    kind: str | None
    overlap: Overlap | str
    catch_up: CatchUp | str
    catch_up_s: float
    jitter_s: float
    starts_at: datetime | None
    ends_at: datetime | None


@final
@frozen(kw_only=True, slots=True)
class Schedule:
    """A schedule as it is stored.

    Attributes:
        schedule_id: Its id.
        runtime_id: Whose inbox its inputs come into.
        kind: What the runtime is made as where it is not there; None: then its inputs are refused.
        when: Its timetable.
        payload: Of every input, as a JSON value.
        overlap: ``skip`` or ``queue``.
        catch_up: ``all``, ``latest`` or ``none``.
        catch_up_s: How late an instant may be made good.
        jitter_s: Most seconds that an input is late by chance.
        starts_at: No instant before it, unix seconds, or None.
        ends_at: No instant after it, unix seconds, or None.
        next_at: The first instant that is not decided, unix seconds; None where none is left.
        paused_at: Since when it is paused, unix seconds, or None.
        note: Why, for people.
        refusals: How many of its inputs in a row were refused; the fifth pauses it.
        created_at: When it was made, unix seconds.
    """

    schedule_id: str
    runtime_id: LogicalRuntimeId
    kind: str | None
    when: Timetable
    payload: Any
    overlap: str
    catch_up: str
    catch_up_s: float
    jitter_s: float
    starts_at: float | None
    ends_at: float | None
    next_at: float | None
    paused_at: float | None
    note: str
    refusals: int
    created_at: float


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
        fits: Callable[[bytes], Fits],
    ) -> None:
        """Bind to the store, to what looks at times and sets runtimes to work, and to what kinds take a payload."""
        self._store = store
        self._fits = fits
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
    ) -> Schedule:
        """Make a schedule; on disk when this returns. The same again changes nothing and returns the one that is there.

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

        Raises:
            InvalidInput: An argument does not fit, or there is a schedule of this id with other terms.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
            RuntimeDestroyed: Its runtime is destroyed.
        """
        terms = _terms(
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
        change = self._change(_id(schedule_id), replace(terms, fits=self._fits(data)), data, self._now(), None)
        made: ScheduleRecord = await self._commit(change)
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
            InvalidInput: A term does not fit, or there is none of its name.
            PayloadTooLarge, RuntimeDestroyed: As of `create`.
        """
        while True:
            record = await self._read(schedule_id)
            change = self._updated(record, {**terms})
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
            raise InvalidInput(detail=f"a schedule has no such term; it has {', '.join(said)}", field=min(unknown))
        for name in ("starts_at", "ends_at"):  # a float is one that is stored: what a user gives is a time
            if given.get(name) is not None:
                given[name] = check_time(given[name], name)
        now = self._now()
        terms = replace(_terms(now, **{**said, **given}), fits=self._fits(payload) if is_new else old.fits)
        moved = (terms.timetable, terms.starts_at, terms.ends_at) != (old.timetable, old.starts_at, old.ends_at)
        if moved or record.next_at is None:
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


def _terms(  # noqa: PLR0913 - one for each term
    now: float,
    *,
    runtime_id: str,
    when: Timetable,
    kind: str | None,
    overlap: Overlap | str,
    catch_up: CatchUp | str,
    catch_up_s: float,
    jitter_s: float,
    starts_at: datetime | float | None,
    ends_at: datetime | float | None,
) -> ScheduleTerms:
    given: Any = when
    if not isinstance(given, Cron | Every):
        raise InvalidInput(detail="it is a tenure.Cron or a tenure.Every", field="when")
    late, jitter = check_value(catch_up_s, float, "catch_up_s"), check_value(jitter_s, float, "jitter_s")
    for value, name in ((late, "catch_up_s"), (jitter, "jitter_s")):
        check_seconds(value, name, zero=True)
        if value == math.inf:
            raise InvalidInput(detail="it is a finite number of seconds", field=name)
    first, last = _bound(starts_at, "starts_at"), _bound(ends_at, "ends_at")
    if first is not None and last is not None and last < first:
        raise InvalidInput(detail="it is before starts_at: no instant is between them", field="ends_at")
    return ScheduleTerms(
        runtime_id=check_runtime_id(check_value(runtime_id, str, "runtime_id")),
        kind=check_key(kind, "kind"),
        timetable=encode_timetable(when, now),
        overlap=check_value(overlap, Overlap, "overlap"),
        catch_up=check_value(catch_up, CatchUp, "catch_up"),
        catch_up_s=late,
        jitter_s=jitter,
        starts_at=first,
        ends_at=last,
    )


def _bound(given: datetime | float | None, name: str) -> float | None:
    return given if given is None or isinstance(given, float) else check_time(given, name)


def _id(schedule_id: str) -> str:
    plain = check_key(schedule_id, "schedule_id")
    if plain is None:
        raise InvalidInput(detail="it is text of 1 to 500 characters", field="schedule_id")
    return plain


def as_schedule(record: ScheduleRecord) -> Schedule:
    """A schedule as users read it. Raises `Corrupt`."""
    terms = record.terms
    return Schedule(
        schedule_id=record.schedule_id,
        runtime_id=record.runtime_id,
        kind=terms.kind,
        when=terms.when,
        payload=decode(record.payload, "schedule", record.schedule_id),
        overlap=terms.overlap,
        catch_up=terms.catch_up,
        catch_up_s=terms.catch_up_s,
        jitter_s=terms.jitter_s,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        next_at=record.next_at,
        paused_at=record.paused_at,
        note=record.note,
        refusals=record.refusals,
        created_at=record.created_at,
    )
