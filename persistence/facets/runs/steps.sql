-- name: steps.record
-- A failed or dispatched step is recorded again by its next attempt.
INSERT INTO steps (run, name, ordinal, arguments_digest, version, repeat, status, result, error, result_digest,
                   started_at, ended_at)
VALUES (:run, :name, :ordinal, :arguments_digest, :version, :repeat, :status, :result, :error, :result_digest,
        :started_at, :ended_at)
ON CONFLICT (run, name, ordinal) DO UPDATE
SET status = excluded.status, result = excluded.result, error = excluded.error, version = excluded.version,
    result_digest = excluded.result_digest, scheme = excluded.scheme,
    started_at = excluded.started_at, ended_at = excluded.ended_at;

-- name: steps.forget
DELETE FROM steps WHERE run = :run AND name = :name AND ordinal = :ordinal AND status IN ('in_doubt', :or_status);

-- name: steps.catch
UPDATE steps SET status = 'caught' WHERE run = :run AND name = :name AND ordinal = :ordinal AND status = 'failed';

-- name: steps.doubt
UPDATE steps SET status = 'in_doubt'
WHERE run = :run AND name = :name AND ordinal = :ordinal AND status IN ('in_doubt', 'dispatched');

-- name: steps.settle
UPDATE steps SET status = 'succeeded', result = :result, error = NULL, result_digest = :result_digest, ended_at = :now
WHERE run = :run AND name = :name AND ordinal = :ordinal AND status IN ('in_doubt', :or_status);

-- name: steps.of_run
SELECT s.name, s.ordinal, s.arguments_digest, s.version, s.repeat, s.status, s.result, s.error, s.result_digest, s.scheme, u.run_id
FROM steps s JOIN runs u ON u.run = s.run WHERE s.run = :run ORDER BY s.step;
