-- name: dead_letters.find
SELECT i.input, i.phase, i.reason, i.run, i.pruned_at, u.outcome FROM inputs i LEFT JOIN runs u ON u.run = i.run
WHERE i.runtime = :runtime AND i.input_id = :input_id;

-- name: dead_letters.requeue_batch
-- The batch that was abandoned together comes back together, bound to its run.
UPDATE inputs SET phase = 'queued', reason = NULL, attempts = 0, finished_at = NULL, updated_at = :now,
                  history = history || :line
WHERE run = :run AND phase = 'abandoned' AND reason = :reason AND pruned_at IS NULL RETURNING input_id, admission;

-- name: dead_letters.requeue_one
UPDATE inputs SET phase = 'queued', reason = NULL, attempts = 0, finished_at = NULL, run = NULL, joined = NULL,
                  updated_at = :now, history = history || :line
WHERE input = :input RETURNING input_id, admission;

-- name: dead_letters.requeue_batch_fresh
UPDATE inputs SET phase = 'queued', reason = NULL, attempts = 0, finished_at = NULL, run = NULL, joined = NULL,
                  updated_at = :now, history = history || :line
WHERE run = :run AND phase = 'abandoned' AND reason = :reason AND pruned_at IS NULL RETURNING input_id, admission;

-- name: dead_letters.prune
UPDATE inputs SET pruned_at = :now, updated_at = :now WHERE input = :input;

-- name: dead_letters.drop_payload
DELETE FROM payloads WHERE input = :input;
