"""The limits of a store, each with a name and a default (design §3)."""

from __future__ import annotations

from typing import final

from attrs import frozen


@final
@frozen(kw_only=True, slots=True)
class Limits:
    """Everything that could grow, and how far.

    Attributes:
        payload_bytes: One payload, message or result, encoded.
        group_bytes: Payload bytes in one group; a larger commit is a group of its own.
        group_commits: Commits in one group.
        inbox_inputs: Unfinished inputs of one runtime; binds accept, never sends.
        run_steps: Recorded steps of one run.
        mailbox_messages: Messages that wait for one actor.
        busy_s: Seconds to wait for another process's write lock before `Contended`.
        verdict_s: Seconds that a cancelled waiter still waits for the verdict on a commit that was taken.
        wal_pages: Pages in the write-ahead log after which the writer checkpoints.
        read_connections: Connections that read beside the writer.
        passivate_s: Seconds after which an actor that nobody uses is dropped.
        lease_s: How long a host's lease holds; a host that renewed nothing for so long is judged lapsed (design §4).
        renew_s: Most seconds between two renewals of a host.
        query_connections: Connections of `Store.read_connection` at one time; more wait.
        query_rows: Rows of one query of `Store.read_connection`.
        poll_s: Seconds between two looks at what other hosts of a shared file wrote.
    """

    payload_bytes: int = 16 * 1024 * 1024
    group_bytes: int = 8 * 1024 * 1024
    group_commits: int = 512
    inbox_inputs: int = 10_000
    run_steps: int = 10_000
    mailbox_messages: int = 64
    busy_s: float = 5.0
    verdict_s: float = 30.0
    wal_pages: int = 1_000
    read_connections: int = 2
    query_connections: int = 4
    query_rows: int = 100_000
    passivate_s: float = 60.0
    lease_s: float = 15.0
    renew_s: float = 5.0
    poll_s: float = 0.05
