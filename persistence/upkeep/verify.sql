-- name: verification.integrity
-- What SQLite finds in its file: pages that cannot be read, indexes that differ from their tables.
SELECT integrity_check FROM pragma_integrity_check;

-- name: verification.runtime
SELECT runtime, boundaries, chain FROM runtimes WHERE runtime_id = :runtime_id;

-- name: verification.runtimes
SELECT runtime_id FROM runtimes WHERE runtime_id > :after ORDER BY runtime_id LIMIT :count;

-- name: verification.count_runtimes
SELECT count(*) FROM runtimes;

-- name: verification.receipt_keys
SELECT r.receipt FROM runs u JOIN receipts r ON r.run = u.run AND r.runtime = u.runtime
WHERE u.runtime = :runtime ORDER BY r.receipt;

-- name: verification.receipt
SELECT t.runtime_id, u.run_id, r.boundary, r.input_ids, r.conversation_digest, r.message_count, r.sequence,
       r.fence_token, r.generation, r.durability, r.committed_at, r.group_number, r.position, r.chain
FROM receipts r JOIN runs u ON u.run = r.run JOIN runtimes t ON t.runtime = r.runtime
WHERE r.receipt = :receipt;

-- name: verification.link_keys
SELECT link FROM links WHERE runtime = :runtime ORDER BY link;

-- name: verification.link
SELECT t.runtime_id, l.event, l.detail, l.fence_token, l.generation, l.committed_at, l.group_number, l.position, l.chain
FROM links l JOIN runtimes t ON t.runtime = l.runtime WHERE l.link = :link;

-- name: verification.node
SELECT node, parent, position, digest, payload, tombstoned_at FROM nodes WHERE node = :node;

-- name: verification.unproven
-- Consumed by a receipt that is not there, and was not pruned.
SELECT i.input_id, i.boundary FROM runs u JOIN inputs i ON i.run = u.run AND i.runtime = u.runtime
WHERE u.runtime = :runtime AND u.pruned_at IS NULL AND i.phase = 'consumed' AND i.boundary IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.run = i.run AND r.sequence = i.boundary);

-- name: verification.counts
SELECT phase, count(*) FROM (
    SELECT i.phase FROM runs u JOIN inputs i ON i.run = u.run AND i.runtime = u.runtime WHERE u.runtime = :runtime
    UNION ALL SELECT phase FROM inputs WHERE runtime = :runtime AND run IS NULL AND finished_at IS NULL
    UNION ALL SELECT phase FROM inputs WHERE runtime = :runtime AND run IS NULL AND finished_at IS NOT NULL
) AS own GROUP BY phase ORDER BY phase;

-- name: verification.facts
SELECT r.kind, r.state, r.held, r.held_detail, r.generation, r.fence_token, r.epoch, r.crashes, r.boundaries, r.created_at,
       r.updated_at, h.incarnation, h.host_name, h.pid, s.session_id, s.revision, s.message_count, s.digest, u.run_id,
       u.attempts, u.retry_at, u.error, q.since
FROM runtimes r LEFT JOIN hosts h ON h.host = r.owner LEFT JOIN sessions s ON s.session = r.session
     LEFT JOIN runs u ON u.run = r.run LEFT JOIN quarantines q ON q.runtime = r.runtime
WHERE r.runtime_id = :runtime_id;

-- name: verification.why
SELECT r.state, r.held, r.held_detail, r.kind, r.runtime, r.run,
       h.incarnation, h.host_name, h.pid, coalesce(h.closed_at, h.lost_at), u.run_id, u.attempts, u.retry_at, u.error
FROM runtimes r LEFT JOIN hosts h ON h.host = r.owner LEFT JOIN runs u ON u.run = r.run
WHERE r.runtime_id = :runtime_id;

-- name: verification.living_hosts
-- What each of them says of the kinds that it has behaviours of.
SELECT host, max_owned, drain FROM hosts WHERE closed_at IS NULL AND lost_at IS NULL ORDER BY host;

-- name: verification.owned_of_kind
SELECT count(*) FROM runtimes WHERE owner = :host AND kind = :kind;

-- name: verification.open_inputs
SELECT count(*) FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL;

-- name: verification.queued
SELECT 1 FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'queued' LIMIT 1;

-- name: verification.oldest_input
SELECT input_id, kind, phase, lane, attempts, created_at, extra FROM inputs
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL ORDER BY admission LIMIT 1;

