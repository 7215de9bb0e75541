"""Rekeying: everything that is sealed with another key than that of today, or not at all, is sealed anew, in slices.

Theory of operation. A pass goes over each table in the order of its keys. A read finds rows, what they hold is sealed anew
outside of the writer, and one commit puts it in its place where the row is still as it was read. Nothing is noted of how far
a pass has come: what is done is passed over, so that one that was cut off is simply begun again. Hosts that seal with an
older key meanwhile make another pass necessary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast, final

import trio
from attrs import frozen

from tenure.errors import Error, Unreadable
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.commits.upkept import BELOW_ALL
from tenure.persistence.contracts.access import BlobAccess
from tenure.persistence.engines.engine import SqlValue, Statements, WriteConnection
from tenure.persistence.engines.sealing.blobs import PART, SealedBlobs
from tenure.persistence.engines.sealing.columns import CONTENTS
from tenure.persistence.engines.sealing.engine import SealedEngine
from tenure.persistence.engines.sealing.envelope import Envelope
from tenure.persistence.engines.sealing.keyring import rewrapped, sealing_of
from tenure.persistence.engines.sealing.rows import sealed_columns
from tenure.persistence.engines.statements import sealed_tables
from tenure.persistence.facets.sealing.sealing import Reseal, Rewrap, SealedRow
from tenure.persistence.seams.limits import Limits

T = TypeVar("T")

PASSES: Final = 4
"""So often everything is gone over while hosts go on sealing with an older key."""

ROWS: Final = 200
"""Most rows of a slice."""

SLICE_BYTES: Final = 4 << 20
"""Most bytes of a slice; a larger row is one by itself."""


@final
@frozen(kw_only=True, slots=True)
class Rekeyed:
    """What came of it.

    Attributes:
        key_id: The key of today.
        values: Contents and digests that were sealed anew.
        attachments: Attachments that were.
        unreadable: What cannot be unsealed with the keys that are here, and stays: by table, how many.
        done: Whether everything else is sealed with the key of today: every other key may go where nothing is unreadable.
        cleared: Whether the file was written anew, so that nothing of what stood in the clear is left in it; None where nothing
            did.
    """

    key_id: str
    values: int
    attachments: int
    unreadable: Mapping[str, int]
    done: bool
    cleared: bool | None


class Rekeying(BlobAccess, Protocol):
    """The ground of a store, whose file can be written anew."""

    limits: Limits

    async def between_groups(self, work: Callable[[WriteConnection], T], /) -> T:
        """See `Ground.between_groups`."""
        ...


async def rekey(ground: Rekeying, engine: SealedEngine) -> Rekeyed:
    """See `Store.rekey`."""
    key_id = await _rewrap(ground, engine)
    work = _Pass(ground, engine.envelope, key_id)
    done = False
    for _ in range(PASSES):
        before = work.values + work.attachments
        work.unreadable.clear()
        for table in sealed_tables():
            await work.table(table)
        if isinstance(ground.blobs, SealedBlobs):
            await work.files(ground.blobs)
        if done := work.values + work.attachments == before:
            break
    cleared = None
    if work.was_clear:
        cleared = await ground.between_groups(partial(_clear, most_bytes=ground.limits.rewrite_bytes))
    return Rekeyed(
        key_id=key_id,
        values=work.values,
        attachments=work.attachments,
        unreadable=dict(work.unreadable),
        done=done,
        cleared=cleared,
    )


async def _rewrap(ground: Rekeying, engine: SealedEngine) -> str:
    """Put the store's key under the key of today; its id."""
    while True:
        found = await ground.read(sealing_of)
        if found is None:
            raise AssertionError("a sealed engine has opened a store that is not sealed")
        new = rewrapped(found, engine.codec)
        if new.key_id == found.key_id:
            return new.key_id
        change = Rewrap(before=found.store_key, key_id=new.key_id, store_key=new.store_key)
        await ground.commit(Commit(changes=(change,)))


def _clear(connection: WriteConnection, most_bytes: int) -> bool:
    keeping = connection.housekeeping
    return keeping is not None and keeping.rewrite(most_bytes) and keeping.empty_log()


