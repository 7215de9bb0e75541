-- name: queue.counter
SELECT last_batch, digest, scheme, (SELECT coalesce(max(batch), 0) FROM queue_batches), (SELECT last_fence_token FROM store)
FROM queue_counter WHERE singleton = 1;

-- name: queue.begin_counter
INSERT INTO queue_counter (singleton, last_batch, digest) VALUES (1, :last_batch, :digest);

-- name: queue.raise_counter
UPDATE queue_counter SET last_batch = :last_batch, digest = :digest, scheme = :scheme WHERE singleton = :singleton;

-- name: queue.insert
INSERT INTO queue_batches (batch, session_id, source_key, delayed_until, fence, delivery, slot, merge_key, available_at,
    enqueued_at, digest, payloads)
VALUES (:batch, :session_id, :source_key, :delayed_until, 0, :delivery, :slot, :merge_key, :available_at, :now_ms, :digest,
    :payloads);

-- name: queue.by_source
SELECT batch FROM queue_batches WHERE session_id = :session_id AND source_key = :source_key;

-- name: queue.batch
SELECT batch, session_id, source_key, claim, delayed_until, fence, delivery, slot, merge_key, available_at, enqueued_at, digest,
    scheme, payloads
FROM queue_batches WHERE batch = :batch;

-- name: queue.of_session
SELECT batch, session_id, source_key, claim, delayed_until, fence, delivery, slot, merge_key, available_at, enqueued_at, digest,
    scheme, payloads
FROM queue_batches WHERE session_id = :session_id ORDER BY batch;

-- name: queue.delayed
SELECT delayed_until FROM queue_batches
WHERE session_id = :session_id AND claim IS NULL AND delayed_until IS NOT NULL ORDER BY delayed_until LIMIT 1;

-- name: queue.let_come
-- What was due once stays so, whatever the clock does.
UPDATE queue_batches SET delayed_until = NULL
WHERE session_id = :session_id AND claim IS NULL AND delayed_until <= :now_ms;

-- name: queue.front
-- The first batch of a session that stands in the queue and is free, when the next of those is due that wait for their time, and
-- whether there are claims, or failures that are tried again: all that decides a claim, where there are none.
SELECT h.batch, h.session_id, h.source_key, h.claim, h.delayed_until, h.fence, h.delivery, h.slot, h.merge_key, h.available_at,
    h.enqueued_at, h.digest, h.scheme, h.payloads,
    (SELECT d.delayed_until FROM queue_batches d
     WHERE d.session_id = :session_id AND d.claim IS NULL AND d.delayed_until IS NOT NULL ORDER BY d.delayed_until LIMIT 1),
    (SELECT c.claim FROM queue_claims c WHERE c.session_id = :session_id LIMIT 1),
    (SELECT f.batch FROM queue_failures f WHERE f.session_id = :session_id AND f.retry_at IS NOT NULL LIMIT 1)
FROM (SELECT 1 AS one) o
LEFT JOIN queue_batches h ON h.batch = (
    SELECT b.batch FROM queue_batches b
    WHERE b.session_id = :session_id AND b.claim IS NULL AND b.delayed_until IS NULL ORDER BY b.batch LIMIT 1);

-- name: queue.following
-- What stands in the queue and is free, where something of the session was claimed just now.
SELECT b.batch, b.enqueued_at, b.available_at, (SELECT f.crashes FROM queue_failures f WHERE f.batch = b.batch)
FROM queue_batches b
WHERE b.session_id = :session_id AND b.claim IS NULL AND b.delayed_until IS NULL ORDER BY b.batch LIMIT 1;

-- name: queue.ready
SELECT batch, delivery, slot, merge_key FROM queue_batches
WHERE session_id = :session_id AND claim IS NULL AND delayed_until IS NULL AND batch >= :first ORDER BY batch LIMIT :count;

-- name: queue.of_claim
SELECT batch, delivery, slot, merge_key FROM queue_batches
WHERE session_id = :session_id AND claim = :claim AND delayed_until IS NULL AND batch >= :first ORDER BY batch LIMIT :count;

-- name: queue.take
UPDATE queue_batches SET claim = :claim, fence = fence + 1 WHERE batch = :batch AND claim IS NULL;

-- name: queue.free
UPDATE queue_batches SET claim = NULL WHERE session_id = :session_id AND claim = :claim;

-- name: queue.delete
DELETE FROM queue_batches WHERE batch = :batch;

-- name: queue.delete_of_claim
DELETE FROM queue_batches WHERE session_id = :session_id AND claim = :claim RETURNING batch;

-- name: queue.keys_of_claim
SELECT batch FROM queue_batches WHERE session_id = :session_id AND claim = :claim ORDER BY delayed_until, batch;

-- name: queue.keys
SELECT batch FROM queue_batches WHERE batch > :after ORDER BY batch LIMIT :count;

-- name: queue.last_key
SELECT coalesce(max(batch), 0), (SELECT last_fence_token FROM store) FROM queue_batches;

-- name: queue.strays
-- Batches whose claim is not there.
SELECT b.batch FROM queue_batches b LEFT JOIN queue_claims c ON c.claim = b.claim
WHERE b.claim IS NOT NULL AND c.claim IS NULL ORDER BY b.batch LIMIT :count;
