"""One group: commits that share one transaction and one fsync.

Everything here is sync and runs on the writer's executor. A group begins by writing its number where the host is still
alive; its commits follow one another, or go side by side where answers come from afar (`strands`); one COMMIT ends it; only
then may a caller be answered. The outcome of each commit is returned, never raised, so that no commit can take its neighbours
with it.

A commit lands whole or not at all. One that is refused before it wrote anything needs nothing to be undone, and nearly all
refusals are of that sort; so a group is first tried without savepoints. Where a commit fails after it has written, the
group is rolled back and carried out again with a savepoint for each commit. Both give the same answers (design §3, fast path);
savepoints for every commit cost 4 of the 50 µs that it takes in a group of 64.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, Final, final

from attrs import frozen
from msgspec.structs import replace

from tenure.errors import Closed, Contended, DiskFull, Error, Internal, StoreBroken, StorePromoted
from tenure.persistence.commits.commit import Change, Commit, CommitResult
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Records, Transaction
from tenure.persistence.engines.engine import Again, FailedLate, UnknownOutcome, Versions, WriteConnection
from tenure.persistence.engines.listeners import NOWHERE
from tenure.persistence.facets.records.fences import check_fence
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.texts import as_defect, as_refusal
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.reading.stopping import kind_of
from tenure.persistence.seams.hooks import Hooks
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .host_row import HostKey, HostRegistry, Rejoined, is_lost
from .starting import StartingGroup
from .strands.carrying import Strands, carry_out
from .strands.order import IN_SAVEPOINTS, ONE_BY_ONE, Order
from .strands.own_rows import ReachesFurther

Outcome = CommitResult | Error

MOST_TRIES: Final = 1_000
"""So often a group is tried, where the clock does not go on."""

LOOKS_AFTER: Final = 256
"""For so many groups after one in which a row was there already, rows are looked for: who comes second comes again."""


@final
class _HostLost(Exception):
    """The row of this host is lost: another host judged it dead. Nothing of the group landed."""


@final
class _NeedsSavepoints(Exception):
    """A commit failed after it had written, and there is no savepoint to go back to."""


@final
class GroupBroken(Exception):
    """Whether the group landed is not known.

    Attributes:
        in_doubt: For each commit of the group, whether it may have landed. One that was refused in its savepoint, or left
            out of a further try, did not.
        kind: What its callers get.
    """

    def __init__(self, detail: str, in_doubt: Sequence[bool], kind: type[StoreBroken] = StoreBroken) -> None:
        """Say what happened."""
        super().__init__(detail)
        self.in_doubt = in_doubt
        self.kind = kind


@final
@frozen(kw_only=True, slots=True)
class _Failed:
    """One try of a group was rolled back; `culprit` is the commit whose statement did it, None for the group as a whole."""

    culprit: int | None
    error: Error

    @property
    def is_full(self) -> bool:
        return isinstance(self.error, DiskFull)


@final
class GroupRunner:
    """Carries out groups on the one connection that writes.

    Whatever `run` raises, no commit may be acknowledged.

    Attributes:
        host: The row that groups are written under.
        renewed_at: Boot clock when the last group that landed wrote the lease.
        records: What is cached from group to group.
        rejoined: Set where the host was judged dead and has a new row since; reading it takes it away.
        elsewhere: See `Begun.elsewhere`, of the group that was begun last.
        hooks: Of the host. Where it has some, the COMMIT of each group is timed: `sync_s` are the seconds of the last one.
    """

    def __init__(
        self,
        connection: WriteConnection,
        facets: Sequence[Facet],
        host: HostKey,
        registry: HostRegistry,
        *,
        durability: DurabilityClass,
        limits: Limits,
        retention: Retention,
        seams: Seams,
    ) -> None:
        """Take the connection, and the facets whose changes may come."""
        self._connection = connection
        self._strands = Strands(connection)
        self._refuses_at_once = connection.side_by_side is None
        self._looks_until = 0  # the group before which nothing is left to a unique index
        self._leaves_to_index = False  # of the try on its way, and its commits of one change
        self._handlers: Mapping[type[Change], Handler] = {
            change: handler for facet in facets for change, handler in facet.handlers.items()
        }
        self._settles = [facet.settle for facet in facets if facet.settle is not None]
        self._follows = [facet.follow for facet in facets if facet.follow is not None]
        self.host = host
        self._registry = registry
        self.records = Records()
        self._durability = durability
        self._always_synced = durability.covers(DurabilityClass.DISK)
        self._limits = limits
        self._boot_clock = seams.boot_clock
        self.renewed_at = seams.boot_clock()
        self.rejoined: Rejoined | None = None
        self.elsewhere = NOWHERE
        self.hooks = Hooks()
        self.sync_s = 0.0
        self._tx = Transaction(connection, self.records, limits=limits, retention=retention)
        self._current: int | None = None  # the commit that is carried out, where none is beside it
        self._wrote = False  # whether one of the try on its way has written

    def run(self, group: int, commits: Sequence[Commit]) -> list[Outcome]:
        """Carry out one group and return the outcome of each commit; nothing is on disk before this returns.

        Where this host was judged dead meanwhile, the group lands under a new row: commits of runtimes that another host
        took over are refused for their tokens, and all others are as good as they were.

        Raises:
            GroupBroken: What is on disk is not known: the store must stop.
        """
        tries, now, give_up_at = 1, 0.0, math.inf
        while True:
            try:
                return self._run(group, commits, again=tries > 1)
            except Again as exc:
                with suppress(Internal):  # a clock that shows no time any more: the count alone ends it
                    now = self._boot_clock()
                give_up_at = min(give_up_at, now + self._limits.busy_s)
                if now >= give_up_at or tries >= MOST_TRIES:
                    return [Contended(detail=f"the group was tried {tries} times: {exc}") for _ in commits]
                tries += 1
            except _HostLost:
                try:
                    self.rejoined = self._registry.rejoin(self.host)
                except (Contended, DiskFull) as exc:
                    return [copy(exc) for _ in commits]
                except Again as exc:
                    return [Contended(detail=f"this host cannot register anew: {exc}") for _ in commits]
                except StorePromoted as exc:  # while this host was frozen
                    raise GroupBroken(str(exc), [False] * len(commits)) from exc
                except UnknownOutcome as exc:
                    raise GroupBroken(str(exc), [False] * len(commits), kind_of(exc)) from exc
                self.host = self.rejoined.host

    def _run(self, group: int, commits: Sequence[Commit], *, again: bool) -> list[Outcome]:
        left_out: dict[int, Outcome] = {}
        tried: dict[int, Outcome] = {}
        order = ONE_BY_ONE if again or self._connection.side_by_side is None else Order(side_by_side=True)
        every = range(len(commits))
        waiting: Sequence[int] = every
        freed = False
        try:
            while waiting:
                tried = {}
                try:
                    failed = self._attempt(group, commits, waiting, tried, order)
                except _NeedsSavepoints:
                    order = IN_SAVEPOINTS
                    continue
                except ReachesFurther as exc:
                    order = order.seen_reaching(exc.commits)
                    continue
                # Cases: every commit has its answer; the disk was full of our own log, and all are tried again; no commit is to
                # blame, or the disk is full a second time, and all of them get the error; one commit ended the transaction,
                # is left out, and the others are tried again.
                if failed is None:
                    left_out.update(tried)
                    break
                if failed.is_full and not freed and (freed := self._make_room(len(commits))):
                    continue
                if failed.culprit is None or (failed.is_full and any(map(_is_full, left_out.values()))):
                    left_out.update({index: copy(failed.error) for index in waiting})
                    break
                left_out[failed.culprit] = failed.error
                waiting = [index for index in every if index not in left_out]
        except UnknownOutcome as exc:
            known = {**tried, **left_out}
            doubt = [exc.in_doubt and not isinstance(known.get(at), Error) for at in every]
            raise GroupBroken(str(exc), doubt, kind_of(exc)) from exc
        return list(map(left_out.__getitem__, every))

    def _make_room(self, commits: int) -> bool:
        try:
            housekeeping = self._connection.housekeeping
            return housekeeping is not None and housekeeping.make_room()
        except UnknownOutcome as exc:
            raise GroupBroken(str(exc), [False] * commits) from exc  # what was tried is rolled back

    def _attempt(
        self,
        group: int,
        commits: Sequence[Commit],
        waiting: Sequence[int],
        outcomes: dict[int, Outcome],
        order: Order,
    ) -> _Failed | None:
        """Try the waiting commits in one transaction; None when each of them has its outcome.

        Raises:
            _NeedsSavepoints: It was tried without, and rolled back.
            ReachesFurther: It was tried side by side, and rolled back.
        """
        try:
            renewed_at = self._boot_clock()
        except Internal as exc:
            return _Failed(culprit=None, error=exc)
        synced = self._always_synced or (
            self._durability is DurabilityClass.OS and any(commits[index].always_synced for index in waiting)
        )
        self._current = None
        self._wrote = False
        host, tx = self.host, self._tx
        try:
            tried = commits if len(waiting) == len(commits) else [commits[index] for index in waiting]
            begun = self._connection.begin(StartingGroup(host, group, tried, synced=synced))
            self.elsewhere = begun.elsewhere
            self.records.begin_group(begun.versions)
            if not begun.alive:
                self._check_lost()
                raise Closed(what="store")  # noqa: TRY301 - one way out for whatever ends the whole try
            durability = self._durability if self._always_synced or not synced else DurabilityClass.DISK
            tx.begin(host.host, group, begun.now, begun.shared_now, durability, savepoints=order.savepoints)
            self._leaves_to_index = self._refuses_at_once and not order.savepoints and group >= self._looks_until
            self._carry_out(commits, waiting, outcomes, order)
            self._current = None
            if self._wrote:
                off = self.hooks.call is None
                self.records.end_group(self._connection.commit() if off else self._timed_commit())
                self.renewed_at = renewed_at
            else:
                # Only refusals and repeats: there is nothing to put on disk, and no group of this number.
                self._roll_back()
                outcomes.update({at: _repeated(outcome, group) for at, outcome in outcomes.items()})
        except Error as exc:
            # Known: COMMIT was not reached, or said that the disk is full. Nothing of this attempt landed.
            self._roll_back()
            return _Failed(culprit=self._current, error=exc)
        except (_NeedsSavepoints, ReachesFurther):
            self._roll_back()
            raise
        except FailedLate as exc:
            self._roll_back()
            if order.savepoints:  # an engine's mistake: each error has its commit, and a further try would be the same
                return _Failed(culprit=self._current, error=as_defect(exc))
            self._looks_until = group + LOOKS_AFTER
            raise _NeedsSavepoints from exc
        except BaseException:
            self._undo()
            raise
        return None

    def _carry_out(
        self, commits: Sequence[Commit], waiting: Sequence[int], outcomes: dict[int, Outcome], order: Order
    ) -> None:
        if not order.side_by_side:
            for at in waiting:
                self._current = at
                outcomes[at] = self._commit(self._tx, commits[at])
            return

        def one(tx: Transaction, at: int, *, alone: bool) -> None:
            self._current = at if alone else None
            outcomes[at] = self._commit(tx, commits[at])

        carry_out(order.waves(commits, waiting), self._strands, self._tx, self.records, one)

    def _timed_commit(self) -> Versions:
        began = time.perf_counter()
        versions = self._connection.commit()
        self.sync_s = time.perf_counter() - began
        return versions

    def _check_lost(self) -> None:
        """The host's row is not alive, or not its own. Raises `_HostLost` unless it was closed here, and as `is_lost`."""
        if is_lost(self._connection.one("ownership.host", host=self.host.host), self.host):
            raise _HostLost

    def _commit(self, tx: Transaction, commit: Commit) -> Outcome:
        connection = self._connection
        before = connection.rows_written
        if tx.savepoints:
            connection.savepoint()
        try:
            result = self._apply(tx, commit)
            if tx.asked or tx.ended or tx.past or tx.abandoned:
                result = self._settle(tx, result)
            tx.flush()
            if tx.savepoints:
                connection.release()
            if result.written:
                self._wrote = True
        except (DiskFull, UnknownOutcome, Again, FailedLate, ReachesFurther):
            raise
        except Exception as exc:
            tx.forget()
            error = exc if isinstance(exc, Error) else as_refusal(exc)
            if not connection.in_transaction:
                # Some errors end the transaction: whatever came next would be written outside it, one by one.
                raise error  # noqa: B904 - an error of our own making has its cause already
            if tx.savepoints:
                connection.rollback_to_savepoint()
            elif connection.rows_written != before:
                raise _NeedsSavepoints from exc
            return error
        return result

    def _settle(self, tx: Transaction, result: CommitResult) -> CommitResult:
        """Do what follows at others from what this commit has ended: first it ends there, and then those hear who wait."""
        while tx.ended or tx.abandoned:  # the end of a child abandons what it had
            for follow in self._follows:
                follow(tx)
        for runtime_id in sorted(tx.asked):
            for settle in self._settles:
                settle(tx, runtime_id)
        return replace(result, past=tuple(tx.past)) if tx.past else result

    def _apply(self, tx: Transaction, commit: Commit) -> CommitResult:
        # The order of checks is law: fence, replay, expected revisions and claims, writes (design §3).
        if commit.runtime_id is not None:
            check_fence(tx, commit)
        changes = commit.changes
        if len(changes) == 1:  # as below, for most contract verbs: without lists of one
            tx.by_index = self._leaves_to_index
            change = changes[0]
            handler = self._handlers[type(change)]
            if handler.replay is not None and (known := handler.replay(tx, change)) is not None:
                return CommitResult(group=tx.group, changes=changes, values=(known,), written=False)
            if handler.check is not None:
                handler.check(tx, change)
            return CommitResult(group=tx.group, changes=changes, values=(handler.apply(tx, change),))
        tx.by_index = False
        pairs: list[tuple[Handler, Change]] = [(self._handlers[type(change)], change) for change in changes]
        for handler, change in pairs:
            if handler.replay is not None:
                known = handler.replay(tx, change)
                if known is not None:
                    return CommitResult(group=tx.group, changes=(change,), values=(known,), written=False)
        for handler, change in pairs:
            if handler.check is not None:
                handler.check(tx, change)
        values: tuple[Any, ...] = tuple([handler.apply(tx, change) for handler, change in pairs])
        return CommitResult(group=tx.group, changes=changes, values=values)

    def _roll_back(self) -> None:
        self.records.clear()  # first: whatever was changed in the cache is not on disk
        self._tx.forget()
        self._connection.rollback()

    def _undo(self) -> None:
        try:
            self._roll_back()
        except UnknownOutcome:
            return  # the first failure is on its way to the writer already, and stops the store as this one would


def _is_full(outcome: Outcome) -> bool:
    return isinstance(outcome, DiskFull)


def _repeated(outcome: Outcome, group: int) -> Outcome:
    # The answer was true before this group, which never landed: its number goes to the next one.
    return replace(outcome, group=group - 1) if isinstance(outcome, CommitResult) else outcome
