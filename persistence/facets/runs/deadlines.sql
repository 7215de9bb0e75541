-- name: deadlines.expire
-- What waits and is late; what a run has ends with that.
UPDATE inputs SET phase = 'abandoned', reason = :reason, finished_at = :now, updated_at = :now, history = history || :line
WHERE runtime = :runtime AND finished_at IS NULL AND deadline <= :now AND phase = 'queued' AND run IS NULL
RETURNING input_id, admission;

-- name: deadlines.expire_members
UPDATE inputs SET phase = 'abandoned', reason = :reason, finished_at = :now, updated_at = :now, history = history || :line
WHERE run = :run AND finished_at IS NULL AND deadline <= :now
  AND (:ends = 1 OR EXISTS (SELECT 1 FROM inputs o WHERE o.run = :run AND o.finished_at IS NULL
                            AND (o.deadline IS NULL OR o.deadline > :now)))
RETURNING input_id, admission;

-- name: deadlines.all_late
-- Something of the batch is late, and nothing else of it is left.
SELECT 1 FROM inputs i WHERE i.run = :run AND i.finished_at IS NULL AND i.deadline <= :now
  AND NOT EXISTS (SELECT 1 FROM inputs o WHERE o.run = :run AND o.finished_at IS NULL
                  AND (o.deadline IS NULL OR o.deadline > :now))
LIMIT 1;

-- name: deadlines.late
SELECT r.runtime_id, max(CASE WHEN i.run IS NULL THEN 1 ELSE 0 END),
       max(CASE WHEN i.run = r.run AND r.owner = :host THEN 1 ELSE 0 END)
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN hosts h ON h.host = r.owner
WHERE i.deadline <= :now AND i.finished_at IS NULL AND i.due_at IS NULL AND (r.owner = :host OR r.owner IS NULL OR h.lost_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind)
GROUP BY r.runtime_id ORDER BY r.runtime_id LIMIT :count;

-- name: deadlines.next
SELECT min(deadline) FROM inputs WHERE deadline > :now AND deadline < 9e300 AND finished_at IS NULL;
