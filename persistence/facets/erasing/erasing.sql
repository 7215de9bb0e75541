-- Rows are looked for in reads, a page at a time, and deleted by their keys: no commit is long, and none goes over a table.

-- name: erasing.begin
INSERT INTO erasures (runtime, peers, stage, asked_at) VALUES (:runtime, :peers, 0, :now)
ON CONFLICT (runtime) DO UPDATE SET peers = excluded.peers, stage = 0, asked_at = excluded.asked_at, done_at = NULL;

-- name: erasing.find
SELECT e.runtime, e.peers, e.stage, e.asked_at, e.done_at FROM erasures e JOIN runtimes r ON r.runtime = e.runtime
WHERE r.runtime_id = :runtime_id;

-- name: erasing.unfinished
SELECT r.runtime_id FROM erasures e JOIN runtimes r ON r.runtime = e.runtime WHERE e.done_at IS NULL ORDER BY e.runtime;

-- name: erasing.all
SELECT e.runtime, e.peers, e.stage, e.asked_at, e.done_at, r.state FROM erasures e
LEFT JOIN runtimes r ON r.runtime = e.runtime ORDER BY e.runtime;

-- name: erasing.move
UPDATE erasures SET stage = :stage, done_at = :done_at WHERE runtime = :runtime;

-- name: erasing.look_inputs
SELECT input FROM inputs WHERE runtime = :runtime AND input > :after ORDER BY input LIMIT :count;

-- name: erasing.look_runs
SELECT run FROM runs WHERE runtime = :runtime AND run > :after ORDER BY run LIMIT :count;

-- name: erasing.look_receipts
SELECT receipt FROM receipts WHERE runtime = :runtime AND receipt > :after ORDER BY receipt LIMIT :count;

-- name: erasing.look_links
SELECT link FROM links WHERE runtime = :runtime AND link > :after ORDER BY link LIMIT :count;

-- name: erasing.look_own_values
SELECT own_value FROM own_values WHERE runtime = :runtime AND own_value > :after ORDER BY own_value LIMIT :count;

-- name: erasing.look_output_chunks
SELECT chunk FROM output_chunks WHERE runtime = :runtime AND chunk > :after ORDER BY chunk LIMIT :count;

-- name: erasing.look_streams
SELECT stream FROM streams WHERE runtime = :runtime AND stream > :after ORDER BY stream LIMIT :count;

-- name: erasing.look_references
SELECT f.reference FROM fact_references f JOIN streams s ON s.stream = f.stream
WHERE s.runtime = :runtime AND f.reference > :after ORDER BY f.reference LIMIT :count;

-- name: erasing.look_events
SELECT e.event FROM events e JOIN streams s ON s.stream = e.stream
WHERE s.runtime = :runtime AND e.event > :after ORDER BY e.event LIMIT :count;

-- name: erasing.look_executions
SELECT binding FROM execution_bindings WHERE runtime = :runtime AND binding > :after ORDER BY binding LIMIT :count;

-- name: erasing.look_attachments
SELECT a.attachment FROM attachments a JOIN sessions s ON s.session_id = a.session_id
WHERE s.runtime = :runtime AND a.attachment > :after ORDER BY a.attachment LIMIT :count;

-- name: erasing.look_sessions
SELECT session FROM sessions WHERE runtime = :runtime AND session > :after ORDER BY session LIMIT :count;

-- name: erasing.look_nodes
SELECT n.node FROM nodes n JOIN sessions s ON s.session = n.session
WHERE s.runtime = :runtime AND n.node > :after ORDER BY n.node LIMIT :count;

-- name: erasing.look_occurrences
SELECT o.occurrence FROM occurrences o JOIN schedules s ON s.schedule = o.schedule
WHERE s.runtime_id = :runtime_id AND o.occurrence > :after ORDER BY o.occurrence LIMIT :count;

-- name: erasing.look_schedules
SELECT schedule FROM schedules WHERE runtime_id = :runtime_id AND schedule > :after ORDER BY schedule LIMIT :count;

-- name: erasing.look_peer_inputs
-- What it has sent to others, by the source of the input.
SELECT input FROM inputs
WHERE substr(source, 1, length(:source)) = :source AND runtime <> :runtime AND input > :after ORDER BY input LIMIT :count;

-- name: erasing.look_peer_sends
SELECT send FROM sends WHERE target = :runtime_id AND send > :after ORDER BY send LIMIT :count;

-- name: erasing.look_peer_asks
SELECT ask FROM asks WHERE target = :runtime AND ask > :after ORDER BY ask LIMIT :count;

