-- name: asides.insert
-- Or in place of what was said before of the same runtime.
INSERT INTO asides (runtime, run, kind, since, wake_at, steerable, digest, scheme)
VALUES (:runtime, :run, :kind, :since, :wake_at, :steerable, :digest, 1)
ON CONFLICT (runtime) DO UPDATE
SET run = excluded.run, kind = excluded.kind, since = excluded.since, wake_at = excluded.wake_at,
    steerable = excluded.steerable, digest = excluded.digest, scheme = excluded.scheme;

-- name: asides.delete
DELETE FROM asides WHERE runtime = :runtime;

-- name: asides.count
UPDATE runtimes SET aside = :aside WHERE runtime = :runtime;

-- name: asides.mark
UPDATE runs SET aside = :aside WHERE run = :run;

-- name: asides.load
SELECT runtime, run, kind, since, wake_at, steerable, digest, scheme FROM asides WHERE runtime = :runtime;

-- name: asides.due
-- By the index of what is due when, from a place on.
SELECT r.runtime_id, a.wake_at, a.runtime, u.version
FROM asides a JOIN runtimes r ON r.runtime = a.runtime JOIN runs u ON u.run = a.run LEFT JOIN hosts h ON h.host = r.owner
WHERE a.kind = :kind AND a.wake_at <= :now AND a.wake_at >= :after_at AND (a.wake_at > :after_at OR a.runtime > :after)
  AND (r.owner = :host OR r.owner IS NULL OR h.lost_at IS NOT NULL)
  AND r.held IS NULL AND r.state NOT IN ('stopped', 'destroyed')
  AND NOT EXISTS (SELECT 1 FROM holds o WHERE o.runtime_id = r.runtime_id OR o.kind = r.kind)
ORDER BY a.wake_at, a.runtime LIMIT :count;

-- name: asides.due_unowned
-- Of those that no living host owns, also what is held, stopped or on hold.
SELECT r.runtime_id, a.wake_at, a.runtime, r.run
FROM asides a JOIN runtimes r ON r.runtime = a.runtime LEFT JOIN hosts h ON h.host = r.owner
WHERE a.kind = :kind AND a.wake_at <= :now AND a.wake_at >= :after_at AND (a.wake_at > :after_at OR a.runtime > :after)
  AND (r.owner IS NULL OR h.lost_at IS NOT NULL) AND r.aside = 1
ORDER BY a.wake_at, a.runtime LIMIT :count;

-- name: asides.next_kind
SELECT min(kind) FROM asides WHERE kind > :kind AND wake_at IS NOT NULL;

-- name: asides.next
SELECT wake_at FROM asides WHERE kind = :kind AND wake_at > :now AND wake_at < 9e300 ORDER BY wake_at LIMIT 1;

-- name: asides.strays
SELECT a.runtime FROM asides a LEFT JOIN runtimes r ON r.runtime = a.runtime WHERE r.runtime IS NULL;

-- name: asides.answered
-- Something that a run has asked was answered, and its record does not have that yet.
SELECT 1 FROM asks a JOIN entries e ON e.run = a.run AND e.place = a.place
WHERE a.run = :run AND a.ended_at IS NOT NULL AND e.ended_at IS NULL LIMIT 1;

-- name: asides.deadline
-- The next deadline of its batch.
SELECT min(deadline) FROM inputs WHERE run = :run AND finished_at IS NULL AND deadline > :now;

-- name: asides.any_ephemeral
-- What recovery drops.
SELECT 1 FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND durability = 'ephemeral' LIMIT 1;
