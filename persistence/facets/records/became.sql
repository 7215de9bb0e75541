-- name: became.wanted
-- Only where its behaviour wants events.
UPDATE runtimes SET events = :events WHERE runtime = :runtime;

-- name: became.of_run
SELECT r.runtime_id, u.run_id FROM runs u JOIN runtimes r ON r.runtime = u.runtime WHERE u.run = :run AND r.events = 1;

-- name: became.of_runtime
SELECT runtime_id, '' FROM runtimes WHERE runtime = :runtime AND events = 1;
