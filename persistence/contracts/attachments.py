"""`store.attachments`: files of sessions, stored once by content, and the account that is kept of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar, final

import trio

from tenure.errors import Corrupt, Error, InvalidInput, NotFound, PayloadTooLarge, Unreadable
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.facets.attachments import attachments
from tenure.persistence.facets.attachments.attachments import (
    BeginRemoval,
    ForgetAttachment,
    ForgetOrphans,
    RecordIntent,
    StampAttachments,
)
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.contracts.attachments import (
    AttachmentIntent,
    AttachmentManifestEntry,
    check_attachment_id,
)
from tenure.persistence.model.numbers import is_a
from tenure.persistence.model.values import SessionId
from tenure.persistence.reading import callers_files
from tenure.persistence.writing.host_row import other_hosts

from .access import BlobAccess
from .erasing import Erasures
from .gone.dead_hosts import DeadHosts
from .gone.removals import bring_back, remove_begun

T = TypeVar("T")

CHUNK: Final = 4 << 20
"""Bytes of a file that are in memory at a time."""

URI_LIMIT: Final = 4_096
"""Most characters of a uri."""

ORPHANS_AT_ONCE: Final = 500
"""Orphans that one commit lets go of."""

REMOVAL_POLL_S: Final = 0.05
"""Seconds between two looks whether a removal, which stands in a writer's way, has ended."""