-- name: verification.staged
SELECT 1 FROM inputs WHERE run = :run AND finished_at IS NULL AND phase = 'staged' LIMIT 1;

-- name: verification.last_step
SELECT kind, place, status, result, started_at FROM entries WHERE run = :run ORDER BY entry DESC LIMIT 1;

-- name: verification.run
-- The current one of a runtime, else the newest; or the one that is named.
SELECT u.run, u.run_id FROM runs u JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND (:run_id = '' OR u.run_id = :run_id)
ORDER BY CASE WHEN u.run = r.run THEN 0 ELSE 1 END, u.run DESC LIMIT 1;

-- name: verification.entries
-- Without their content, unless it is asked for.
SELECT entry, place, kind, name, repeat, status, attempt, version, arguments_digest, started_at, ended_at, next_at,
       length(result), CASE WHEN :content = 1 THEN result END, CASE WHEN :content = 1 THEN error END
FROM entries WHERE run = :run AND entry > :after ORDER BY entry LIMIT :count;

-- name: verification.entry_of_now
-- The oldest that is not over: side by side there may be several. Else the newest.
SELECT entry, place, kind, name, repeat, status, attempt, version, arguments_digest, started_at, ended_at, next_at,
       NULL, NULL, NULL
FROM entries WHERE run = :run
ORDER BY CASE WHEN status IN ('dispatched', 'in_doubt', 'retrying') THEN 0 ELSE 1 END,
         CASE WHEN status IN ('dispatched', 'in_doubt', 'retrying') THEN entry ELSE -entry END LIMIT 1;

-- name: verification.unfinished_runs
SELECT u.run, r.runtime_id, r.kind, u.run_id, u.attempts, u.started_at, u.retry_at, r.held, e.place, e.name, e.started_at
FROM runs u JOIN runtimes r ON r.runtime = u.runtime
LEFT JOIN entries e ON e.entry = (SELECT max(l.entry) FROM entries l WHERE l.run = u.run)
WHERE u.ended_at IS NULL AND u.run > :after ORDER BY u.run LIMIT :count;

-- name: verification.versions
SELECT version FROM entries WHERE run = :run GROUP BY version ORDER BY max(entry);

-- name: verification.dead_letters
-- Counted no further than asked, each part.
SELECT (SELECT count(*) FROM (SELECT 1 FROM runs u JOIN inputs i ON i.run = u.run AND i.runtime = u.runtime
                              JOIN payloads p ON p.input = i.input
                              WHERE u.runtime = :runtime AND i.phase = 'abandoned' LIMIT :count) AS letters)
     + (SELECT count(*) FROM (SELECT 1 FROM inputs i JOIN payloads p ON p.input = i.input
                              WHERE i.runtime = :runtime AND i.run IS NULL AND i.finished_at IS NOT NULL
                                AND i.phase = 'abandoned' LIMIT :count) AS others)
     + (SELECT count(*) FROM (SELECT 1 FROM sends s JOIN runs u ON u.run = s.run
                              WHERE u.runtime = :runtime AND s.payload IS NOT NULL LIMIT :count) AS refused)
     + (SELECT count(*) FROM (SELECT 1 FROM runs WHERE runtime = :runtime AND in_doubt = 1 LIMIT :count) AS doubts);

-- name: verification.open_requests
SELECT verb, created_at FROM requests WHERE runtime = :runtime AND done_at IS NULL ORDER BY request;

-- name: verification.newest_receipts
SELECT r.receipt, r.position, r.committed_at, r.boundary, u.run_id, r.sequence, r.message_count, r.input_ids
FROM runs u JOIN receipts r ON r.run = u.run AND r.runtime = u.runtime
WHERE u.runtime = :runtime ORDER BY r.receipt DESC LIMIT :count;

-- name: verification.receipts_after
SELECT r.receipt, r.position, r.committed_at, r.boundary, u.run_id, r.sequence, r.message_count, r.input_ids
FROM runs u JOIN receipts r ON r.run = u.run AND r.runtime = u.runtime
WHERE u.runtime = :runtime AND r.receipt > :after ORDER BY r.receipt;

-- name: verification.newest_links
SELECT link, position, committed_at, event, detail FROM links WHERE runtime = :runtime ORDER BY link DESC LIMIT :count;

-- name: verification.links_after
SELECT link, position, committed_at, event, detail FROM links WHERE runtime = :runtime AND link > :after ORDER BY link;
