-- name: numbers.hosts
SELECT count(*) FROM hosts WHERE closed_at IS NULL AND lost_at IS NULL;

-- name: numbers.held
-- A walk over every runtime.
SELECT coalesce(kind, ''), held, count(*) FROM runtimes WHERE held IS NOT NULL GROUP BY coalesce(kind, ''), held;
