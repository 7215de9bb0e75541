"""Runs that wait to be entered: a retry has reopened them, or they follow an abandoned batch."""

from __future__ import annotations

from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.records import run_records, runtimes

from . import follow_ups


def oldest(tx: Transaction, runtime: int, *, follows: bool) -> int | None:
    """Key of the one that waits longest; without `follows`, of those that follow nothing."""
    row = tx.one("runs.oldest_reopened", runtime=runtime, follows=int(follows))
    return None if row is None else row[0]


def enter_next(tx: Transaction, record: runtimes.RuntimeRecord, *, follows: bool) -> bool:
    """Make the one that waits longest the current run; False where none waits."""
    if (key := oldest(tx, record.runtime, follows=follows)) is None:
        return False
    tx.write("runs.entered", run=key)
    record.run = key
    if (run := run_records.load(tx, key)).follows and not run.boundaries:
        follow_ups.begin_from_here(tx, record, run)
    runtimes.save_progress(tx, record)
    return True
