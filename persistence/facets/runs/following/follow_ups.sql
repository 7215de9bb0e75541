-- name: follow_ups.followed_runtime
-- Of a kind whose abandoned batches are followed.
SELECT r.runtime_id FROM runtimes r JOIN followed_kinds k ON k.kind = r.kind WHERE r.runtime = :runtime;

-- name: follow_ups.followed_run
SELECT r.runtime_id FROM runs u JOIN runtimes r ON r.runtime = u.runtime JOIN followed_kinds k ON k.kind = r.kind
WHERE u.run = :run AND u.follows = 0;

-- name: follow_ups.run_of
-- The run that had an input, and whether that itself follows a batch.
SELECT u.run_id, coalesce(u.follows, 0) FROM inputs i LEFT JOIN runs u ON u.run = i.run
WHERE i.runtime = :runtime AND i.input_id = :input_id;

-- name: follow_ups.bind
UPDATE inputs SET run = :run WHERE input = :input;

-- name: follow_ups.member
-- One of the batch that is followed.
SELECT i.input_id, i.kind, i.source, i.idempotency_key, i.attempts, i.phase, i.joined, i.fitted, i.deadline, i.extra, p.payload,
       i.payload_digest
FROM inputs i JOIN payloads p ON p.input = i.input
WHERE i.runtime = :runtime AND i.input_id = :input_id AND i.pruned_at IS NULL;

-- name: follow_ups.run_by_id
SELECT run FROM runs WHERE runtime = :runtime AND run_id = :run_id;

-- name: follow_ups.kinds
SELECT kind FROM followed_kinds ORDER BY kind;

-- name: follow_ups.follow_kind
INSERT INTO followed_kinds (followed_kind, kind) VALUES (:key, :kind);

-- name: follow_ups.leave_kind
DELETE FROM followed_kinds WHERE kind = :kind;
