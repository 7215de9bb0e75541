-- name: input_records.find
SELECT input, phase, reason, successor, admission, payload_digest, lane, created_at, generation FROM inputs
WHERE input_id = :input_id AND runtime = :runtime;

-- name: input_records.drop_key
UPDATE inputs SET idempotency_key = NULL WHERE input = :input;

-- name: input_records.key_owner
SELECT input_id FROM inputs WHERE runtime = :runtime AND idempotency_key = :idempotency_key AND input <> :input;

-- name: input_records.set_key
UPDATE inputs SET idempotency_key = :idempotency_key WHERE input = :input;

-- name: input_records.insert
INSERT INTO inputs (input, input_id, runtime, generation, admission, kind, lane, durability, source, payload_digest, seal,
                    phase, reason, run, attempts, boundary, error, created_at, updated_at, finished_at, record_version,
                    supersession_key, successor, extra, recoveries, history)
VALUES (:key, :input_id, :runtime, :generation, coalesce(CAST(:admission AS BIGINT), :key), :kind, :lane, :durability, :source, :payload_digest,
        :seal, :phase, :reason, :run, :attempts, :boundary, :error, :created_at, :now, :finished_at, :record_version,
        :supersession_key, :successor, :extra, :recoveries, :history);

-- name: input_records.update
UPDATE inputs
SET admission = :admission, kind = :kind, lane = :lane, durability = :durability, source = :source,
    payload_digest = :payload_digest, seal = :seal, scheme = :scheme, phase = :phase, reason = :reason, run = :run, attempts = :attempts,
    boundary = :boundary, error = :error, created_at = :created_at, updated_at = :now, finished_at = :finished_at,
    record_version = :record_version, supersession_key = :supersession_key, successor = :successor, extra = :extra,
    recoveries = :recoveries, history = :history,
    due_at = CASE WHEN :phase = 'accepted' THEN due_at ELSE NULL END
WHERE input = :input;

-- name: input_records.save_payload
INSERT INTO payloads (input, payload) VALUES (:input, :payload)
ON CONFLICT (input) DO UPDATE SET payload = excluded.payload;

-- name: input_records.keys
-- The order is that of admission, which is the row's own and never the row's place.
SELECT i.input FROM runtimes r JOIN runs u ON u.runtime = r.runtime JOIN inputs i ON i.run = u.run AND i.runtime = u.runtime
WHERE r.runtime_id = :runtime_id
UNION ALL
SELECT i.input FROM runtimes r JOIN inputs i ON i.runtime = r.runtime
WHERE r.runtime_id = :runtime_id AND i.run IS NULL AND i.finished_at IS NULL
UNION ALL
SELECT i.input FROM runtimes r JOIN inputs i ON i.runtime = r.runtime
WHERE r.runtime_id = :runtime_id AND i.run IS NULL AND i.finished_at IS NOT NULL
ORDER BY 1;

-- name: input_records.key_of
SELECT i.input FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
WHERE r.runtime_id = :runtime_id AND i.input_id = :input_id;

-- name: input_records.load
SELECT i.input_id, i.record_version, i.kind, i.phase, p.payload, i.source, i.durability, i.idempotency_key,
       i.supersession_key, i.lane, i.admission, i.history, i.reason, i.successor, i.error, i.attempts, u.run_id, i.boundary,
       i.extra, i.created_at, i.updated_at, i.payload_digest, i.run, i.recoveries, i.pruned_at,
       r.runtime_id, i.generation, i.seal, i.scheme
FROM inputs i LEFT JOIN payloads p ON p.input = i.input LEFT JOIN runs u ON u.run = i.run JOIN runtimes r ON r.runtime = i.runtime
WHERE i.input = :input;
