-- name: holds.place
INSERT INTO holds (hold, runtime_id, kind, note, since) VALUES (:key, :runtime_id, :kind, :note, :now);

-- name: holds.find
SELECT since FROM holds WHERE runtime_id = :runtime_id OR kind = :kind LIMIT 1;

-- name: holds.end
DELETE FROM holds WHERE runtime_id = :runtime_id OR kind = :kind;

-- name: holds.all
SELECT hold, runtime_id, kind, note, since FROM holds ORDER BY hold;

-- name: holds.with_deadlines
-- Runtimes of an ended hold with unfinished inputs that have a deadline; and since when another hold keeps each.
SELECT r.runtime, (SELECT min(h.since) FROM holds h WHERE h.runtime_id = r.runtime_id OR h.kind = r.kind)
FROM runtimes r
WHERE (r.runtime_id = :runtime_id OR r.kind = :kind)
  AND EXISTS (SELECT 1 FROM inputs i WHERE i.runtime = r.runtime AND i.finished_at IS NULL AND i.deadline IS NOT NULL);

-- name: holds.move_deadlines
-- By as long as the hold kept it: an input that came later, or fell due later, was kept for less.
UPDATE inputs SET deadline = deadline + :until - CASE WHEN coalesce(due_at, created_at) > :since
                                                      THEN coalesce(due_at, created_at) ELSE :since END
WHERE runtime = :runtime AND finished_at IS NULL AND deadline IS NOT NULL AND coalesce(due_at, created_at) < :until;

-- name: holds.count
SELECT count(*) FROM holds;
