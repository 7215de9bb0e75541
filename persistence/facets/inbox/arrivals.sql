-- name: arrivals.mark
SELECT input, input_id FROM inputs ORDER BY input DESC LIMIT 1;

-- name: arrivals.since
-- Whose inboxes hold something that landed after this place: of this host, or of no host that lives. Where another input has
-- the place by now, or none, those under it were pruned and their keys may have come again: then all is new.
SELECT r.runtime_id, max(CASE WHEN i.lane = 'steer' AND i.due_at IS NULL THEN 1 ELSE 0 END),
       max(CASE WHEN i.run IS NULL AND i.due_at IS NULL THEN 1 ELSE 0 END)
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN hosts h ON h.host = r.owner
WHERE i.input > CASE WHEN EXISTS (SELECT 1 FROM inputs n WHERE n.input = :place AND n.input_id = :name) THEN :place ELSE 0 END
  AND i.finished_at IS NULL
  AND (r.owner = :host OR r.owner IS NULL OR h.lost_at IS NOT NULL)
GROUP BY r.runtime_id;
