"""What tests do with an open store and users do not: commits that are not waited for, its host, and its end in doubt."""

from __future__ import annotations

from collections.abc import Callable

from tenure import Store
from tenure.errors import StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.store import ground_of
from tenure.persistence.writing.group import Outcome
from tenure.persistence.writing.pending import Pending


def submit(store: Store, commit: Commit, on_settled: Callable[[Outcome], None] | None = None) -> Pending:
    """Queue a commit and return at once."""
    return ground_of(store).submit(commit, on_settled)


def host_key(store: Store) -> int:
    """Key of the row of this store's host."""
    return ground_of(store).host


def lease_lapsed(store: Store) -> bool:
    """Whether another host may have judged this one lapsed."""
    return ground_of(store).lease_lapsed()


def pull_the_plug(store: Store) -> StoreBroken:
    """Break the store, as where it cannot be known what is on disk."""
    return ground_of(store).stop_in_doubt("a test pulled the plug")
