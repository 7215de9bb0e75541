-- name: journal.load
SELECT s.stream, s.stream_id, s.runtime, s.streamed, s.cursor, s.digest, s.scheme, s.created_at, r.runtime_id
FROM streams s LEFT JOIN runtimes r ON r.runtime = s.runtime WHERE s.stream_id = :stream_id;

-- name: journal.head
SELECT stream, created_at, cursor, streamed FROM streams WHERE stream_id = :stream_id;

-- name: journal.create
INSERT INTO streams (stream, stream_id, runtime, streamed, cursor, digest, created_at, updated_at)
VALUES (:key, :stream_id, NULL, 0, 0, :digest, :now, :now);

-- name: journal.bind
-- Only what no other runtime has.
UPDATE streams SET runtime = :runtime WHERE stream = :stream AND (runtime IS NULL OR runtime = :runtime);

-- name: journal.update
UPDATE streams SET runtime = :runtime, streamed = :streamed, cursor = :cursor, digest = :digest, scheme = :scheme, updated_at = :now
WHERE stream = :stream;

-- name: journal.insert
INSERT INTO events (event, stream, sequence, kind, version, facts, digest, recorded_at, payload)
VALUES (:key, :stream, :sequence, :kind, :version, :facts, :digest, :now, :payload);

-- name: journal.sizes
SELECT sequence, length(payload) FROM events
WHERE stream = :stream AND sequence > :after AND sequence <= :last ORDER BY sequence;

-- name: journal.page
SELECT sequence, kind, version, payload, facts, digest, scheme, recorded_at FROM events
WHERE stream = :stream AND sequence > :after AND sequence <= :last ORDER BY sequence;

-- name: journal.snapshot_cursor
SELECT cursor FROM stream_snapshots WHERE stream = :stream;

-- name: journal.save_snapshot
INSERT INTO stream_snapshots (stream, cursor, snapshot, digest, saved_at)
VALUES (:stream, :cursor, :snapshot, :digest, :now)
ON CONFLICT (stream) DO UPDATE
SET cursor = excluded.cursor, snapshot = excluded.snapshot, digest = excluded.digest, scheme = excluded.scheme,
    saved_at = excluded.saved_at;

-- name: journal.snapshot
SELECT n.cursor, n.snapshot, n.digest, n.scheme FROM stream_snapshots n JOIN streams s ON s.stream = n.stream
WHERE s.stream_id = :stream_id;

-- name: journal.save_log
INSERT INTO stream_logs (stream, log, digest, saved_at) VALUES (:stream, :log, :digest, :now)
ON CONFLICT (stream) DO UPDATE SET log = excluded.log, digest = excluded.digest, scheme = excluded.scheme, saved_at = excluded.saved_at;

-- name: journal.log
SELECT l.log, l.digest, l.scheme FROM stream_logs l JOIN streams s ON s.stream = l.stream WHERE s.stream_id = :stream_id;

-- name: journal.forget
-- Its events are many, and go in slices; from here on no read finds them.
UPDATE streams SET stream_id = NULL WHERE stream = :stream;

-- name: journal.forgotten
SELECT 1 FROM streams WHERE stream = :stream AND stream_id IS NULL;

-- name: journal.clear
DELETE FROM events WHERE event IN (SELECT event FROM events WHERE stream = :stream ORDER BY sequence LIMIT :count);

-- name: journal.delete
DELETE FROM streams WHERE stream = :stream;

-- name: journal.delete_snapshot
DELETE FROM stream_snapshots WHERE stream = :stream;

-- name: journal.delete_log
DELETE FROM stream_logs WHERE stream = :stream;

-- name: journal.exists
SELECT 1 FROM streams WHERE stream_id = :stream_id;

-- name: journal.list
SELECT stream_id FROM streams WHERE stream_id > :after ORDER BY stream_id LIMIT :count;

-- name: journal.count_streams
SELECT count(*) FROM streams WHERE stream_id IS NOT NULL;

-- name: journal.of_runtime
SELECT stream_id, cursor FROM streams WHERE runtime = :runtime AND stream_id IS NOT NULL ORDER BY stream_id;

-- name: journal.forgotten_streams
SELECT stream FROM streams WHERE stream > :after AND stream_id IS NULL ORDER BY stream LIMIT :count;

-- name: journal.strays
-- Events of no stream.
SELECT e.event FROM events e LEFT JOIN streams s ON s.stream = e.stream WHERE s.stream IS NULL LIMIT :count;
