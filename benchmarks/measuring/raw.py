"""Raw APSW with the statements of tenure itself: the yardstick.

The statements are not written down again here: what the store executes for a commit is recorded by APSW's own trace and
then replayed, text and values, on a copy of the database. So raw and store always do the same work in SQLite, whatever
becomes of the SQL. What raw leaves out is everything else: encoding, digests, checks, threads, waiting tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final, final

import apsw
from attrs import frozen

from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.opening import open_store

from .report import Timing
from .workload import Agent, boundary_commit, copy_of, in_turn

Statement = tuple[str, Any]

_BRACKETS: Final = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "PRAGMA")


@final
@frozen(kw_only=True, slots=True)
class Recording:
    """What the store executed.

    Attributes:
        header: What begins each group, inside its transaction.
        commits: What each commit executed, without the statements that open and close transactions and savepoints.
    """

    header: Statement
    commits: Sequence[Sequence[Statement]]


async def record(template: Path, agents: Sequence[Agent], count: int) -> Recording:
    """Have the store commit `count` boundaries on a copy, each agent in turn, and record them."""
    seen: list[Statement] = []

    def trace(_cursor: apsw.Cursor, sql: str, values: Any) -> bool:
        seen.append((sql, values))
        return True

    def hook(connection: apsw.Connection) -> None:
        connection.exec_trace = trace  # type: ignore[assignment]

    commits: list[list[Statement]] = []
    header: Statement = ("", None)
    apsw.connection_hooks.append(hook)
    try:
        async with open_store(copy_of(template, "recorded.db"), durability="os") as store:
            for agent, message in in_turn(agents, count):
                seen.clear()
                await store.commit(boundary_commit(agent, message))
                header, *body = [each for each in seen if not each[0].startswith(_BRACKETS)]
                commits.append(body)
    finally:
        apsw.connection_hooks.remove(hook)
    return Recording(header=header, commits=commits)


def replay(template: Path, recording: Recording, group: int) -> Timing:
    """Execute a recording on a fresh copy at FULL: `group` commits a transaction, in savepoints where it is more than one.

    The latencies are those of transactions.
    """
    connection = apsw.Connection(str(copy_of(template, "raw.db")), statementcachesize=256)
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # as the engine: no statement is prepared twice
    connection.wal_autocheckpoint(SqliteOptions().wal_pages)
    execute = connection.execute
    latencies: list[float] = []
    began = perf_counter()
    for start in range(0, len(recording.commits), group):
        begun = perf_counter()
        execute("BEGIN IMMEDIATE")
        execute(*recording.header)
        for commit in recording.commits[start : start + group]:
            if group > 1:
                execute("SAVEPOINT one_commit")
            for sql, values in commit:
                execute(sql, values).fetchall()
            if group > 1:
                execute("RELEASE one_commit")
        execute("COMMIT")
        latencies.append(perf_counter() - begun)
    elapsed = perf_counter() - began
    connection.close()
    return Timing(count=len(recording.commits), elapsed_s=elapsed, latencies_s=sorted(latencies))