-- name: erasing.delete_payload
DELETE FROM payloads WHERE input = :key;

-- name: erasing.delete_input
DELETE FROM inputs WHERE input = :key;

-- name: erasing.delete_entries
DELETE FROM entries WHERE run = :key;

-- name: erasing.delete_sends
DELETE FROM sends WHERE run = :key;

-- name: erasing.delete_results
DELETE FROM results WHERE run = :key;

-- name: erasing.delete_asks
DELETE FROM asks WHERE run = :key;

-- name: erasing.delete_moves
DELETE FROM session_moves WHERE run = :key;

-- name: erasing.delete_own_writes
DELETE FROM own_writes WHERE run = :key;

-- name: erasing.delete_receipts
DELETE FROM receipts WHERE run = :key;

-- name: erasing.delete_run
DELETE FROM runs WHERE run = :key;

-- name: erasing.delete_receipt
DELETE FROM receipts WHERE receipt = :key;

-- name: erasing.delete_link
DELETE FROM links WHERE link = :key;

-- name: erasing.delete_own_value
DELETE FROM own_values WHERE own_value = :key;

-- name: erasing.forget_said
UPDATE runs SET said = NULL WHERE runtime = :runtime AND said IS NOT NULL;

-- name: erasing.delete_output_chunk
DELETE FROM output_chunks WHERE chunk = :key;

-- name: erasing.delete_occurrence
DELETE FROM occurrences WHERE occurrence = :key;

-- name: erasing.newest_output
SELECT chunk, entries FROM output_chunks ORDER BY chunk DESC LIMIT 1;

-- name: erasing.delete_output_floor
-- But for the highest of all: no key of a chunk comes again.
DELETE FROM output_floors WHERE runtime = :runtime AND chunk <= (SELECT coalesce(max(chunk), 0) FROM output_chunks);

-- name: erasing.hide_stream
-- From here on nobody finds it, as where a stream is deleted.
UPDATE streams SET stream_id = NULL WHERE stream = :key;

-- name: erasing.delete_stream_snapshot
DELETE FROM stream_snapshots WHERE stream = :key;

-- name: erasing.delete_stream_log
DELETE FROM stream_logs WHERE stream = :key;

-- name: erasing.delete_event
DELETE FROM events WHERE event = :key;

-- name: erasing.fact
SELECT fact FROM fact_references WHERE reference = :key;

-- name: erasing.delete_reference
DELETE FROM fact_references WHERE reference = :key;

-- name: erasing.delete_fact
-- One fact stands for all who refer to it.
DELETE FROM facts WHERE fact = :fact AND NOT EXISTS (SELECT 1 FROM fact_references u WHERE u.fact = facts.fact);

-- name: erasing.execution
SELECT execution_id FROM execution_bindings WHERE binding = :key;

-- name: erasing.delete_execution
DELETE FROM execution_snapshots WHERE execution_id = :execution_id;

-- name: erasing.delete_values
-- Ids may hold colons: what stands below this one and is bound to another runtime is that one's.
DELETE FROM state_values WHERE value_key >= :first AND value_key < :behind
AND NOT EXISTS (
    SELECT 1 FROM execution_bindings b WHERE b.runtime <> :runtime
    AND ((state_values.value_key >= b.execution_id || ':' AND state_values.value_key < b.execution_id || ';')
        OR (state_values.value_key >= 'exec:' || b.execution_id || ':'
            AND state_values.value_key < 'exec:' || b.execution_id || ';')));

-- name: erasing.delete_binding
DELETE FROM execution_bindings WHERE binding = :key;

-- name: erasing.bound
SELECT r.runtime FROM execution_bindings b JOIN runtimes r ON r.runtime = b.runtime WHERE b.execution_id = :execution_id;

-- name: erasing.attachment
SELECT attachment_id FROM attachments WHERE attachment = :key;

-- name: erasing.delete_attachment
DELETE FROM attachments WHERE attachment = :key;

-- name: erasing.removals
SELECT attachment_id FROM attachment_removals ORDER BY removal;

-- name: erasing.delete_failures
DELETE FROM queue_failures WHERE session_id = (SELECT session_id FROM sessions WHERE session = :key);

-- name: erasing.delete_claims
DELETE FROM queue_claims WHERE session_id = (SELECT session_id FROM sessions WHERE session = :key);

-- name: erasing.delete_batches
DELETE FROM queue_batches WHERE session_id = (SELECT session_id FROM sessions WHERE session = :key);

