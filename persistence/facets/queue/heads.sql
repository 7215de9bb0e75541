-- name: heads.sessions
-- The sessions of a range that have queued work, by one seek each.
WITH RECURSIVE named (session_id) AS (
    SELECT min(f.session_id) FROM queue_batches f WHERE f.session_id >= :first AND f.session_id < :end
    UNION ALL
    SELECT (SELECT min(b.session_id) FROM queue_batches b WHERE b.session_id > named.session_id AND b.session_id < :end)
    FROM named WHERE named.session_id IS NOT NULL
)
SELECT session_id FROM named WHERE session_id IS NOT NULL;

-- name: heads.of_session
-- What stands at the head of a session, what comes next of what is delayed, what keeps a place, and whether there are claims.
SELECT h.batch, h.enqueued_at, h.available_at, d.batch, d.enqueued_at, d.available_at, d.delayed_until,
    (SELECT count(*) FROM queue_failures f
     WHERE f.session_id = :session_id AND f.retry_at > :now_ms AND f.failed_at <= :now_ms),
    (SELECT count(*) FROM queue_claims c WHERE c.session_id = :session_id),
    (SELECT count(*) FROM queue_failures s WHERE s.session_id = :session_id AND s.crashes > 0 AND s.retry_at IS NOT NULL),
    (SELECT a.failed_at FROM queue_failures a WHERE a.batch = d.batch)
FROM (SELECT 1 AS one) o
LEFT JOIN queue_batches h ON h.batch = (
    SELECT b.batch FROM queue_batches b
    WHERE b.session_id = :session_id AND b.claim IS NULL AND b.delayed_until IS NULL ORDER BY b.batch LIMIT 1)
LEFT JOIN queue_batches d ON d.batch = (
    SELECT b.batch FROM queue_batches b
    WHERE b.session_id = :session_id AND b.claim IS NULL AND b.delayed_until IS NOT NULL ORDER BY b.delayed_until, b.batch LIMIT 1);

-- name: heads.waiting_since
SELECT batch, enqueued_at, available_at FROM queue_batches WHERE batch = :batch;
