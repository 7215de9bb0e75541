"""`store.credentials`: the snapshot of OAuth flows, one for the whole store, and never shown."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import final

import trio

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets import credentials
from tenure.persistence.facets.credentials import PersistFlow, SwapFlow, Update, compute
from tenure.persistence.model.arguments import checked
from tenure.persistence.seams.executors import Executor, ThreadExecutor
from tenure.persistence.seams.seams import Seams

from .access import Backend


@final
@checked
class CredentialsContract:
    """The verbs of `store.credentials`."""

    def __init__(self, store: Backend, authority_key: str | None) -> None:
        """Bind to an open store."""
        self._store = store
        self._turn = trio.Lock()
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
        """Read, compute, write; whatever others write at the same time, nothing of it is lost.

        `update` gets the stored snapshot or None and returns the next one. It is sync and may take its time: it has its own
        thread, and no commit waits for it. It is called again where another host has written meanwhile, with what that has;
        updates of this host come one after another.

        Raises:
            InvalidInput: It is asked for by an `update` that is computed now, and would wait for itself.
            Exception: Whatever `update` raised, as it is; then nothing was written.
            NoThread: There is no thread for it; nothing happened.
            Error: Of `Store.read` and `Store.commit`.

        Cancellation: while `update` runs nothing was written, nor will be; it runs to its end unheard. Otherwise as
        `Store.commit`.
        """
        if credentials.is_asked_by_an_update():
            raise InvalidInput(detail="a function that computes an update cannot ask for another one", field="update")
        async with self._turn, _thread(self._store.seams) as thread:
            while True:
                before = await self._store.read(credentials.find)
                computed = await thread.run(partial(compute, update, before))
                if computed.error is not None:
                    raise computed.error
                swap = SwapFlow(before=before, snapshot=computed.snapshot)
                if (await self._store.commit(Commit(changes=(swap,)))).values[0]:
                    return


@asynccontextmanager
async def _thread(seams: Seams) -> AsyncGenerator[Executor]:
    make = seams.step_executor
    executor: Executor = ThreadExecutor("tenure-update") if make is None else make()
    try:
        yield executor
    finally:
        executor.close()
