-- name: failures.insert
INSERT INTO queue_failures (batch, session_id, attempts, crashes, failed_at, retry_at, error, digest, scheme)
VALUES (:batch, :session_id, :attempts, :crashes, :failed_at, :retry_at, :error, :digest, :scheme);

-- name: failures.of_batch
SELECT batch, session_id, attempts, crashes, failed_at, retry_at, error, digest, scheme FROM queue_failures WHERE batch = :batch;

-- name: failures.of_session
SELECT batch, session_id, attempts, crashes, failed_at, retry_at, error, digest, scheme
FROM queue_failures WHERE session_id = :session_id ORDER BY batch;

-- name: failures.not_dead
-- However many are dead, they are passed over by the index.
SELECT batch, session_id, attempts, crashes, failed_at, retry_at, error, digest, scheme
FROM queue_failures WHERE session_id = :session_id AND retry_at IS NOT NULL;

-- name: failures.keys
SELECT batch FROM queue_failures WHERE batch > :after ORDER BY batch LIMIT :count;

-- name: failures.delete
DELETE FROM queue_failures WHERE batch = :batch;

-- name: failures.delete_of_claim
DELETE FROM queue_failures
WHERE batch IN (SELECT b.batch FROM queue_batches b WHERE b.session_id = :session_id AND b.claim = :claim);

-- name: queue.delay
UPDATE queue_batches SET delayed_until = :until WHERE batch = :batch AND claim IS NULL;

-- name: queue.come
UPDATE queue_batches SET delayed_until = NULL WHERE batch = :batch AND claim IS NULL AND delayed_until IS NOT NULL;
