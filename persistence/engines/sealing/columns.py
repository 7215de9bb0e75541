"""Which columns a codec seals: contents, and digests of contents. Everything else stays in the clear.

In the clear stay ids, keys, names, labels, kinds, phases, reasons, numbers, sizes and times: what a list shows, an index is
made of, or a look at night needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Column = tuple[str, str]
"""Table and column."""

CONTENTS: Final[Mapping[Column, tuple[str, ...]]] = {
    ("runtimes", "held_detail"): ("runtime",),
    ("runs", "error"): ("run",),
    ("inputs", "error"): (),  # one statement gives it to all inputs of a run
    ("payloads", "payload"): ("input",),
    ("sends", "payload"): ("run", "send_index"),
    ("results", "result"): ("run", "boundary", "input"),
    ("asks", "error"): ("ask",),
    ("entries", "result"): (),  # it goes along into another run, and to another place
    ("entries", "error"): (),
    ("nodes", "payload"): ("node",),
    ("nodes", "about"): ("node",),
    ("session_configs", "config"): ("session",),
    ("session_configs", "frames"): ("session",),
    ("session_metas", "meta"): ("session",),
    ("session_snapshots", "rewrites"): ("session",),
    ("session_snapshots", "meta"): ("session",),
    ("checkpoints", "turn_state"): ("session",),
    ("blobs", "body"): ("blob",),
    ("turns", "content"): ("session", "turn_id"),
    ("turns", "result"): ("session", "turn_id"),
    ("schedules", "payload"): ("schedule_id",),
    ("schedules", "note"): ("schedule_id",),
    ("occurrences", "detail"): ("schedule", "scheduled_at"),
    ("holds", "note"): (),
    ("links", "detail"): ("runtime", "position"),
    ("bindings", "facts"): ("runtime",),
    ("operations", "snapshot"): ("runtime",),
    ("oauth_flow", "snapshot"): (),
    ("requests", "arguments"): ("request_id",),
    ("requests", "answer"): ("request_id",),
    ("events", "payload"): ("stream", "sequence"),
    ("stream_snapshots", "snapshot"): ("stream",),
    ("stream_logs", "log"): ("stream",),
    ("facts", "value"): ("fact_key",),
    ("execution_snapshots", "snapshot"): ("execution_id",),
    ("state_values", "value"): ("entry",),
    ("own_values", "value"): ("runtime", "name", "revision"),
    ("queue_batches", "payloads"): ("batch",),
    ("queue_failures", "error"): ("batch",),
    ("output_chunks", "body"): ("chunk",),
}
"""What is sealed anew each time, and the columns whose values say which row it belongs to."""

_WITH_DIGEST: Final = """
    sessions branches session_configs session_metas session_snapshots token_usage checkpoints blobs turns asides
    schedules occurrences results asks children bindings operations oauth_flow streams events stream_snapshots stream_logs facts
    execution_snapshots state_values state_clock session_moves own_states own_values own_writes queue_counter queue_batches
    queue_claims queue_failures queue_rates attachments output_chunks output_floors label_sets
"""

DIGESTS: Final[frozenset[Column]] = frozenset(
    [
        ("runtimes", "chain"),
        ("receipts", "chain"),
        ("receipts", "conversation_digest"),
        ("links", "chain"),
        ("anchors", "chain"),
        ("inputs", "payload_digest"),
        ("inputs", "seal"),
        ("sends", "payload_digest"),
        ("sends", "seal"),
        ("entries", "arguments_digest"),
        ("entries", "result_digest"),
        ("nodes", "digest"),
        ("nodes", "seal"),
        ("attachments", "attachment_id"),  # it is the digest of the bytes, in hex
        ("attachment_removals", "attachment_id"),
        *[(table, "digest") for table in _WITH_DIGEST.split()],
    ]
)
"""What is sealed the same each time, so that it can be looked for and compared. Those of `queue_starts` and `node_floor` are
of numbers alone, and an engine reads the latter by itself."""

SEALED_AT_ONCE: Final[tuple[Column, ...]] = (
    ("blobs", "digest"),
    ("attachments", "attachment_id"),
    ("attachment_removals", "attachment_id"),
)
"""Digests that rows are looked for by: in a store with contents these are sealed when it gets its codec, and not one by one."""
