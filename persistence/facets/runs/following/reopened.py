"""Runs that wait to be entered: a retry has reopened them, or they follow an abandoned batch."""

from __future__ import annotations

from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.records import run_records, runtimes

from . import follow_ups


def what_waits(tx: Transaction, runtime: int, most: int, *, follows: bool = False) -> tuple[int | None, int]:
    """What a runtime could run next, in one question.

    Args:
        tx: The transaction.
        runtime: Key of the runtime.
        most: Inputs are counted no further.
        follows: Whether runs are among it that follow an abandoned batch.

    Returns:
        Key of the reopened run that waits longest, or None; and how many inputs a new run could choose from.
    """
    row = tx.one("runs.what_waits", runtime=runtime, follows=int(follows), count=most, now=tx.now)
    return (None, 0) if row is None else row


def enter_next(tx: Transaction, record: runtimes.RuntimeRecord, most: int, *, follows: bool) -> int:
    """Make the run that waits longest the current one; where none waits, how many inputs do, counted up to `most`."""
    key, waiting = what_waits(tx, record.runtime, most, follows=follows)
    if key is None:
        return waiting
    tx.write("runs.entered", run=key)
    record.run = key
    if (run := run_records.load(tx, key)).follows and not run.boundaries:
        follow_ups.begin_from_here(tx, record, run)
    runtimes.save_progress(tx, record)
    return 0
