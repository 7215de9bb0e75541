"""`store.credentials`: the snapshot of OAuth flows, one for the whole store, and never shown."""

from __future__ import annotations

from typing import final

from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets import credentials
from tenure.persistence.facets.credentials import PersistFlow, Update, UpdateFlow, UpdateRaised
from tenure.persistence.model.arguments import checked

from .access import Access


@final
@checked
class CredentialsContract:
    """The verbs of `store.credentials`."""

    def __init__(self, store: Access, authority_key: str | None) -> None:
        """Bind to an open store."""
        self._store = store
        self._authority_key = authority_key

    def auth_authority_key(self) -> str | None:
        """What all handles of one database share: ``sqlite:`` and its canonical path; None in memory."""
        return self._authority_key

    async def persist_auth_oauth_flow_snapshot(self, snapshot: bytes) -> None:
        """Write the snapshot over whatever is stored; on disk when this returns."""
        await self._store.commit(Commit(changes=(PersistFlow(snapshot=bytes(snapshot)),)))

    async def load_auth_oauth_flow_snapshot(self) -> bytes | None:
        """The snapshot, or None."""
        return await self._store.read(credentials.find)

    async def update_auth_oauth_flow_snapshot(self, update: Update) -> None:
        """Read, compute, write, in one transaction that no other commit shares.

        `update` gets the stored snapshot or None and returns the next one. It is pure and sync, runs on the writer's thread
        while every other commit waits, and may not call the store. It may be called twice where the disk was full.

        Raises:
            Exception: Whatever `update` raised, as it is; then nothing was written.
        """
        result = await self._store.commit(Commit(changes=(UpdateFlow(update=update),)))
        (answer,) = result.values
        if isinstance(answer, UpdateRaised):
            raise answer.error
