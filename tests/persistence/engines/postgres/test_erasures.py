"""What an erasure says of a server, which forgets deleted rows when it sees fit."""

from __future__ import annotations

import tenure

SERVER = (
    "older versions of deleted rows are in the server's pages until it vacuums them, and in its log, its replicas and "
    "its backups for as long as it keeps those"
)


async def test_what_is_not_gone_yet_is_what_the_server_keeps(url: str) -> None:
    async with tenure.open_store(url) as store:
        await store.runtimes.persist_runtime_state("alice", "destroyed")

        erasure = await store.erase("alice")

    assert (erasure.gone, erasure.pending) == (False, (SERVER,))
