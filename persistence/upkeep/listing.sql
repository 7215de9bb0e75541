-- name: listing.inbox
-- Unfinished, in the order in which they are run.
SELECT i.admission, i.input_id, i.kind, i.lane, i.phase, i.source, i.idempotency_key, i.attempts, length(p.payload),
       i.created_at, i.deadline, i.error, p.payload, i.reason, i.finished_at, i.due_at, i.extra
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN payloads p ON p.input = i.input
WHERE r.runtime_id = :runtime_id AND i.finished_at IS NULL AND i.admission > :after ORDER BY i.admission LIMIT :count;

-- name: listing.inputs
-- Those that have ended too, each with its result.
SELECT i.admission, i.input_id, i.kind, i.lane, i.phase, i.source, i.idempotency_key, i.attempts, length(p.payload),
       i.created_at, i.deadline, i.error, p.payload, i.reason, i.finished_at, i.due_at, i.extra
FROM inputs i LEFT JOIN payloads p ON p.input = i.input
WHERE i.input IN (
    SELECT o.input FROM runtimes r JOIN runs u ON u.runtime = r.runtime JOIN inputs o ON o.run = u.run AND o.runtime = u.runtime
    WHERE r.runtime_id = :runtime_id
    UNION ALL
    SELECT o.input FROM runtimes r JOIN inputs o ON o.runtime = r.runtime
    WHERE r.runtime_id = :runtime_id AND o.run IS NULL AND o.finished_at IS NULL
    UNION ALL
    SELECT o.input FROM runtimes r JOIN inputs o ON o.runtime = r.runtime
    WHERE r.runtime_id = :runtime_id AND o.run IS NULL AND o.finished_at IS NOT NULL
) AND i.admission > :after ORDER BY i.admission LIMIT :count;

-- name: listing.input
SELECT i.admission, i.input_id, i.kind, i.lane, i.phase, i.source, i.idempotency_key, i.attempts, length(p.payload),
       i.created_at, i.deadline, i.error, p.payload, i.reason, i.finished_at, i.due_at, i.extra
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN payloads p ON p.input = i.input
WHERE r.runtime_id = :runtime_id AND i.input_id = :input_id;

-- name: listing.hosts
SELECT h.host, h.incarnation, h.host_name, h.pid, h.durability, h.opened_at, h.closed_at, h.lost_at, h.lost_how,
       (SELECT count(*) FROM runtimes r WHERE r.owner = h.host), h.drain, h.max_owned
FROM hosts h WHERE h.host > :after ORDER BY h.host LIMIT :count;
