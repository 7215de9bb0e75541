-- name: again.bind
UPDATE inputs SET run = :run WHERE runtime = :runtime AND input_id = :input_id;

-- name: again.before
SELECT idempotency_key FROM inputs
WHERE run = :run AND kind = 'continuation' AND idempotency_key >= :first AND idempotency_key < :behind LIMIT 1;