-- name: erasing.parts
SELECT blob FROM checkpoint_parts WHERE session = :key;

-- name: erasing.delete_parts
DELETE FROM checkpoint_parts WHERE session = :key;

-- name: erasing.delete_blob
DELETE FROM blobs WHERE blob = :blob AND NOT EXISTS (SELECT 1 FROM checkpoint_parts p WHERE p.blob = blobs.blob);

-- name: erasing.delete_checkpoint
DELETE FROM checkpoints WHERE session = :key;

-- name: erasing.delete_turns
DELETE FROM turns WHERE session = :key;

-- name: erasing.delete_usage
DELETE FROM token_usage WHERE session = :key;

-- name: erasing.delete_session_meta
DELETE FROM session_metas WHERE session = :key;

-- name: erasing.delete_session_config
DELETE FROM session_configs WHERE session = :key;

-- name: erasing.delete_branches
DELETE FROM branches WHERE session = :key;

-- name: erasing.delete_snapshot
DELETE FROM session_snapshots WHERE session = :key;

-- name: erasing.empty_session
-- Its messages go in pages; until then it is an empty one.
UPDATE sessions SET head = NULL, message_count = 0, digest = :digest WHERE session = :key;

-- name: erasing.hide_nodes
UPDATE nodes SET tombstoned_at = coalesce(tombstoned_at, :now) WHERE session = :key;

-- name: erasing.delete_node
DELETE FROM nodes WHERE node = :key;

-- name: erasing.delete_sessions
DELETE FROM sessions WHERE runtime = :runtime;

-- name: erasing.delete_own_state
DELETE FROM own_states WHERE runtime = :runtime;

-- name: erasing.delete_own_writes_left
DELETE FROM own_writes WHERE runtime = :runtime;

-- name: erasing.delete_streams
DELETE FROM streams WHERE runtime = :runtime;

-- name: erasing.delete_lifecycle_binding
DELETE FROM bindings WHERE runtime = :runtime;

-- name: erasing.delete_quarantine
DELETE FROM quarantines WHERE runtime = :runtime;

-- name: erasing.delete_operations
DELETE FROM operations WHERE runtime = :runtime;

-- name: erasing.delete_anchor
DELETE FROM anchors WHERE runtime = :runtime;

-- name: erasing.delete_requests
-- Those by which it was destroyed are read by who asked, and hold nothing of anybody.
DELETE FROM requests WHERE runtime = :runtime AND verb <> 'destroy';

-- name: erasing.delete_labels
DELETE FROM labels WHERE runtime = :runtime;

-- name: erasing.delete_label_set
DELETE FROM label_sets WHERE runtime = :runtime;

-- name: erasing.delete_hold
DELETE FROM holds WHERE runtime_id = :runtime_id;

-- name: erasing.peer_input
-- It has ended, and what is known of it is of no further use to a run.
SELECT 1 FROM inputs i LEFT JOIN runs u ON u.run = i.run
WHERE i.input = :key AND i.finished_at IS NOT NULL AND i.phase <> 'abandoned'
  AND (i.run IS NULL OR u.outcome = 'finished');

-- name: erasing.blank_input
UPDATE inputs SET payload_digest = :none, seal = :none, scheme = :erased, error = NULL, extra = NULL,
    pruned_at = coalesce(pruned_at, :now)
WHERE input = :key;

-- name: erasing.delete_result
DELETE FROM results WHERE run = (SELECT run FROM inputs WHERE input = :key) AND (
    input = :key
    OR (input = 0 AND NOT EXISTS (SELECT 1 FROM inputs o WHERE o.run = results.run AND o.input <> :key)));

-- name: erasing.peer_send
SELECT 1 FROM sends s JOIN runs u ON u.run = s.run WHERE s.send = :key AND u.outcome = 'finished';

-- name: erasing.blank_send
UPDATE sends SET payload = NULL, payload_digest = :none, seal = :none, scheme = :erased, terms = NULL WHERE send = :key;

-- name: erasing.peer_ask
SELECT a.run, a.place FROM asks a JOIN runs u ON u.run = a.run
WHERE a.ask = :key AND a.ended_at IS NOT NULL AND u.outcome = 'finished';

-- name: erasing.blank_ask
UPDATE asks SET correlation_id = NULL, error = NULL, digest = :none, scheme = :erased WHERE ask = :key;

-- name: erasing.blank_entry
UPDATE entries SET result = NULL, error = NULL, arguments_digest = :none, result_digest = :none, scheme = :erased
WHERE run = :run AND place = :place;
