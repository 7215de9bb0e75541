"""``tenure promote``: a store moves to another engine, and is closed for good where it was.

Theory of operation. The source is held in one transaction, in which no host writes, from the first look to its end; a process
that dies lets go of it, and nothing has happened there. Meanwhile:

1. Every row of the source is read, checked and hashed; rows that the target may not take are tried there, and rolled back.
2. The target says that the store is *coming*: no host opens it. Attachments are brought, then every row in one transaction,
   and the counter of fence tokens is raised there.
3. What the target has on disk is read and hashed. Where both hashes are equal, the transaction of the source lands: it says
   where the store is *gone*, and every host of it is lost.
4. The target says that the store is *here*, and hosts open it.

So the source is open until the target is whole, and no host is in both at any time. A death between the last two leaves neither
open: promoting again sees what both say, which names the same promotion, proves the target once more and does the last step. A
death before them leaves the source open, and a target that is begun anew; attachments that are there already stay.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar, final

import trio
from attrs import evolve, frozen

from tenure.errors import (
    CannotOpen,
    Contended,
    Corrupt,
    InvalidInput,
    NotADatabase,
    StoreBroken,
    StoreLocked,
    StorePromoted,
)
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.door import Door
from tenure.persistence.engines.engine import Again, FailedLate, UnknownOutcome
from tenure.persistence.engines.opening import AGAIN_S
from tenure.persistence.engines.promotion import PromotionState, Whereabouts, write_whereabouts
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.executors import run_to_the_end
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams, read_clock

from .ends import End, counted, glance, opened
from .logical_hash import Found, LogicalHash
from .pouring import Trial, pour_attachments, pour_rows
from .walking import take_in_rows

T = TypeVar("T")

PATIENCE_S: Final = 600.0
"""Seconds that a server may take for one statement, which may be about a whole table."""


@final
@frozen(kw_only=True, slots=True)
class Promotion:
    """What was promoted.

    Attributes:
        source: Where the store was.
        target: Where it is.
        rows: Rows by table.
        attachments: How many attachments.
        attachment_bytes: How large they are together, as they are stored.
        logical_hash: What both were proven equal by (docs/postgres.md), in hex.
        last_fence_token: What the target takes for the last token that was minted: 2**32 above that of the source.
        was_done: Whether an earlier call had ended it; rows are counted as they are now then, and attachments not at all.
    """

    source: str
    target: str
    rows: Mapping[str, int]
    attachments: int
    attachment_bytes: int
    logical_hash: str
    last_fence_token: int
    was_done: bool = False


async def promote(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    limits: Limits | None = None,
    seams: Seams | None = None,
) -> Promotion:
    """Move a store to another place, on either engine, prove both equal, and close it for good where it was.

    No host may have it open. What is sealed is carried as it is, and no key is needed. Where it ends in the middle, call it
    again with the same source and target.

    Args:
        source: The store.
        target: Where nothing is, or what an earlier call for this store has left.
        limits: See `open_store`. A host on a server counts as dead when it wrote nothing for `lease_s`.
        seams: See `open_store`.

    Raises:
        StoreLocked: A host has the source open, or may have.
        StorePromoted: The source is gone to another place than this target.
        PromotionUnfinished: The source is not whole itself, or the target is that of another promotion: of another store,
            or of a copy at another place.
        CannotOpen: There is no such source; or something else stands at the target, also a link that leads nowhere, or what
            an earlier call has left there is newer than the source, which may be a backup; or one of both cannot be opened.
        NotADatabase: One of both is none of ours, or no host ever opened the source.
        SchemaMismatch: One of both is of another version.
        InvalidInput: The target cannot store some rows, which are named: a text with NUL, or one too long for its index. Or
            both are one store, or one of them is in memory.
        Corrupt: The source is damaged; or the target does not hold what was brought.
        CounterOverflow: The counter of fence tokens cannot be raised any more.
        DiskFull: The target has no room, or the source for its last transaction.
        Contended: A server went away, or a store was locked for longer than `Limits.busy_s`; call it again.
        StoreBroken: An I/O error; call it again.
        Unsupported: A target without an engine.

    Cancellation: until the source is closed it ends soon, the source is open, and what was brought stays for the next call;
    afterwards it comes when all is done. Atomic: at any moment one of both is open, or neither until it is called again.
    """
    limits = limits or Limits()
    limits = evolve(limits, verdict_s=max(limits.verdict_wait_s, PATIENCE_S))
    seams = seams or Seams()
    promoting = Promoting(door_to(source, limits, seams), door_to(target, limits, seams), limits, seams)
    executor = seams.writer_executor()
    try:
        return await executor.run(promoting.run)
    except trio.Cancelled:
        promoting.stop()
        await run_to_the_end(executor, lambda: None)  # after it has ended
        raise
    finally:
        executor.close()


@final
class Stopped(Exception):
    """The promotion was stopped."""


@final
class Promoting:
    """One promotion. Sync: runs on its own thread; `stop` may be called from another one."""

    def __init__(self, source: Door, target: Door, limits: Limits, seams: Seams) -> None:
        """Touch nothing yet. Raises `InvalidInput` for a store in memory, `CannotOpen` for a target that leads nowhere."""
        for door, field in ((source, "source"), (target, "target")):
            if door.strongest is DurabilityClass.MEMORY:
                raise InvalidInput(detail="a store in memory is not moved", field=field)
        target.check_new()
        self._source = source
        self._target = target
        self._limits = limits
        self._seams = seams
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Have it end with `Stopped`, soon, if the source is still open."""
        self._stopped.set()

    def run(self) -> Promotion:
        """Do it. Raises as `promote`, and `Stopped`."""
        with _mapped(self._target.place):
            gone = self._gone()
            if gone is None:
                try:
                    return self._promote()
                except StorePromoted:
                    gone = self._gone()  # another call has closed the source since the look
                    if gone is None:
                        raise
            return self._finish(gone)

    def _gone(self) -> Whereabouts | None:
        whereabouts = self._patiently(lambda: glance(self._source)).whereabouts
        return whereabouts if whereabouts is not None and whereabouts.state is PromotionState.GONE else None

    def _promote(self) -> Promotion:
        with ExitStack() as open_ends:
            source = self._patiently(lambda: open_ends.enter_context(opened(self._source, alone=True)))
            still = source.living()
            if still:
                self._wait(self._limits.lease_s)
            with source.writing() as connection:
                source.bury(still, _now(self._source))
                store_id = source.store_id()
                target = self._open_target(open_ends, source)
                into = LogicalHash()
                target.check_free(source)
                trial = Trial(target.connection)
                take_in_rows(into, connection, self._between, trial.see)
                trial.end()
                coming = Whereabouts(
                    promotion_id=self._seams.new_id(),
                    state=PromotionState.COMING,
                    store_id=store_id,
                    place=source.place,
                    logical_hash="",
                    promoted_at=_now(self._target),
                )
                with target.writing():
                    target.check_free(source)  # once more, now that no host comes in between
                    write_whereabouts(target.connection, coming)
                pour_attachments(source.blobs, target.blobs, into, self._between)
                found = into.found()
                whole = evolve(coming, logical_hash=found.logical_hash)
                with target.writing():
                    pour_rows(connection, target.connection, self._between)
                    write_whereabouts(target.connection, whole)
                self._prove(target, found)
                gone = evolve(whole, state=PromotionState.GONE, place=target.place, promoted_at=_now(self._source))
                write_whereabouts(connection, gone)
            return self._arrive(target, gone, found)

    def _finish(self, gone: Whereabouts) -> Promotion:
        """The source is closed: do what is left of that promotion, if it was to this target."""
        try:
            seen = self._patiently(lambda: glance(self._target))
        except (CannotOpen, NotADatabase) as exc:
            raise StorePromoted(place=gone.place) from exc
        if seen.whereabouts is None or seen.whereabouts.promotion_id != gone.promotion_id:
            raise StorePromoted(place=gone.place)
        if seen.whereabouts.state is PromotionState.HERE:
            return Promotion(
                source=self._source.place,
                target=self._target.place,
                rows=self._patiently(lambda: counted(self._target)),
                attachments=0,
                attachment_bytes=0,
                logical_hash=gone.logical_hash,
                last_fence_token=seen.last_fence_token,
                was_done=True,
            )
        with ExitStack() as open_ends:
            target = self._patiently(lambda: open_ends.enter_context(opened(self._target, alone=False)))
            found = target.found(self._between)
            if target.awaits(gone.promotion_id):  # so no host was there while it was read
                _check_equal(target, found.logical_hash, gone.logical_hash)
                return self._arrive(target, gone, found)
        return self._finish(gone)  # another call has done meanwhile what was left

    def _open_target(self, open_ends: ExitStack, source: End) -> End:
        one = InvalidInput(detail="source and target are one store", field="target")
        if self._target.place == self._source.place:
            raise one
        target = self._patiently(lambda: open_ends.enter_context(opened(self._target, alone=False)))
        if target.authority_key == source.authority_key:
            raise one
        return target

    def _prove(self, target: End, brought: Found) -> None:
        found = target.found(self._between)
        _check_equal(target, found.logical_hash, brought.logical_hash)

    def _arrive(self, target: End, gone: Whereabouts, found: Found) -> Promotion:
        here = evolve(gone, state=PromotionState.HERE, place=self._source.place, promoted_at=_now(self._target))

        def arrive() -> None:
            with target.writing() as connection:
                if target.awaits(
                    gone.promotion_id
                ):  # else another call has said it, and the store may have gone on from here
                    write_whereabouts(connection, here)

        self._patiently(arrive)  # a connection that was lost meanwhile is made anew
        store = target.connection.one("promotion.store")
        return Promotion(
            source=self._source.place,
            target=self._target.place,
            rows=found.rows,
            attachments=found.attachments,
            attachment_bytes=found.attachment_bytes,
            logical_hash=found.logical_hash,
            last_fence_token=0 if store is None else store[1],
        )

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do it; again while a store is another's for moments, for at most `Limits.busy_s`."""
        give_up_at = time.monotonic() + self._limits.busy_s
        while True:
            try:
                return action()
            except (StoreLocked, Again):
                if time.monotonic() >= give_up_at:
                    raise
            time.sleep(AGAIN_S)

    def _wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)
        self._between()

    def _between(self) -> None:
        if self._stopped.is_set():
            raise Stopped


def _now(door: Door) -> float:
    """The time that is stored there."""
    return read_clock(door.seams.wall_clock)


def _check_equal(target: End, found: str, expected: str) -> None:
    if found != expected:
        detail = "what it holds is not what was read of the source, which stays as it is"
        raise Corrupt(record="promotion", key=target.place, detail=detail)


@contextmanager
def _mapped(place: str) -> Generator[None]:
    try:
        yield
    except Again as exc:
        raise Contended(detail=f"the promotion was cut off, and can be run again: {exc}") from exc
    except FailedLate as exc:
        raise Corrupt(
            record="promotion", key=place, detail=f"a row of the source breaks its own schema: {exc}"
        ) from exc
    except UnknownOutcome as exc:
        raise StoreBroken(incarnation="none", group=None, in_doubt=False, detail=str(exc)) from exc
