-- name: steps.record
-- A failed or dispatched step is recorded again by its next attempt.
INSERT INTO steps (run, name, ordinal, arguments_digest, version, repeat, status, result, error, started_at, ended_at)
VALUES (:run, :name, :ordinal, :arguments_digest, :version, :repeat, :status, :result, :error, :started_at, :ended_at)
ON CONFLICT (run, name, ordinal) DO UPDATE
SET status = excluded.status, result = excluded.result, error = excluded.error, version = excluded.version,
    started_at = excluded.started_at, ended_at = excluded.ended_at;

-- name: steps.forget
DELETE FROM steps WHERE run = :run AND name = :name AND ordinal = :ordinal AND status IN ('in_doubt', :or_status);

-- name: steps.catch
UPDATE steps SET status = 'caught' WHERE run = :run AND name = :name AND ordinal = :ordinal AND status = 'failed';

-- name: steps.doubt
UPDATE steps SET status = 'in_doubt'
WHERE run = :run AND name = :name AND ordinal = :ordinal AND status IN ('in_doubt', 'dispatched');

-- name: steps.settle
UPDATE steps SET status = 'succeeded', result = :result, ended_at = :now
WHERE run = :run AND name = :name AND ordinal = :ordinal AND status IN ('in_doubt', :or_status);

-- name: steps.of_run
SELECT name, ordinal, arguments_digest, version, repeat, status, result, error FROM steps
WHERE run = :run ORDER BY step;
