"""Erasing, carried to its end: rows, bytes of attachments, the pages of the file, its log.

Theory of operation. What is begun is stored, so this goes on after any end of any process: a store that is opened looks once
for what is not done, and the process that begins an erasure carries it on. What is in the way (a host that has the runtime
still, a reader that pins the log) is asked again, less and less often. Two hosts may carry out the same erasure: every step
of it may be done twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar, final

import trio
from attrs import frozen

from tenure.errors import CannotOpen, Closed, Contended, DiskFull, Error, NoDescriptor, NotFound, StoreBroken
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.commits.upkept import BELOW_ALL
from tenure.persistence.engines.engine import Statements, WriteConnection
from tenure.persistence.facets.attachments import attachments
from tenure.persistence.facets.attachments.attachments import BeginRemoval, EndRemoval
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.erasing.erasing import (
    PEERS,
    WAITING,
    BeginErasure,
    ErasedPage,
    ErasePage,
    MoveErasure,
    Sort,
    Stage,
    StoredErasure,
)
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.lines import Unheard

from .access import BlobAccess
from .gone.dead_hosts import DeadHosts
from .gone.removals import remove_all_begun

T = TypeVar("T")

RETRY_S: Final = 1.0
"""Seconds until what is in the way is asked again; twice as many each time, up to `LONGEST_S`."""

LONGEST_S: Final = 60.0

_VIEWS_S: Final = (0.01, 0.04, 0.15)
"""Waits for views that are read just now, of this process too, before a reader is said to pin the log."""

_PENDING: Final[Mapping[str, str]] = {
    "owner": "the host that has the runtime has not let go of it yet",
    "bytes": "the bytes of an attachment cannot be removed yet",
    "peers": "runs of other runtimes have not finished with what they have of it",
    "pages": "pages may hold bytes of deleted rows: the database is larger than Limits.rewrite_bytes, "
    "or there is no room, or no folder, for a temporary copy",
    "server": "older versions of deleted rows are in the server's pages until it vacuums them, and in its log, its replicas "
    "and its backups for as long as it keeps those",
    "log": "a reader, or another process, pins the log",
}

_STAYS: Final = (
    "the tombstone: id, kind, state, tokens and times",
    "what other runtimes have made of it in their conversations, steps and state",
    "backups and copies of the file from before",
)

_OF_OWN: Final = (Stage.OWN_PAGES, Stage.OWN_LOG, Stage.REST)
_OF_ALL: Final = (Stage.PAGES, Stage.LOG, Stage.DONE)

_COPIES: Final = "copies with other runtimes: what it has sent to them and answered them"


@final
@frozen(kw_only=True, slots=True)
class Erasure:
    """How far an erasure has come.

    Attributes:
        runtime_id: Which runtime.
        gone: Whether no byte of its content is left in the database, its log and its index, and among the attachments.
        pending: What is not gone yet, and why, as sentences. It ends by itself, also after a restart.
        stays: What stays for ever, as sentences.
        counts: What went while this was asked, counted.
    """

    runtime_id: LogicalRuntimeId
    gone: bool
    pending: tuple[str, ...]
    stays: tuple[str, ...]
    counts: Mapping[str, int]


class Rewriting(BlobAccess, Protocol):
    """The ground of a store, whose file can be written anew."""

    limits: Limits

    async def between_groups(self, work: Callable[[WriteConnection], T], /) -> T:
        """See `Ground.between_groups`."""
        ...


def count_content(statements: Statements, runtime_id: LogicalRuntimeId, *, peers: bool) -> dict[str, int]:
    """How much an erasure of a runtime would go over, by sort, without its rows. Raises `NotFound`."""
    row = statements.one("verification.runtime", runtime_id=runtime_id)
    if row is None:
        raise NotFound(what="runtime", key=runtime_id)
    counts: dict[str, int] = {}
    for sort in Sort:
        after = BELOW_ALL
        while (sort not in PEERS or peers) and (keys := erasing.look(statements, runtime_id, row[0], sort, after)):
            counts[sort] = counts.get(sort, 0) + len(keys)
            after = keys[-1]
    return counts


@final
class Erasures:
    """Carries erasures of one store to their end."""

    def __init__(self, store: Rewriting) -> None:
        """Look for nothing yet."""
        self._store = store
        self._turn = trio.Lock()
        self._stirred = trio.Event()
        self._unremoved: set[str] = set()
        self._unended: set[str] = set()
        self._dead_hosts = DeadHosts(store)
        self._unheard = Unheard("an erasure")

    async def erase(self, runtime_id: LogicalRuntimeId, *, peers: bool) -> Erasure:
        """See `Store.erase`."""
        await self._write(BeginErasure(runtime_id=runtime_id, peers=peers))
        return await self.carry_on(runtime_id)

    async def carry_on(self, runtime_id: LogicalRuntimeId) -> Erasure:
        """Go as far as it goes now, and say how far that is; the rest follows by itself."""
        self._stirred.set()  # also where this is cancelled: it is begun
        counts: Counter[str] = Counter()
        async with self._turn:
            pending = await self._advance(runtime_id, counts)
        stored = await self._find(runtime_id)
        return Erasure(
            runtime_id=runtime_id,
            gone=not pending,
            pending=tuple([_PENDING[each] for each in pending]),
            stays=_STAYS if stored.peers else (*_STAYS, _COPIES),
            counts=dict(counts),
        )

    async def end_removal(self, attachment_id: str) -> None:
        """Let writers at bytes again whose removal this host has begun and carried out.

        Raises as `Store.commit`; where there was no way now, it follows by itself.
        """
        self._unended.add(attachment_id)
        try:
            await self._end_removal(attachment_id)
        finally:
            if attachment_id in self._unended:
                self._stirred.set()

    def stir(self) -> None:
        """Look for what is not done: a host has died that may have begun it."""
        self._stirred.set()

    async def serve(self) -> None:
        """Carry on what is not done, for as long as the store is open; `open_store` starts it."""
        wait_s = RETRY_S
        await trio.sleep(RETRY_S)  # an open is not made longer by it, and writes nothing by itself
        try:
            while True:
                self._stirred = trio.Event()
                try:
                    left = await self._carry_on_all()
                except (StoreBroken, Closed):
                    return
                except Error as exc:
                    left = True  # as below, of them all
                    self._unheard.met(exc)
                else:
                    if not left:
                        self._unheard.over()
                with trio.move_on_after(wait_s if left else float("inf")):
                    await self._stirred.wait()
                wait_s = RETRY_S if self._stirred.is_set() else min(wait_s * 2, LONGEST_S)
        except (StoreBroken, Closed):
            return

    async def _carry_on_all(self) -> bool:
        # On the connection that is open already: a store without erasures opens no reader for this.
        left = False
        for attachment_id in [*self._unended]:
            await self._end_removal(attachment_id)
        for runtime_id in await self._store.between_groups(erasing.unfinished):
            try:
                async with self._turn:
                    left = bool(await self._advance(runtime_id, Counter())) or left
            except (StoreBroken, Closed):
                raise
            except Error as exc:  # DiskFull, Contended; or its row is damaged, and the others go on
                left = True
                self._unheard.met(exc)
        return left

    # One erasure

    async def _advance(self, runtime_id: LogicalRuntimeId, counts: Counter[str]) -> tuple[str, ...]:
        stored = await self._find(runtime_id)
        stage, waits = stored.stage, tuple[str, ...]()
        if stage is Stage.ROWS or stage in WAITING:
            try:
                waits = await self._delete(runtime_id, stored, counts)
            except Contended:
                return ("owner",)
            if not waits:
                stage = await self._move(runtime_id, Stage.PAGES)
            elif stage is Stage.ROWS:
                stage = await self._move(runtime_id, Stage.OWN_PAGES)
        if stage in WAITING:
            return (*await self._forget(runtime_id, stage, _OF_OWN), *waits)
        return await self._forget(runtime_id, stage, _OF_ALL)

    async def _forget(
        self, runtime_id: LogicalRuntimeId, stage: Stage, stages: tuple[Stage, Stage, Stage]
    ) -> tuple[str, ...]:
        """Have the file forget the bytes of what was deleted, as far as it goes now; what is in the way."""
        pages, log, behind = stages
        if stage is pages:
            most = self._store.limits.rewrite_bytes
            if waits := await self._store.between_groups(partial(_rewrite, most_bytes=most)):
                return waits
            stage = await self._move(runtime_id, log)
        if stage is log:
            if not await self._empty_log():
                return ("log",)
            await self._move(runtime_id, behind)
        return ()

    async def _empty_log(self) -> bool:
        for wait_s in _VIEWS_S:
            if await self._store.between_groups(_empty_log):
                return True
            await trio.sleep(wait_s)
        return False

    async def _delete(
        self, runtime_id: LogicalRuntimeId, stored: StoredErasure, counts: Counter[str]
    ) -> tuple[str, ...]:
        left = 0
        for sort in Sort:
            if (sort in PEERS and not stored.peers) or (sort not in PEERS and stored.stage is not Stage.ROWS):
                continue
            after = BELOW_ALL
            while keys := await self._store.read(
                partial(erasing.look, runtime_id=runtime_id, runtime=stored.runtime, sort=sort, after=after)
            ):
                left += await self._delete_page(ErasePage(runtime_id=runtime_id, sort=sort, keys=keys), counts)
                after = keys[-1]
        kept = await self._remove_left()
        return (*(("bytes",) if kept else ()), *(("peers",) if left else ()))

    async def _delete_page(self, change: ErasePage, counts: Counter[str]) -> int:
        """Delete a page; how many copies are left."""
        page = ErasedPage(counts={})
        # What marks the bytes of an attachment removes them too, before it may be cancelled.
        with trio.CancelScope(shield=change.sort is Sort.ATTACHMENTS):
            page = await self._write(change)
            for attachment_id in page.removals:
                await self._remove(attachment_id)
        counts.update(page.counts)
        return page.left

    async def _remove(self, attachment_id: str) -> None:
        self._unremoved.add(attachment_id)
        try:
            await remove_all_begun(self._store, attachment_id)
        except (CannotOpen, Contended, DiskFull, NoDescriptor):
            return  # the mark stays, so that no writer puts them meanwhile
        await self._write(EndRemoval(attachment_id=attachment_id))
        self._unremoved.discard(attachment_id)

    async def _end_removal(self, attachment_id: str) -> None:
        await self._write(EndRemoval(attachment_id=attachment_id))
        self._unended.discard(attachment_id)

    async def _remove_left(self) -> bool:
        """Bytes that could not be removed, and those that a host that has died had marked; whether any stay, also another's."""
        for attachment_id in [*self._unremoved]:
            await self._remove(attachment_id)
        kept = bool(self._unremoved)
        for attachment_id in await self._store.read(erasing.removals):
            if attachment_id in self._unremoved:
                continue
            host = await self._store.read(partial(attachments.remover, attachment_id=attachment_id))
            if host is not None:
                await self._dead_hosts.bury((host,))
            if await self._write(BeginRemoval(attachment_id=attachment_id)):
                await self._remove(attachment_id)
            kept = kept or await self._store.read(partial(attachments.is_removed, attachment_id=attachment_id))
        return kept

    async def _move(self, runtime_id: LogicalRuntimeId, stage: Stage) -> Stage:
        await self._write(MoveErasure(runtime_id=runtime_id, stage=stage))
        return stage

    async def _find(self, runtime_id: LogicalRuntimeId) -> StoredErasure:
        stored = await self._store.between_groups(partial(erasing.find, runtime_id=runtime_id))
        if stored is None:
            raise NotFound(what="erasure", key=runtime_id)
        return stored

    async def _write(self, change: Change) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]


def _rewrite(connection: WriteConnection, most_bytes: int) -> tuple[str, ...]:
    """What is in the way, by its word in `_PENDING`."""
    if connection.housekeeping is None:
        return ("server",)  # what it keeps in its pages and its log is its own: there it stays pending
    return () if connection.housekeeping.rewrite(most_bytes) else ("pages",)


def _empty_log(connection: WriteConnection) -> bool:
    return connection.housekeeping is not None and connection.housekeeping.empty_log()
