-- name: delays.due
-- Of one runtime, in the order in which they come into its inbox.
SELECT input, input_id, kind, lane, supersession_key, extra FROM inputs
WHERE runtime = :runtime AND finished_at IS NULL AND due_at <= :now AND phase = 'accepted' ORDER BY due_at, input LIMIT :count;

-- name: delays.queue
-- Behind all that the inbox holds, under a fresh key.
UPDATE inputs SET phase = 'queued', due_at = NULL, updated_at = :now, history = history || :line,
  admission = (SELECT CASE WHEN max(w.admission) IS NULL OR max(w.admission) < :admission THEN :admission
                           WHEN max(w.admission) < 9223372036854775807 THEN max(w.admission) + 1 ELSE max(w.admission) END
               FROM inputs w WHERE w.runtime = inputs.runtime AND w.finished_at IS NULL AND w.due_at IS NULL)
WHERE input = :input;

-- name: delays.abandon
-- What is due stays.
UPDATE inputs SET phase = 'abandoned', reason = :reason, finished_at = :now, updated_at = :now, history = history || :line
WHERE runtime = :runtime AND finished_at IS NULL AND due_at > :now AND phase = 'accepted' RETURNING input_id, due_at;

-- name: delays.runtimes
-- With inputs that are due, of this host or of no living one, by id; a person's hold keeps them waiting.
SELECT r.runtime_id
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN hosts h ON h.host = r.owner
WHERE i.due_at <= :now AND i.finished_at IS NULL AND i.due_at IS NOT NULL AND r.runtime_id > :after AND r.state <> 'destroyed'
  AND (r.owner = :host OR r.owner IS NULL OR h.lost_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind)
GROUP BY r.runtime_id ORDER BY r.runtime_id LIMIT :count;

-- name: delays.next
SELECT due_at FROM inputs
WHERE due_at > :now AND due_at < 9e300 AND finished_at IS NULL AND due_at IS NOT NULL ORDER BY due_at LIMIT 1;

-- name: delays.of_runtime
-- How many, counted no further than asked, and when the first is due.
SELECT count(*), min(due_at) FROM (SELECT due_at FROM inputs
                                   WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NOT NULL
                                   ORDER BY due_at LIMIT :count) AS delayed;