@final
@checked
class AttachmentsContract:
    """The verbs of attachments of an open store; an `AttachmentManifest`.

    `put` records the intent, puts the bytes on disk under their SHA-256, and returns that; `commit_refs` stamps them, or a turn
    does with its commit. Bytes are stored once for all sessions, in a folder beside the database. A session reads only what it
    has an intent or a stamp for. Cancellation is that of `Store.commit` and `Store.read`: a cancelled `put` may leave its
    intent and its bytes, which `collect` takes once this host has gone.
    """

    def __init__(self, store: BlobAccess, erasures: Erasures) -> None:
        """Bind to an open store, and to what carries on there what is begun."""
        self._store = store
        self._erasures = erasures
        self._dead_hosts = DeadHosts(store)

    def bind(self, session_id: SessionId | str) -> SessionScopedAttachmentStore:
        """The verbs of one session."""
        return SessionScopedAttachmentStore(self, session_id)

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record that an attachment is going to be written. One that is known is younger again, and stays committed.

        Raises:
            RuntimeDestroyed: The session is of a runtime that was destroyed.
            Contended: Its bytes are just being removed; nothing happened.
            InvalidInput: The id is not a SHA-256 in hex.
        """
        check_attachment_id(intent.attachment_id)
        if len(intent.canonical_uri) > URI_LIMIT:
            raise PayloadTooLarge(size=len(intent.canonical_uri), limit=URI_LIMIT)
        await self._write(RecordIntent(intent=intent))

    async def put(self, session_id: SessionId | str, data: bytes, canonical_uri: str = "") -> str:
        """Store bytes for a session, and return their id. They are on disk, and not committed yet.

        Where the same bytes are stored already those are read, and replaced if they are damaged.

        Raises:
            RuntimeDestroyed: The session is of a runtime that was destroyed.
            DiskFull: There is no room; the intent may stay.
            NoDescriptor: The system gives this process no file descriptor.
            StoreBroken: The disk failed.
        """
        chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
        return await self._put(session_id, canonical_uri, lambda: iter(chunks))

    async def put_file(self, session_id: SessionId | str, path: str, canonical_uri: str = "") -> str:
        """As `put`, with the bytes of a file, of which no more than `CHUNK` are in memory at a time.

        Raises:
            CannotOpen: The file cannot be read, is not a plain file, or is a database that this process has open.
            Error: Of `put`.
        """
        return await self._put(session_id, canonical_uri, partial(callers_files.chunks_of, path, CHUNK))

    async def id_of(self, data: bytes | Path) -> str:
        """The id that these bytes have, or those of a file: their SHA-256 in hex. Stores nothing.

        Raises:
            CannotOpen: The file cannot be read, is not a plain file, or is a database that this process has open.
            InvalidInput: Neither bytes nor a path.
        """
        if not (is_a(data, bytes) or is_a(data, Path)):
            raise InvalidInput(detail="it is bytes, or the path of a file", field="data")
        digest = hashlib.sha256()
        if isinstance(data, bytes):
            await self._in_thread(partial(digest.update, data))
        else:
            chunks = callers_files.chunks_of(str(data), CHUNK)
            while chunk := await self._in_thread(partial(next, chunks, b"")):
                await self._in_thread(partial(digest.update, chunk))
        return digest.hexdigest()

    async def is_committed(self, session_id: SessionId | str, attachment_id: str) -> bool:
        """Whether a session has an attachment that was stamped. Raises `Corrupt`."""
        find = partial(attachments.find, session_id=session_id, attachment_id=attachment_id)
        stored = await self._store.read(find)
        return stored is not None and stored.entry.committed_at_epoch_ms is not None

    async def get(self, session_id: SessionId | str, attachment_id: str) -> bytes:
        """The bytes of an attachment.

        Raises:
            NotFound: The session has no such attachment.
            Corrupt: Its bytes are gone, or are not what the id says.
        """
        parts: list[bytes] = []
        await self._get(session_id, attachment_id, parts.append)
        return b"".join(parts)

    async def get_file(self, session_id: SessionId | str, attachment_id: str, path: str) -> None:
        """Write the bytes of an attachment into a new file of the owner's alone; no more than `CHUNK` are in memory at a time.

        Raises:
            NotFound: The session has no such attachment.
            Corrupt: Its bytes are gone, or are not what the id says; the file is removed again.
            CannotOpen: There is a file of this name, or it cannot be written.
            DiskFull: There is no room for it.
        """
        file = await self._in_thread(partial(callers_files.create, path))
        try:
            try:
                await self._get(session_id, attachment_id, partial(_append, path, file))
            finally:
                file.close()
        except BaseException:
            with (
                trio.CancelScope(shield=True),
                suppress(Error),
            ):  # why it was not written is raised; what stays is half a file
                await self._in_thread(partial(callers_files.remove, path))
            raise

    async def commit_refs(self, session_id: SessionId | str, attachment_ids: Sequence[str]) -> None:
        """Stamp attachments of a session as committed. The first stamp stays; ids that are not known are passed over."""
        if attachment_ids:
            await self._write(StampAttachments(session_id=session_id, attachment_ids=tuple(attachment_ids)))

    async def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """What was only meant, the last time at or before `older_than_epoch_ms`; the oldest first. Raises `Corrupt`."""
        if not -(2**63) <= older_than_epoch_ms < 2**63:
            raise InvalidInput(detail="a time fits 64 bits", field="older_than_epoch_ms")
        return await self._store.read(partial(attachments.uncommitted, before=older_than_epoch_ms))

    async def forget(self, session_id: SessionId | str, attachment_id: str) -> None:
        """Let go of what a session has of an attachment. Its bytes go with `collect`, where no other session has them."""
        await self._write(ForgetAttachment(session_id=session_id, attachment_id=attachment_id))

    async def collect(self, older_than_epoch_ms: int) -> int:
        """Remove the bytes that no session has; first let go of what was only meant, is old, and whose host has gone.

        Beside hosts that run: a writer who means the same bytes waits until they are gone, and puts them anew.

        Returns:
            Files that were removed.

        Raises:
            Corrupt: An orphan cannot be read; nothing more is removed.
            Error: Of `Store.commit` and `Store.read`; what was removed by then had no owner.
        """
        if not -(2**63) <= older_than_epoch_ms < 2**63:
            raise InvalidInput(detail="a time fits 64 bits", field="older_than_epoch_ms")
        await self._dead_hosts.bury(
            await self._store.read(partial(attachments.in_question, before=older_than_epoch_ms))
        )
        orphans = ForgetOrphans(before=older_than_epoch_ms, count=ORPHANS_AT_ONCE)
        while await self._write(orphans) == ORPHANS_AT_ONCE:
            pass
        unfinished = await self._do(lambda blobs: blobs.unfinished())
        taken = await self._do(lambda blobs: blobs.taken())
        others = await self._store.read(partial(other_hosts, host=self._store.host))
        living = {self._store.incarnation, *[each.incarnation for each in others.living]}
        for made in unfinished:  # seen before the hosts were: one that begins later is not among them
            if made.partition(".")[0] not in living:
                await self._do(partial(_drop, made))
        for digest, taker in taken:
            if taker not in living:  # it is judged below, like any other
                await self._do(partial(_give_back, digest, taker))
        removed = 0
        for name in await self._do(lambda blobs: blobs.names()):
            # What was begun is ended before it may be cancelled: writers of these bytes wait for that.
            with trio.CancelScope(shield=True):
                removed += await self._remove(name)
        return removed

    async def _remove(self, attachment_id: str) -> bool:
        """Remove bytes that no session has; whether there were such. Where that fails they may be put again all the same."""
        if not await self._write(BeginRemoval(attachment_id=attachment_id)):
            return False
        try:
            return await remove_begun(self._store, attachment_id)
        finally:
            await self._erasures.end_removal(attachment_id)

    # Bytes

    async def _put(self, session_id: str, uri: str, chunks: Callable[[], Iterator[bytes]]) -> str:
        if len(uri) > URI_LIMIT:
            raise PayloadTooLarge(size=len(uri), limit=URI_LIMIT)
        made = f"{self._store.incarnation}.{self._store.seams.new_id()}"
        try:
            attachment_id = await self._make(made, chunks())
            await self._mean(AttachmentIntent(session_id=session_id, attachment_id=attachment_id, canonical_uri=uri))
            if not await self._are_whole(attachment_id):
                # Also in place of damaged ones: what is acknowledged is read back equal.
                await self._do(partial(_replace, made, attachment_id))
            elif not await self._store.read(partial(attachments.is_stamped, attachment_id=attachment_id)):
                await self._do(partial(_keep, made, attachment_id))  # perhaps they are not on disk yet
        finally:
            with trio.CancelScope(shield=True), suppress(Error):  # what stays is taken by `collect`
                await self._do(partial(_drop, made))
        return attachment_id

    async def _make(self, made: str, chunks: Iterator[bytes]) -> str:
        """Write the bytes under a name that no attachment has yet; returns their digest."""
        digest, offset = hashlib.sha256(), 0
        await self._do(lambda blobs: blobs.begin(made))
        while chunk := await self._in_thread(partial(next, chunks, b"")):
            digest.update(chunk)
            await self._do(partial(_write, made, offset, chunk))
            offset += len(chunk)
        return digest.hexdigest()

    async def _mean(self, intent: AttachmentIntent) -> None:
        change = RecordIntent(intent=intent, waits=True)
        find = partial(attachments.remover, attachment_id=intent.attachment_id)
        while not await self._write(change):
            host = await self._store.read(find)
            if host is not None:
                await self._dead_hosts.bury_in_time(host)
            await trio.sleep(REMOVAL_POLL_S)

    async def _get(self, session_id: str, attachment_id: str, take: Callable[[bytes], object]) -> None:
        find = partial(attachments.find, session_id=session_id, attachment_id=attachment_id)
        stored = await self._store.read(find)
        if stored is None:
            raise NotFound(what="attachment", key=attachment_id)
        committed = stored.entry.committed_at_epoch_ms is not None
        found = await self._read_through(attachment_id, take, committed=committed)
        if found is None and not committed:
            raise NotFound(what="attachment", key=attachment_id)  # it was only meant
        if found is None:
            raise Corrupt(record="attachment", key=attachment_id, detail="its bytes are gone")
        if found != attachment_id:
            raise Corrupt(record="attachment", key=attachment_id, detail="its bytes are not what its id says")

    async def _are_whole(self, attachment_id: str) -> bool:
        try:
            return await self._read_through(attachment_id, lambda _: None) == attachment_id
        except Unreadable:
            return False

    async def _read_through(
        self, attachment_id: str, take: Callable[[bytes], object], *, committed: bool = False
    ) -> str | None:
        """The digest of the bytes that stand there, of which each part is given to `take`; None where there are none."""
        digest, offset = hashlib.sha256(), 0
        while chunk := await self._do(partial(_read, attachment_id, offset, take, committed=committed)):
            digest.update(chunk)
            offset += len(chunk)
        return None if chunk is None else digest.hexdigest()

    async def _do(self, use: Callable[[Blobs], T]) -> T:
        return await self._store.read(lambda _: use(self._store.blobs))  # on a thread that may block

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._store.read(lambda _: call())

    async def _write(self, change: Change) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]


def _write(made: str, offset: int, chunk: bytes, blobs: Blobs) -> None:
    blobs.write(made, offset, chunk)


def _keep(made: str, attachment_id: str, blobs: Blobs) -> None:
    blobs.keep(made, attachment_id)


def _replace(made: str, attachment_id: str, blobs: Blobs) -> None:
    blobs.replace(made, attachment_id)


def _read(
    attachment_id: str, offset: int, take: Callable[[bytes], object], blobs: Blobs, *, committed: bool
) -> bytes | None:
    chunk = blobs.read(attachment_id, offset, CHUNK)
    if chunk is None and committed and bring_back(attachment_id, blobs):
        chunk = blobs.read(attachment_id, offset, CHUNK)
    if chunk:
        take(chunk)
    return chunk


def _drop(made: str, blobs: Blobs) -> None:
    blobs.drop(made)


def _give_back(attachment_id: str, taker: str, blobs: Blobs) -> None:
    blobs.give_back(attachment_id, taker)


def _append(path: str, file: BinaryIO, chunk: bytes) -> None:
    with callers_files.mapped(path):
        file.write(chunk)


@final
@checked
class SessionScopedAttachmentStore:
    """The verbs of one session's attachments. Made by `AttachmentsContract.bind`; see there."""

    def __init__(self, attachments_of_store: AttachmentsContract, session_id: str) -> None:
        """Bind to a session."""
        self._attachments = attachments_of_store
        self._session_id = session_id

    @property
    def session_id(self) -> str:
        """Which session."""
        return self._session_id

    async def put(self, data: bytes, canonical_uri: str = "") -> str:
        """See `AttachmentsContract.put`."""
        return await self._attachments.put(self._session_id, data, canonical_uri)

    async def put_file(self, path: str, canonical_uri: str = "") -> str:
        """See `AttachmentsContract.put_file`."""
        return await self._attachments.put_file(self._session_id, path, canonical_uri)

    async def get(self, attachment_id: str) -> bytes:
        """See `AttachmentsContract.get`."""
        return await self._attachments.get(self._session_id, attachment_id)

    async def get_file(self, attachment_id: str, path: str) -> None:
        """See `AttachmentsContract.get_file`."""
        await self._attachments.get_file(self._session_id, attachment_id, path)

    async def commit_refs(self, attachment_ids: Sequence[str]) -> None:
        """See `AttachmentsContract.commit_refs`."""
        await self._attachments.commit_refs(self._session_id, attachment_ids)

    async def delete(self, attachment_id: str) -> None:
        """See `AttachmentsContract.forget`: the session lets go of it."""
        await self._attachments.forget(self._session_id, attachment_id)
