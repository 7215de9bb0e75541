-- Candidates are looked for outside a write transaction and judged again inside, so that no lock is held while looking.
-- From a key on, up to another one: of kinds that are kept for other times each candidate is looked at by itself.

-- name: prunable.old_receipts
SELECT receipt FROM receipts WHERE receipt > :after AND receipt <= :last AND committed_at < :before ORDER BY receipt LIMIT :count;

-- name: prunable.old_runs
SELECT run FROM runs
WHERE run > :after AND run <= :last AND coalesce(ended_at, started_at) < :before ORDER BY run LIMIT :count;

-- name: prunable.old_inputs
SELECT input FROM inputs
WHERE input > :after AND input <= :last AND run IS NULL
  AND ((phase = 'abandoned' AND pruned_at IS NULL AND finished_at < :dead_before)
       OR ((phase <> 'abandoned' OR pruned_at IS NOT NULL) AND finished_at < :before))
  AND (pruned_at IS NULL OR pruned_at <= :keys_before)
ORDER BY input LIMIT :count;

-- name: prunable.old_nodes
-- A run that may be entered again reads the conversation as it stood when it began.
SELECT n.node FROM nodes n JOIN sessions s ON s.session = n.session
WHERE n.node > :after AND n.node <= :last AND n.tombstoned_at < :before AND n.run IS NULL
  AND (s.runtime IS NULL OR s.runtime NOT IN (
      SELECT u.runtime FROM runs u WHERE u.base IS NOT NULL AND (u.outcome IS NULL OR u.outcome <> 'finished')))
ORDER BY n.node LIMIT :count;

-- name: prunable.kind_of_receipts
SELECT t.kind FROM receipts r JOIN runtimes t ON t.runtime = r.runtime WHERE r.receipt = :key;

-- name: prunable.kind_of_runs
SELECT t.kind FROM runs u JOIN runtimes t ON t.runtime = u.runtime WHERE u.run = :key;

-- name: prunable.kind_of_inputs
SELECT t.kind FROM inputs i JOIN runtimes t ON t.runtime = i.runtime WHERE i.input = :key;

-- name: prunable.kind_of_nodes
SELECT t.kind FROM nodes n JOIN sessions s ON s.session = n.session JOIN runtimes t ON t.runtime = s.runtime
WHERE n.node = :key;

-- name: prunable.receipt
SELECT runtime, run, position, chain FROM receipts WHERE receipt = :receipt AND committed_at < :before;

-- name: prunable.link_at
SELECT link, chain FROM links WHERE runtime = :runtime AND position = :position AND committed_at < :before;

-- name: prunable.is_dead
-- Something of it waits for a person.
SELECT 1 FROM runs u WHERE u.run = :run
  AND (u.in_doubt = 1
       OR EXISTS (SELECT 1 FROM inputs i WHERE i.run = u.run AND i.phase = 'abandoned' AND i.pruned_at IS NULL)
       OR EXISTS (SELECT 1 FROM sends s WHERE s.run = u.run AND s.payload IS NOT NULL));

-- name: prunable.is_over
-- It can neither be entered again nor get another boundary.
SELECT 1 FROM runs u JOIN runtimes t ON t.runtime = u.runtime
WHERE u.run = :run AND (t.run IS NULL OR t.run <> u.run) AND u.reopened_at IS NULL
  AND coalesce(u.ended_at, u.started_at) < :before
  AND (u.ended_at IS NOT NULL OR u.pruned_at IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM receipts c WHERE c.run = u.run AND c.boundary = 'run_checkpoint'
                      AND c.sequence = (SELECT max(m.sequence) FROM receipts m WHERE m.run = u.run)))
  AND NOT EXISTS (SELECT 1 FROM receipts c WHERE c.run = u.run AND c.committed_at >= :before)
  AND NOT EXISTS (SELECT 1 FROM inputs i WHERE i.run = u.run
                  AND (i.finished_at IS NULL OR i.finished_at >= :before));

-- name: prunable.has_receipts
SELECT 1 FROM receipts WHERE run = :run LIMIT 1;

-- name: prunable.anchor
SELECT position, chain FROM anchors WHERE runtime = :runtime;

-- name: prunable.save_anchor
INSERT INTO anchors (runtime, position, chain, pruned_at) VALUES (:runtime, :position, :chain, :now)
ON CONFLICT (runtime) DO UPDATE
SET position = excluded.position, chain = excluded.chain, pruned_at = excluded.pruned_at;

-- name: prunable.first_link
-- When the first link of a chain was committed that is still there.
SELECT min(at) FROM (
    SELECT min(r.committed_at) AS at
    FROM runtimes t JOIN runs u ON u.runtime = t.runtime JOIN receipts r ON r.run = u.run AND r.runtime = u.runtime
    WHERE t.runtime_id = :runtime_id
    UNION ALL
    SELECT min(l.committed_at) FROM links l JOIN runtimes t ON t.runtime = l.runtime WHERE t.runtime_id = :runtime_id
) AS firsts;

-- name: prunable.anchor_of
SELECT a.position, a.chain, a.pruned_at FROM anchors a JOIN runtimes r ON r.runtime = a.runtime
WHERE r.runtime_id = :runtime_id;

-- name: prunable.delete_receipt
DELETE FROM receipts WHERE receipt = :receipt;

-- name: prunable.delete_link
DELETE FROM links WHERE link = :link;

-- name: prunable.mark_run
UPDATE runs SET pruned_at = :now WHERE run = :run;

-- name: prunable.delete_entries
DELETE FROM entries WHERE run = :run;

-- name: prunable.delete_sends
DELETE FROM sends WHERE run = :run;

-- name: prunable.delete_asks
DELETE FROM asks WHERE run = :run;

-- name: prunable.delete_results
DELETE FROM results WHERE run = :run;

-- name: prunable.free_nodes
UPDATE nodes SET run = NULL, boundary = NULL WHERE run = :run;

-- name: prunable.delete_payloads
DELETE FROM payloads WHERE input IN (SELECT input FROM inputs WHERE run = :run);

-- name: prunable.keep_keys
UPDATE inputs SET run = NULL, boundary = NULL, joined = NULL, pruned_at = coalesce(pruned_at, :now)
WHERE run = :run AND idempotency_key IS NOT NULL;

-- name: prunable.delete_inputs
DELETE FROM inputs WHERE run = :run;

-- name: prunable.delete_run
DELETE FROM runs WHERE run = :run;

-- name: prunable.input
SELECT idempotency_key, pruned_at FROM inputs
WHERE input = :input AND run IS NULL
  AND ((phase = 'abandoned' AND pruned_at IS NULL AND finished_at < :dead_before)
       OR ((phase <> 'abandoned' OR pruned_at IS NOT NULL) AND finished_at < :before));

-- name: prunable.delete_payload
DELETE FROM payloads WHERE input = :input;

-- name: prunable.keep_key
UPDATE inputs SET pruned_at = :now WHERE input = :input;

-- name: prunable.delete_input
DELETE FROM inputs WHERE input = :input;

-- name: prunable.delete_node
-- The runtime is in no run, and none waits to be entered again.
DELETE FROM nodes
WHERE node = :node AND tombstoned_at < :before AND run IS NULL
  AND NOT EXISTS (SELECT 1 FROM sessions s JOIN runtimes r ON r.runtime = s.runtime
                  WHERE s.session = nodes.session
                    AND (r.run IS NOT NULL
                         OR EXISTS (SELECT 1 FROM runs u WHERE u.runtime = r.runtime AND u.reopened_at IS NOT NULL)));
