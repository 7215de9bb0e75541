-- name: dead_letters.find
SELECT i.input, i.phase, i.reason, i.run, i.pruned_at, u.outcome FROM inputs i LEFT JOIN runs u ON u.run = i.run
WHERE i.runtime = :runtime AND i.input_id = :input_id;

-- name: dead_letters.requeue_batch
-- The batch that was abandoned together comes back together, bound to its run. It is no longer late.
UPDATE inputs SET phase = 'queued', reason = NULL, attempts = 0, finished_at = NULL, deadline = NULL, updated_at = :now,
                  history = history || :line
WHERE run = :run AND phase = 'abandoned' AND reason = :reason AND pruned_at IS NULL RETURNING input_id, admission;

-- name: dead_letters.requeue_one
UPDATE inputs SET phase = 'queued', reason = NULL, attempts = 0, finished_at = NULL, deadline = NULL, due_at = NULL, run = NULL,
                  joined = NULL, updated_at = :now, history = history || :line
WHERE input = :input RETURNING input_id, admission;

-- name: dead_letters.requeue_batch_fresh
UPDATE inputs SET phase = 'queued', reason = NULL, attempts = 0, finished_at = NULL, deadline = NULL, run = NULL, joined = NULL,
                  updated_at = :now, history = history || :line
WHERE run = :run AND phase = 'abandoned' AND reason = :reason AND pruned_at IS NULL RETURNING input_id, admission;

-- name: dead_letters.prune
UPDATE inputs SET pruned_at = :now, updated_at = :now WHERE input = :input;

-- name: dead_letters.drop_payload
DELETE FROM payloads WHERE input = :input;

-- name: dead_letters.page
-- Abandoned inputs, what the runtime sent and no target took, and runs that ended in doubt.
SELECT i.input_id, i.kind, i.reason, i.error, i.attempts, p.payload, NULL, i.payload_digest, i.scheme, i.run, i.extra
FROM runtimes r JOIN runs u ON u.runtime = r.runtime JOIN inputs i ON i.run = u.run AND i.runtime = u.runtime
     JOIN payloads p ON p.input = i.input
WHERE r.runtime_id = :runtime_id AND i.phase = 'abandoned' AND i.input_id > :after
UNION ALL
SELECT i.input_id, i.kind, i.reason, i.error, i.attempts, p.payload, NULL, i.payload_digest, i.scheme, i.run, i.extra
FROM runtimes r JOIN inputs i ON i.runtime = r.runtime JOIN payloads p ON p.input = i.input
WHERE r.runtime_id = :runtime_id AND i.run IS NULL AND i.finished_at IS NOT NULL AND i.phase = 'abandoned' AND i.input_id > :after
UNION ALL
SELECT s.input_id, 'peer_message', 'refused', s.refused, 0, s.payload, s.target, s.payload_digest, s.scheme, NULL, s.terms
FROM sends s JOIN runs u ON u.run = s.run JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND s.payload IS NOT NULL AND s.input_id > :after
UNION ALL
SELECT u.run_id, '', 'in_doubt', NULL, 0, NULL, NULL, NULL, 1, u.run, NULL
FROM runs u JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND u.in_doubt = 1 AND u.run_id > :after
ORDER BY 1 LIMIT :count;

-- name: dead_letters.find_doubt
SELECT 1 FROM runs WHERE runtime = :runtime AND run_id = :run_id AND in_doubt = 1;

-- name: dead_letters.drop_doubt
UPDATE runs SET in_doubt = 0 WHERE runtime = :runtime AND run_id = :run_id AND in_doubt = 1;
