-- name: queue.standing
SELECT b.batch, b.session_id, b.source_key, b.enqueued_at, b.delayed_until, length(b.payloads), c.owner_id, c.claimed_at,
    CASE WHEN h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL THEN 0 ELSE 1 END,
    f.attempts, f.crashes, f.retry_at, f.error
FROM queue_batches b LEFT JOIN queue_claims c ON c.claim = b.claim LEFT JOIN hosts h ON h.host = c.host
LEFT JOIN queue_failures f ON f.batch = b.batch
WHERE b.batch > :after ORDER BY b.batch LIMIT :count;

-- name: queue.standing_of_session
SELECT b.batch, b.session_id, b.source_key, b.enqueued_at, b.delayed_until, length(b.payloads), c.owner_id, c.claimed_at,
    CASE WHEN h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL THEN 0 ELSE 1 END,
    f.attempts, f.crashes, f.retry_at, f.error
FROM queue_batches b LEFT JOIN queue_claims c ON c.claim = b.claim LEFT JOIN hosts h ON h.host = c.host
LEFT JOIN queue_failures f ON f.batch = b.batch
WHERE b.session_id = :session_id AND b.batch > :after ORDER BY b.batch LIMIT :count;
