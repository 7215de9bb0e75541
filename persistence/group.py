"""One group: commits that share one transaction and one fsync.

Everything here is sync and runs on the writer's executor. A group begins by writing its number where the host is still
alive; each commit then runs in its savepoint; one COMMIT ends it; only then may anybody be told. What each commit came to is
returned, never raised, so that no commit can take its neighbours with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from tenure.errors import Closed, Contended, DiskFull, Error, Internal

from .commits import Change, Commit, CommitResult
from .engines.engine import UnknownOutcome, WriteConnection
from .facet import Facet, Handler
from .facets.runtimes import check_fence
from .hosts import HostKey, HostRegistry, Rejoined
from .limits import Limits
from .seams import Seams
from .transaction import Transaction
from .values import DurabilityClass

Outcome = CommitResult | Error


@final
class _HostLost(Exception):
    """The row of this host is lost: another host judged it dead. Nothing of the group landed."""


@final
class GroupRunner:
    """Carries out groups on the one connection that writes.

    Raises `UnknownOutcome` out of `run`: the store must stop, and nobody may be acknowledged.

    Attributes:
        host: The row that groups are written under.
        renewed_at: Boot clock when the last group that landed wrote the lease.
        rejoined: Set where the host was judged dead and has a new row since; whoever reads it takes it away.
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
        seams: Seams,
    ) -> None:
        """Take the connection, and the facets whose changes may come."""
        self._connection = connection
        self._handlers: Mapping[type[Change], Handler] = {
            change: handler for facet in facets for change, handler in facet.handlers.items()
        }
        self.host = host
        self._registry = registry
        self._durability = durability
        self._limits = limits
        self._clock = seams.wall_clock
        self._boot_clock = seams.boot_clock
        self.renewed_at = seams.boot_clock()
        self.rejoined: Rejoined | None = None

    def run(self, group: int, commits: Sequence[Commit]) -> list[Outcome]:
        """Carry out one group and say what each commit came to; nothing is on disk before this returns.

        Where this host was judged dead meanwhile, the group lands under a new row: commits of runtimes that another host
        took over are refused for their tokens, and all others are as good as they were.
        """
        while True:
            try:
                return self._run(group, commits)
            except _HostLost:
                try:
                    self.rejoined = self._registry.rejoin(self.host)
                except (Contended, DiskFull) as exc:
                    return [exc] * len(commits)
                self.host = self.rejoined.host

    def _run(self, group: int, commits: Sequence[Commit]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        # Cases: it works the first time; a commit fills the disk and is left out of one replay; the disk is full again or
        # at COMMIT, and then all of them get it.
        for last_try in (False, True):
            waiting = [index for index in range(len(commits)) if index not in outcomes]
            full_at = self._attempt(group, commits, waiting, outcomes)
            if full_at is None:
                break
            if last_try or full_at < 0:
                outcomes.update({index: DiskFull() for index in waiting})
                break
            for index in waiting:
                outcomes.pop(index, None)
            outcomes[full_at] = DiskFull()
        return [outcomes[index] for index in range(len(commits))]

    def _attempt(
        self, group: int, commits: Sequence[Commit], waiting: list[int], outcomes: dict[int, Outcome]
    ) -> int | None:
        """Try the waiting commits. Returns the index of the one that filled the disk, -1 for COMMIT, None if all is said."""
        if not waiting:
            return None
        now = self._clock()
        synced = self._durability is DurabilityClass.DISK or any(commits[index].always_synced for index in waiting)
        try:
            self._connection.begin(synced=synced)
        except Contended as exc:
            outcomes.update(dict.fromkeys(waiting, exc))
            return None
        current = -1
        renewed_at = self._boot_clock()
        try:
            if not self._write_number(group, now):
                self._connection.rollback()
                outcomes.update(dict.fromkeys(waiting, Closed(what="store")))
                return None
            tx = Transaction(
                self._connection,
                host=self.host.host,
                group=group,
                now=now,
                durability=self._durability_of(synced=synced),
                limits=self._limits,
            )
            written = False
            for current in waiting:
                outcomes[current] = outcome = self._commit(tx, commits[current])
                written = written or (isinstance(outcome, CommitResult) and outcome.written)
            current = -1
            if written:
                self._connection.commit()
                self.renewed_at = renewed_at
            else:
                self._connection.rollback()  # only refusals and repeats: there is nothing to put on disk
        except DiskFull:
            self._connection.rollback()
            return current
        except BaseException:
            self._undo()
            raise
        return None

    def _write_number(self, group: int, now: float) -> bool:
        """Write number and lease. False: this host has closed its row itself. Raises `_HostLost`."""
        alive = self._connection.run(
            "ownership.begin_group",
            host=self.host.host,
            group_number=group,
            lease_until=now + self._limits.lease_s,
        )
        if alive:
            return True
        row = self._connection.one("ownership.host", host=self.host.host)
        if row is not None and row[2] is not None:
            return False
        raise _HostLost

    def _commit(self, tx: Transaction, commit: Commit) -> Outcome:
        connection = self._connection
        connection.savepoint()
        try:
            result = self._apply(tx, commit)
            tx.flush()
        except DiskFull:
            raise
        except UnknownOutcome:
            raise
        except Exception as exc:
            tx.forget()
            if not connection.in_transaction:
                # Some errors end the transaction: the rest of the group would be written one by one, outside it.
                message = f"the transaction ended with: {exc}"
                raise UnknownOutcome(message) from exc
            connection.rollback_to_savepoint()
            return exc if isinstance(exc, Error) else Internal(detail=repr(exc))
        connection.release()
        return result

    def _apply(self, tx: Transaction, commit: Commit) -> CommitResult:
        # The order of checks is law: fence, replay, expected revisions and claims, writes (design §3).
        check_fence(tx, commit)
        pairs: list[tuple[Handler, Change]] = [(self._handlers[type(change)], change) for change in commit.changes]
        for handler, change in pairs:
            if handler.replay is not None:
                known = handler.replay(tx, change)
                if known is not None:
                    return CommitResult(group=tx.group, values=(known,), written=False)
        for handler, change in pairs:
            if handler.check is not None:
                handler.check(tx, change)
        values: tuple[Any, ...] = tuple([handler.apply(tx, change) for handler, change in pairs])
        return CommitResult(group=tx.group, values=values)

    def _durability_of(self, *, synced: bool) -> DurabilityClass:
        if synced and self._durability is DurabilityClass.OS:
            return DurabilityClass.DISK
        return self._durability

    def _undo(self) -> None:
        try:
            self._connection.rollback()
        except UnknownOutcome:
            return  # the first failure is on its way to the writer already, and stops the store as this one would
