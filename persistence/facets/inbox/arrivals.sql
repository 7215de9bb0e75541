-- name: arrivals.mark
SELECT coalesce(max(input), 0) FROM inputs;

-- name: arrivals.since
-- Whose inboxes hold something that landed after this place: of this host, or of no host that lives.
SELECT r.runtime_id, max(CASE WHEN i.lane = 'steer' THEN 1 ELSE 0 END), max(CASE WHEN i.run IS NULL THEN 1 ELSE 0 END)
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN hosts h ON h.host = r.owner
WHERE i.input > CASE WHEN :place > (SELECT coalesce(max(n.input), 0) FROM inputs n) THEN 0 ELSE :place END
  AND i.finished_at IS NULL
  AND (r.owner = :host OR r.owner IS NULL OR h.lost_at IS NOT NULL)
GROUP BY r.runtime_id;
