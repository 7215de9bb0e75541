-- Statements that several hosts make different: their groups land side by side, and not in the order of their keys.

-- name: verification.integrity
-- There is no file of its own: pg_amcheck looks into that of the server.
SELECT 'ok';

-- name: promotion.be_patient
SELECT set_config('idle_in_transaction_session_timeout', '0', true);

-- name: promotion.count_anew
DO $$
BEGIN
    EXECUTE (SELECT 'ANALYZE ' || string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname = current_schema());
END
$$;

-- name: promotion.go_on_after
SELECT setval(CAST(:sequence AS regclass), :last);

-- name: ownership.end_sessions
-- A host that is frozen, or cut off, in the middle of what it sends would hold its locks until then, and all others up. A session that
-- waits for anything but its host, a disk or a lock, is left alone.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = :sessions AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND wait_event_type = 'Client' AND xact_start IS NOT NULL;

-- name: arrivals.mark
-- A snapshot says of every transaction whether it is in it: whatever lands later is not, in any order of keys.
SELECT 0, CAST(pg_current_snapshot() AS text);

-- name: arrivals.since
-- What has landed stands in its order, so that it is read by the index of that: of an empty table all partial indexes cost the same,
-- and by another one every look would read each open input of the store.
SELECT r.runtime_id, max(CASE WHEN i.lane = 'steer' AND i.due_at IS NULL THEN 1 ELSE 0 END),
       max(CASE WHEN i.run IS NULL AND i.due_at IS NULL THEN 1 ELSE 0 END)
FROM (
    SELECT runtime, lane, due_at, run FROM inputs
    WHERE landed >= coalesce(pg_snapshot_xmin(CAST(NULLIF(:name, '') AS pg_snapshot)), CAST('0' AS xid8))
      AND NOT coalesce(pg_visible_in_snapshot(landed, CAST(NULLIF(:name, '') AS pg_snapshot)), FALSE)
      AND finished_at IS NULL
    ORDER BY landed
) i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN hosts h ON h.host = r.owner
WHERE r.owner = :host OR r.owner IS NULL OR h.lost_at IS NOT NULL
GROUP BY r.runtime_id;
