-- name: sends.insert
-- What was refused keeps the input id, the payload and what took it, to be sent again.
INSERT INTO sends (run, send_index, boundary, target, payload_digest, seal, refused, input_id, terms, fits, payload,
                   place, created_at)
VALUES (:run, :send_index, :boundary, :target, :payload_digest, :seal, :refused, :input_id, :terms, :fits, :payload,
        :place, :now);

-- name: sends.lowest
SELECT min(send_index) FROM sends WHERE run = :run;

-- name: sends.of_run
SELECT s.send_index, s.boundary, s.target, s.payload_digest, s.refused, s.input_id, u.run_id, s.seal, s.scheme, s.terms,
       s.forgotten, s.created_at, s.place
FROM sends s JOIN runs u ON u.run = s.run WHERE s.run = :run ORDER BY s.send;

-- name: sends.that_stand
-- What has landed, and what waits to be sent again; not what a person has forgotten, or dropped.
SELECT send_index FROM sends WHERE run = :run AND forgotten = 0 AND (refused IS NULL OR payload IS NOT NULL);

-- name: sends.carry
INSERT INTO entries (run, place, kind, name, repeat, arguments_digest, status, attempt, version, result_digest, started_at,
                     ended_at)
VALUES (:run, :place, :kind, :target, :repeat, :arguments_digest, :status, 1, :version, :result_digest, :sent_at, :sent_at);

-- name: sends.forget
UPDATE sends SET forgotten = 1 WHERE run = :run AND forgotten = 0 AND (target = :which OR :place || send_index = :which);

-- name: sends.refused
SELECT s.input_id, u.run_id, s.send_index, s.target, s.refused, s.payload, s.payload_digest, s.boundary, s.seal, s.scheme, s.terms
FROM sends s JOIN runs u ON u.run = s.run JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND s.payload IS NOT NULL AND s.input_id > :after ORDER BY s.input_id LIMIT :count;

-- name: sends.find_refused
SELECT s.send, u.run_id, s.send_index, s.target, s.payload, s.payload_digest, s.boundary, s.seal, s.scheme, s.terms, s.fits
FROM sends s JOIN runs u ON u.run = s.run
WHERE u.runtime = :runtime AND s.input_id = :input_id AND s.payload IS NOT NULL;

-- name: sends.landed
UPDATE sends SET refused = NULL, payload = NULL, fits = NULL WHERE send = :send;

-- name: sends.drop_payload
UPDATE sends SET payload = NULL, fits = NULL WHERE send = :send;
