-- name: sends.insert
INSERT INTO sends (run, send_index, boundary, target, payload_digest, refused, payload, created_at)
VALUES (:run, :send_index, :boundary, :target, :payload_digest, :refused, :payload, :now);

-- name: sends.of_run
SELECT send_index, boundary, target, payload_digest, refused FROM sends WHERE run = :run ORDER BY send_index;

-- name: sends.refused
SELECT s.send, u.run_id, s.send_index, s.target, s.refused, s.payload
FROM sends s JOIN runs u ON u.run = s.run JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND s.refused IS NOT NULL AND s.send > :after ORDER BY s.send LIMIT :count;
