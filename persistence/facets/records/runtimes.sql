-- name: runtimes.load
SELECT runtime, runtime_id, kind, state, generation, fence_token, epoch, owner, held, held_detail,
       session, run, crashes, failures, boundaries, chain, record_version, asked, aside, events
FROM runtimes WHERE runtime_id = :runtime_id;

-- name: runtimes.insert
INSERT INTO runtimes (runtime, runtime_id, kind, record_version, state, generation, fence_token, epoch, owner, session,
                      crashes, failures, boundaries, chain, created_at, updated_at)
VALUES (:key, :runtime_id, :kind, :record_version, :state, 0, :fence_token, :epoch, :owner, :session,
        0, '[]', 0, :chain, :now, :now);

-- name: runtimes.update
UPDATE runtimes
SET kind = :kind, record_version = :record_version, state = :state, generation = :generation, fence_token = :fence_token, epoch = :epoch,
    owner = :owner, held = :held, held_detail = :held_detail, session = :session, run = :run, crashes = :crashes,
    failures = :failures, boundaries = :boundaries, chain = :chain, updated_at = :now
WHERE runtime = :runtime;

-- name: runtimes.progress
-- What every run moves. Nothing of it is indexed: SQLite writes the index of each column that an UPDATE names, changed or not.
UPDATE runtimes SET run = :run, crashes = :crashes, boundaries = :boundaries, chain = :chain, updated_at = :now
WHERE runtime = :runtime;

-- name: runtimes.list
-- Of what is unfinished the index of open inputs is counted, no further than asked.
SELECT r.runtime_id, r.kind, r.state, r.generation, r.fence_token, r.held, h.incarnation,
       CASE WHEN EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind) THEN 1 ELSE 0 END,
       (SELECT count(*) FROM (SELECT 1 FROM inputs i WHERE i.runtime = r.runtime AND i.finished_at IS NULL
                              LIMIT :most) AS unfinished), r.aside, r.runtime
FROM runtimes r LEFT JOIN hosts h ON h.host = r.owner
WHERE r.runtime_id > :after AND (CAST(:kind AS TEXT) IS NULL OR r.kind = :kind)
  AND (CAST(:state AS TEXT) IS NULL OR r.state = :state)
  AND (CAST(:parent AS TEXT) IS NULL OR r.runtime IN (SELECT c.child FROM children c JOIN runtimes p ON p.runtime = c.parent
                                                       WHERE p.runtime_id = :parent))
  AND (:held = 0 OR r.held IS NOT NULL
       OR EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind))
ORDER BY r.runtime_id LIMIT :count;

-- name: runtimes.listed
-- One of that list, or none where it does not fit.
SELECT r.runtime_id, r.kind, r.state, r.generation, r.fence_token, r.held, h.incarnation,
       CASE WHEN EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind) THEN 1 ELSE 0 END,
       (SELECT count(*) FROM (SELECT 1 FROM inputs i WHERE i.runtime = r.runtime AND i.finished_at IS NULL
                              LIMIT :most) AS unfinished), r.aside, r.runtime
FROM runtimes r LEFT JOIN hosts h ON h.host = r.owner
WHERE r.runtime_id = :runtime_id AND (CAST(:kind AS TEXT) IS NULL OR r.kind = :kind)
  AND (CAST(:state AS TEXT) IS NULL OR r.state = :state)
  AND (CAST(:parent AS TEXT) IS NULL OR r.runtime IN (SELECT c.child FROM children c JOIN runtimes p ON p.runtime = c.parent
                                                       WHERE p.runtime_id = :parent))
  AND (:held = 0 OR r.held IS NOT NULL
       OR EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind));