@final
class _Pass:
    """Goes over what is stored, and counts."""

    def __init__(self, ground: Rekeying, envelope: Envelope, key_id: str) -> None:
        self.values = 0
        self.attachments = 0
        self.unreadable: Counter[str] = Counter()
        self.was_clear = False
        self._ground = ground
        self._envelope = envelope
        self._key_id = key_id

    async def table(self, table: str) -> None:
        """Seal anew what has to be in a table."""
        after = BELOW_ALL
        while (page := await self._ground.read(partial(self._page, table, after))) is not None:
            after, rows = page
            if rows:
                await self._commit(Reseal(table=table, rows=tuple(rows)))

    def _page(self, table: str, after: int, statements: Statements) -> tuple[int, list[SealedRow]] | None:
        sizes = statements.all(f"sealing.sizes.{table}", after=after, count=ROWS)
        if not sizes:
            return None
        last, room = sizes[0][0], SLICE_BYTES - sizes[0][1]
        for key, size in sizes[1:]:
            room -= size
            if room < 0:
                break
            last = key
        rows = statements.all(f"sealing.page.{table}", after=after, last=last)
        anew = [self._anew(table, row) for row in rows]
        return last, [row for row in anew if row is not None]

    def _anew(self, table: str, row: tuple[Any, ...]) -> SealedRow | None:
        columns = sealed_tables()[table]
        stored = dict(zip(columns, row, strict=True))
        before: dict[str, SqlValue] = {name: stored[name] for name in sealed_columns(table)}
        after = dict(before)
        changed = 0
        for name, value in before.items():
            try:
                after[name] = self._value(table, name, stored, value)
            except Unreadable:
                self.unreadable[table] += 1
                continue
            changed += after[name] is not value
        self.values += changed
        return SealedRow(row=row[0], before=before, after=after) if changed else None

    def _value(self, table: str, name: str, stored: Mapping[str, Any], value: SqlValue) -> SqlValue:
        if not isinstance(value, bytes | str):
            return value
        column, envelope = (table, name), self._envelope
        if column not in CONTENTS:
            return value if envelope.is_sealed_digest(value) else self._now_sealed(envelope.seal_digest(value), value)
        key = tuple([stored[part] for part in CONTENTS[column]])
        key_id = envelope.key_id_of(value)
        plain = envelope.unseal((column,), key, value)  # also of what has the key of today: whether it is of this row
        if key_id == self._key_id:
            return value
        self.was_clear = self.was_clear or key_id is None
        return envelope.seal(column, key, cast("bytes | str", plain))

    def _now_sealed(self, sealed: str | bytes, value: str | bytes) -> str | bytes:
        if sealed == value:
            return value  # what was erased has no digest
        self.was_clear = True
        return sealed

    async def files(self, blobs: SealedBlobs) -> None:
        """Seal anew the bytes of attachments."""
        for digest in await self._do(blobs.names):
            try:
                is_plain, key_id = await self._do(partial(_standing, blobs, digest))
                if is_plain or key_id not in (self._key_id, None):
                    await self._file(blobs, digest)
            except Unreadable:
                self.unreadable["attachments"] += 1

    async def _file(self, blobs: SealedBlobs, digest: str) -> None:
        made = f"{self._ground.incarnation}.{self._ground.seams.new_id()}"
        try:
            await self._do(partial(blobs.begin, made))
            offset = 0
            while part := await self._do(partial(blobs.read, digest, offset, PART)):
                await self._do(partial(blobs.write, made, offset, part))
                offset += len(part)
            await self._do(partial(blobs.replace, made, digest))
        finally:
            with trio.CancelScope(shield=True), suppress(Error):  # what stays is taken by `collect`
                await self._do(partial(blobs.drop, made))
        await self._do(partial(blobs.remove_plain, digest))
        # It may have been erased meanwhile, before it stood here again.
        if await self._ground.read(lambda view: view.one("attachments.named", attachment_id=digest)) is None:
            await self._do(partial(blobs.remove, digest))
        self.attachments += 1

    async def _do(self, use: Callable[[], T]) -> T:
        return await self._ground.read(lambda _: use())  # on a thread that may block

    async def _commit(self, change: Change) -> None:
        await self._ground.commit(Commit(changes=(change,)))


def _standing(blobs: SealedBlobs, digest: str) -> tuple[bool, str | None]:
    return blobs.is_plain(digest), blobs.key_id_of(digest)
