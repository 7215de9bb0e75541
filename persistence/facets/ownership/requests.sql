-- name: requests.insert
INSERT INTO requests (request_id, runtime, verb, arguments, host, created_at)
VALUES (:request_id, :runtime, :verb, :arguments, :host, :now);

-- name: requests.tell
INSERT INTO requests (request_id, runtime, verb, arguments, host, created_at)
SELECT :request_id, :runtime, :verb, '{}', :host, :now
WHERE NOT EXISTS (SELECT 1 FROM requests WHERE request_id = :request_id);

-- name: requests.finish
UPDATE requests SET answer = :answer, done_at = :now WHERE request_id = :request_id AND done_at IS NULL;

-- name: requests.waiting_for
-- The sum keeps the planner from walking all that a host owns: open requests are few.
SELECT q.request_id, r.runtime_id, q.verb, q.arguments
FROM requests q JOIN runtimes r ON r.runtime = q.runtime
WHERE q.done_at IS NULL AND r.owner + 0 = :host ORDER BY q.request;

-- name: requests.answer
SELECT answer FROM requests WHERE request_id = :request_id AND done_at IS NOT NULL;

-- name: requests.prune
DELETE FROM requests WHERE done_at < :before;
