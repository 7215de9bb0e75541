-- name: sends.insert
-- What was refused keeps the input id and the payload, to be sent again.
INSERT INTO sends (run, send_index, boundary, target, payload_digest, refused, input_id, payload, created_at)
VALUES (:run, :send_index, :boundary, :target, :payload_digest, :refused, :input_id, :payload, :now);

-- name: sends.of_run
SELECT send_index, boundary, target, payload_digest, refused FROM sends WHERE run = :run ORDER BY send_index;

-- name: sends.refused
SELECT s.input_id, u.run_id, s.send_index, s.target, s.refused, s.payload
FROM sends s JOIN runs u ON u.run = s.run JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND s.payload IS NOT NULL AND s.input_id > :after ORDER BY s.input_id LIMIT :count;

-- name: sends.find_refused
SELECT s.send, u.run_id, s.send_index, s.target, s.payload, s.payload_digest
FROM sends s JOIN runs u ON u.run = s.run
WHERE u.runtime = :runtime AND s.input_id = :input_id AND s.payload IS NOT NULL;

-- name: sends.landed
UPDATE sends SET refused = NULL, payload = NULL WHERE send = :send;

-- name: sends.drop_payload
UPDATE sends SET payload = NULL WHERE send = :send;
