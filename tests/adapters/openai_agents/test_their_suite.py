"""The framework's own tests of its sessions, with `SQLiteSession` replaced by ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.adapters.suite import Otherwise, run_suite, sdist

VERSION: Final = "0.24.0"

CONNECTIONS: Final = ("no attribute '_connections", "looks at the sqlite3 connections that their session keeps")
LOCKED: Final = ("no attribute '_locked_connection'", "writes past their session, on its connection")
TABLES: Final = ("no such table: ", "asks for the tables of their session")

OF_SESSIONS: Final[Otherwise] = {
    "test_session::test_sqlite_session_close_closes_worker_thread_connections": CONNECTIONS,
    "test_session::test_sqlite_session_reaps_connections_from_exited_worker_threads": CONNECTIONS,
    "test_session::test_sqlite_session_closes_retired_connections_before_the_next_allocation": CONNECTIONS,
    "test_session::test_sqlite_session_keeps_connections_of_live_worker_threads": CONNECTIONS,
    "test_session::test_sqlite_session_rollback_failure_evicts_connection": CONNECTIONS,
    "test_session::test_sqlite_session_close_retries_quarantined_connection": CONNECTIONS,
    "test_session::test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome": CONNECTIONS,
    "test_session::test_sqlite_session_file_lock_is_shared_across_instances": (
        "no attribute '_lock'",
        "looks at the locks of their session",
    ),
    "test_session::test_sqlite_session_pop_item_skips_corrupt_most_recent": LOCKED,
    "test_session::test_sqlite_session_pop_item_returns_none_after_dropping_only_corrupt_rows": LOCKED,
    "test_session::test_sqlite_session_get_items_limit_skips_corrupt_newest_rows": LOCKED,
    "test_session::test_sqlite_session_get_items_session_settings_limit_skips_corrupt_rows": LOCKED,
    "test_session::test_sqlite_session_failed_add_items_releases_write_lock": (
        "tenure.errors.InvalidInput: items is not valid: an item is not JSON",
        "wants the TypeError of json for an item that is no JSON",
    ),
    "test_session::test_sqlite_session_failed_clear_session_rolls_back": TABLES,
    "test_session::test_sqlite_session_failed_pop_item_releases_write_lock": TABLES,
}
OF_COMPACTION: Final[Otherwise] = {
    "TestOpenAIResponsesCompactionSession::test_settled_pop_failure_invalidates_response_chain": CONNECTIONS,
    "TestOpenAIResponsesCompactionSession::test_settled_clear_failure_invalidates_response_chain": CONNECTIONS,
    "test_compaction_suffix::test_suffix_transaction_rolls_back_failed_insert": TABLES,
    "test_compaction_suffix::test_failed_encrypted_suffix_transaction_preserves_original_tokens": TABLES,
    "test_compaction_suffix::test_cancelled_suffix_transaction_settles_before_newer_append": (
        "no attribute '_insert_items'",
        "replaces a private method of their session",
    ),
}

PARTS: Final[dict[str, tuple[tuple[str, ...], Otherwise, int, int]]] = {
    "sessions": (("test_session.py", "test_session_limit.py"), OF_SESSIONS, 54, 71),
    "compaction": (
        (
            "test_openai_responses_compaction_session.py",
            "test_compaction_model_visibility.py",
            "test_compaction_suffix.py",
        ),
        OF_COMPACTION,
        190,
        198,
    ),
}
"""Files, what of them fails, how many cases pass, and how many there are."""


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_the_suite_of_the_framework_passes_over_our_session(
    tmp_path: Path, part: str, record_property: Callable[[str, object], None]
) -> None:
    """But for the tests that look into theirs, whose subjects `test_session.py` has in our terms."""
    files, otherwise, passed, cases = PARTS[part]
    suite = sdist("openai-agents", VERSION, tmp_path)

    counted = run_suite(
        suite,
        *(f"tests/memory/{name}" for name in files),
        shim=Path(__file__).with_name("tenure_in_their_suite.py"),
        # Of one file each case runs with their aiosqlite session too, which is not ours.
        options=("-p", "no:trio", "-p", "no:cacheprovider", "-k", "not async-sqlite"),
    )

    record_property("suite", f"OpenAI Agents {VERSION}, its tests of {part}: {counted}")
    counted.check(otherwise)
    assert (len(counted.named("passed")), len(counted.outcomes)) == (passed, cases)
